from pathlib import Path

import pytest

from fecosr.errors import MisuseError, StorageError
from fecosr.privacy.budget import Charged, TakenBack
from fecosr.privacy.events import Charge, PoissonIntegerGaussian
from fecosr.storage.spending_store import SpendingStore, encode_record

EVENT = PoissonIntegerGaussian(0.25, 100, 1 << 24, 2, 7)
FIRST = Charged(Charge("round 1 attempt 1", "pretraining", EVENT))
SECOND = Charged(Charge("round 2 attempt 1", "pretraining", EVENT))


def test_what_was_charged_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "privacy.jsonl"
    with SpendingStore(path) as store:
        for record in (FIRST, SECOND, TakenBack("round 1 attempt 1")):
            store.append(record)
    with SpendingStore(path) as store:
        assert store.spending.charges == {"round 2 attempt 1": SECOND.charge}
        assert store.spending.taken_back == {"round 1 attempt 1"}


def test_a_record_torn_by_a_crash_was_never_acted_upon_and_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "privacy.jsonl"
    path.write_bytes(encode_record(FIRST) + b"\n" + encode_record(SECOND)[:-3])
    with SpendingStore(path) as store:
        assert set(store.spending.charges) == {"round 1 attempt 1"}


def test_a_contradiction_is_not_stored(tmp_path: Path) -> None:
    with SpendingStore(tmp_path / "privacy.jsonl") as store:
        with pytest.raises(MisuseError, match="never charged"):
            store.append(TakenBack("round 1 attempt 1"))
        assert not store.spending.charges
    assert (tmp_path / "privacy.jsonl").read_bytes() == b""


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b"{}",
        encode_record(FIRST).replace(b"pretraining", b"amusement"),
        encode_record(FIRST).replace(b"poisson_integer_gaussian", b"builtins.exec"),
        encode_record(FIRST).replace(b'"kind":"charged"', b'"kind":"charged","more":1'),
        encode_record(TakenBack("round 1 attempt 1")),
    ],
)
def test_a_damaged_account_is_refused_by_file_and_line(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "privacy.jsonl"
    path.write_bytes(encode_record(SECOND) + b"\n" + line + b"\n")
    with pytest.raises(StorageError, match=r"privacy\.jsonl:2: "):
        SpendingStore(path)
