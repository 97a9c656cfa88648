from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from fecosr.data.readers.xmarket import read_xmarket
from fecosr.errors import DataError

Writer = Callable[[str, str], Path]

TEXT = "userId itemId rate date\nu1 i1 5.0 2024-05-01\nu1 i2 4.0 1970-01-02\n"


@pytest.mark.parametrize("name", ["de_5core.txt", "de_5core.txt.gz"])
def test_a_file_or_its_folder_will_do(write: Writer, name: str) -> None:
    path = write(name, TEXT)
    expected = [("u1", "i1", 1_714_521_600, 0, "5.0"), ("u1", "i2", 86400, 1, "4.0")]
    assert read_xmarket(path, "").rows() == expected
    assert read_xmarket(path.parent, "de").rows() == expected


def test_a_market_that_is_not_there_is_refused(write: Writer) -> None:
    folder = write("de_5core.txt", TEXT).parent
    with pytest.raises(DataError, match=r"the folder has no jp_5core\.txt"):
        read_xmarket(folder, "jp")
    with pytest.raises(DataError, match="a folder of several markets"):
        read_xmarket(folder, "")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (TEXT + "u2 i2 5.0 24-05-01\n", r":4: column date holds no time"),
        (TEXT + "u2 i2 5.0\n", r":4: column date is empty"),
        (TEXT + "u2 i2 5.0 2024-05-01 x\n", r":4: 5 fields where the header has 4"),
        (TEXT.replace(" ", "\t"), r":1: no column userId, itemId, date, rate .*check the separator"),
        (TEXT.removeprefix("userId itemId rate date\n"), r":1: no column userId"),
    ],
)
def test_bad_lines_are_refused_by_number(write: Writer, text: str, complaint: str) -> None:
    with pytest.raises(DataError, match=r"de_5core\.txt" + complaint):
        read_xmarket(write("de_5core.txt", text), "de")


def test_the_real_files_hold_what_was_published(real_data: Path) -> None:
    markets = ("ca", "de", "fr", "in", "jp", "mx", "uk")
    frame = pl.concat(read_xmarket(real_data / "xmarket-electronics", market) for market in markets)
    assert frame.height == 168_307
    assert frame["user"].n_unique() == 17_891
    assert frame["item"].n_unique() == 8_354
    assert frame["timestamp"].min() >= 946_684_800  # type: ignore[operator] # 2000-01-01
    assert (frame["timestamp"] % 86400 == 0).all()
