"""Request files that are none."""

from pathlib import Path

import pytest

from fecosr.errors import ConfigError
from fecosr.provisioning.request import read_request


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "is missing"),
        (b'{"party": 7}', "format: is missing|party"),
        (b"[" * 60_000, "is not JSON"),
        (b" " * 70_000, "larger than"),
    ],
)
def test_a_file_that_is_no_request_is_one_line(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "request.json").write_bytes(content)
    with pytest.raises(ConfigError, match=complaint) as refused:
        read_request(tmp_path / "request.json")
    assert "\n" not in str(refused.value)
