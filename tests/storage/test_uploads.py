import gc
import hashlib
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fecosr.errors import ProtocolViolation, StorageError
from fecosr.ids import NodeId
from fecosr.storage.upload_room import FileRoom
from fecosr.storage.uploads import UploadSpool

DE, US = NodeId("de"), NodeId("us")
VECTOR = np.array([0, 1, 2**32 - 1, 7], dtype=np.uint32)
BYTES = VECTOR.astype("<u4").tobytes()


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.fixture(params=[0, 1 << 20], ids=["on disk", "in memory"])
def spool(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[UploadSpool]:
    spool = UploadSpool(tmp_path, num_nodes=2, memory_bytes=request.param)
    yield spool
    # A file left open would warn in whatever test the garbage is collected in.
    spool.discard_all()


@pytest.mark.parametrize("chunk_bytes", [1, 3, 16])
def test_chunks_become_the_vector_and_its_digest(
    spool: UploadSpool, tmp_path: Path, chunk_bytes: int
) -> None:
    with spool.open(1, 1, DE, size_bytes=16) as upload:
        for start in range(0, len(BYTES), chunk_bytes):
            upload.receive(BYTES[start : start + chunk_bytes])
        spooled = upload.finish()
    assert spooled.octets.dtype == np.uint8
    assert spooled.octets.tobytes() == BYTES
    assert spooled.digest == hashlib.sha256(BYTES).digest()
    assert _names(tmp_path) == []


def test_a_finished_vector_shows_nothing_of_itself(spool: UploadSpool) -> None:
    with spool.open(1, 1, DE, size_bytes=16) as upload:
        upload.receive(BYTES)
        spooled = upload.finish()
    assert "4294967295" not in repr(spooled)


def test_too_many_bytes_name_the_node_and_are_discarded(spool: UploadSpool, tmp_path: Path) -> None:
    upload = spool.open(1, 1, DE, size_bytes=16)
    upload.receive(BYTES)
    with pytest.raises(ProtocolViolation, match="more than 16 bytes") as refused:
        upload.receive(b"\x00")
    assert (refused.value.peer, refused.value.phase) == ("de", "masked_input")
    assert _names(tmp_path) == []
    with pytest.raises(StorageError, match="over"):
        upload.finish()


def test_too_few_bytes_name_the_node_and_are_discarded(spool: UploadSpool, tmp_path: Path) -> None:
    upload = spool.open(1, 1, DE, size_bytes=16)
    upload.receive(BYTES[:-1])
    with pytest.raises(ProtocolViolation, match="15 of 16 bytes"):
        upload.finish()
    assert _names(tmp_path) == []


def test_leaving_unfinished_discards(spool: UploadSpool, tmp_path: Path) -> None:
    with spool.open(1, 1, DE, size_bytes=16) as upload:
        upload.receive(BYTES[:3])
    assert _names(tmp_path) == []
    with pytest.raises(StorageError, match="over"):
        upload.receive(BYTES)


def test_a_node_that_begins_again_replaces_what_it_sent(spool: UploadSpool, tmp_path: Path) -> None:
    first = spool.open(1, 1, DE, size_bytes=16)
    first.receive(BYTES[:8])
    with spool.open(1, 1, DE, size_bytes=16) as second:
        with pytest.raises(StorageError, match="over"):
            first.receive(BYTES[8:])
        first.discard()
        second.receive(BYTES)
        assert second.finish().octets.tobytes() == BYTES


def test_nodes_do_not_disturb_each_other(spool: UploadSpool, tmp_path: Path) -> None:
    de, us = spool.open(1, 1, DE, size_bytes=16), spool.open(1, 1, US, size_bytes=16)
    de.receive(BYTES[:8])
    us.receive(BYTES[::-1])
    de.receive(BYTES[8:])
    assert de.finish().octets.tobytes() == BYTES
    assert us.finish().octets.tobytes() == BYTES[::-1]


def test_the_end_of_an_attempt_discards_what_is_unfinished(spool: UploadSpool, tmp_path: Path) -> None:
    with spool.open(1, 1, DE, size_bytes=16) as done:
        done.receive(BYTES)
        spooled = done.finish()
    spool.open(1, 1, US, size_bytes=16).receive(BYTES[:3])
    spool.discard_all()
    assert _names(tmp_path) == []
    assert spooled.octets.tobytes() == BYTES


def test_uploads_that_are_over_are_forgotten(spool: UploadSpool) -> None:
    with spool.open(1, 1, DE, size_bytes=16) as finished:
        finished.receive(BYTES)
        finished.finish()
    with spool.open(2, 1, DE, size_bytes=16) as broken_off:
        broken_off.receive(BYTES[:3])
    older = spool.open(3, 1, DE, size_bytes=16)
    newer = spool.open(3, 1, DE, size_bytes=16)
    older.discard()
    kept = [weakref.ref(upload) for upload in (finished, broken_off, older, newer)]
    del finished, broken_off, older, newer
    gc.collect()
    assert [upload() is None for upload in kept] == [True, True, True, False]
    spool.discard_all()
    gc.collect()
    assert kept[-1]() is None


def test_what_a_crash_left_is_deleted_at_start_up(tmp_path: Path) -> None:
    (tmp_path / "3-1-de-0.upload").write_bytes(BYTES)
    UploadSpool(tmp_path, num_nodes=1)
    assert _names(tmp_path) == []


def test_a_full_disk_discards_the_upload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_room: FileRoom, _chunk: bytes) -> None:
        raise StorageError("No space left on device")

    upload = UploadSpool(tmp_path, num_nodes=1, memory_bytes=0).open(1, 1, DE, size_bytes=16)
    monkeypatch.setattr(FileRoom, "write", refuse)
    with pytest.raises(StorageError, match="No space left"):
        upload.receive(BYTES)
    assert _names(tmp_path) == []
    with pytest.raises(StorageError, match="over"):
        upload.receive(BYTES)


def test_the_digest_may_be_taken_while_more_arrives(spool: UploadSpool) -> None:
    with spool.open(1, 1, DE, size_bytes=16) as upload:
        for part in (BYTES[:5], BYTES[5:6], BYTES[6:]):
            upload.receive(part)
            assert upload.undigested_bytes == len(part) * upload.is_quick
            upload.digest()
            assert upload.undigested_bytes == 0
        assert upload.finish().digest == hashlib.sha256(BYTES).digest()
    upload.digest()


@pytest.mark.parametrize(("memory_bytes", "is_quick"), [(48, True), (47, False)])
def test_the_uploads_of_all_nodes_wait_in_memory_or_none_does(
    tmp_path: Path, memory_bytes: int, is_quick: bool
) -> None:
    spool = UploadSpool(tmp_path, num_nodes=3, memory_bytes=memory_bytes)
    names = [NodeId(name) for name in ("at", "be", "de")]
    uploads = [spool.open(1, 1, name, size_bytes=16) for name in names]
    assert [upload.is_quick for upload in uploads] == [is_quick] * 3
    assert len(_names(tmp_path)) == 3 * (not is_quick)
    uploads[0].discard()
    uploads[0].discard()
    uploads[1].receive(BYTES)
    uploads[1].finish()
    # What is over has given its memory back, once.
    assert spool.open(1, 2, names[0], size_bytes=16).is_quick is is_quick
    spool.discard_all()
    assert _names(tmp_path) == []


def test_a_suspended_upload_goes_on_where_it_broke_off(spool: UploadSpool, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"abcdefgh").digest()
    broken = spool.open(1, 1, DE, 8)
    broken.receive(b"abcd")
    broken.suspend(digest)
    resumed = spool.resume(1, 1, DE, 8, digest)
    assert resumed is broken
    assert resumed.received_bytes == 4
    resumed.receive(b"efgh")
    assert resumed.finish().digest == digest
    assert list(tmp_path.rglob("*.upload")) == []
    assert spool.resume(1, 1, DE, 8, digest) is None


@pytest.mark.parametrize(
    ("round_number", "attempt", "size_bytes", "sha256"),
    [(2, 1, 8, bytes(32)), (1, 2, 8, bytes(32)), (1, 1, 12, bytes(32)), (1, 1, 8, bytes([1]) * 32)],
)
def test_nothing_else_goes_on_with_a_suspended_upload(
    spool: UploadSpool, round_number: int, attempt: int, size_bytes: int, sha256: bytes
) -> None:
    upload = spool.open(1, 1, DE, 8)
    upload.suspend(bytes(32))
    assert spool.resume(round_number, attempt, DE, size_bytes, sha256) is None
    assert spool.resume(1, 1, US, 8, bytes(32)) is None
    assert spool.resume(1, 1, DE, 8, bytes(32)) is upload


def test_an_upload_that_is_not_suspended_is_not_gone_on_with(spool: UploadSpool) -> None:
    spool.open(1, 1, DE, 8)
    assert spool.resume(1, 1, DE, 8, bytes(32)) is None


def test_at_most_one_unfinished_upload_of_a_node_is_kept(tmp_path: Path) -> None:
    spool = UploadSpool(tmp_path, num_nodes=1, memory_bytes=0)
    for number in range(1, 4):
        upload = spool.open(number, 1, DE, 8)
        upload.receive(b"abcd")
        upload.suspend(bytes(32))
    assert len(list(tmp_path.rglob("*.upload"))) == 1
    spool.discard_all()
    assert list(tmp_path.rglob("*.upload")) == []


def test_what_broke_off_in_an_earlier_attempt_takes_no_memory_any_more(tmp_path: Path) -> None:
    spool = UploadSpool(tmp_path, num_nodes=1, memory_bytes=16)
    broken = spool.open(1, 1, DE, 16)
    broken.suspend(bytes(32))
    # In the same attempt it may still go on.
    assert not spool.open(1, 1, US, 16).is_quick
    assert spool.resume(1, 1, DE, 16, bytes(32)) is broken
    assert spool.open(1, 2, US, 16).is_quick
    assert spool.resume(1, 1, DE, 16, bytes(32)) is None
    spool.discard_all()
