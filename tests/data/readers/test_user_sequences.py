from collections.abc import Callable
from pathlib import Path

import pytest

from fecosr.data.readers.user_sequences import read_user_sequences
from fecosr.data.sequences import load_market
from fecosr.data.settings import DataSettings
from fecosr.errors import DataError

Writer = Callable[[str, str], Path]


@pytest.mark.parametrize("name", ["Beauty.txt", "Beauty.txt.gz"])
def test_each_line_is_one_user_in_time_order(write: Writer, name: str) -> None:
    frame = read_user_sequences(write(name, "7 c a\tc\r\n\n5  b \n"))
    assert frame.columns == ["user", "item", "timestamp", "row"]
    assert frame.rows() == [("7", "c", 0, 0), ("7", "a", 1, 1), ("7", "c", 2, 2), ("5", "b", 0, 3)]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("1 a b\n2\n", r":2: a user without items"),
        ("1,a,b\n", r":1: a user without items \(separate user and items by spaces"),
        ("\n1 a b\n2 a\n1 c\n", r":4: the same user as in line 2"),
        ("1 a\n\x00\n", r":2: a user without items"),
    ],
)
def test_bad_lines_are_refused_by_number(write: Writer, text: str, complaint: str) -> None:
    with pytest.raises(DataError, match=r"Beauty\.txt" + complaint):
        read_user_sequences(write("Beauty.txt", text))


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(b"1 a\n2 \xff\n")
    with pytest.raises(DataError, match=r"x\.txt:2: not UTF-8 text"):
        read_user_sequences(path)
    with pytest.raises(DataError, match="no such file"):
        read_user_sequences(tmp_path / "gone.txt")


def test_the_message_never_shows_what_stands_in_a_line(write: Writer) -> None:
    with pytest.raises(DataError) as caught:
        read_user_sequences(write("x.txt", "secret-user\n"))
    assert "secret" not in str(caught.value)


def test_the_real_file_holds_what_was_published(real_data: Path) -> None:
    path = real_data / "amazon-beauty" / "Beauty.txt.gz"
    market = load_market(DataSettings(kind="sequences", path=str(path)))
    assert market.market == "beauty"
    assert (market.num_users, market.num_items, market.num_interactions) == (22_363, 12_101, 198_502)
    first = market.sequences[market.user_ids.index("2")]
    ids = [market.catalogue.item_ids[item] for item in first]
    assert ids == ["6", "7", "8", "9", "10", "4", "11"]
