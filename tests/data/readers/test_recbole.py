from collections.abc import Callable
from pathlib import Path

import pytest

from fecosr.data.readers.recbole import read_recbole
from fecosr.errors import DataError

Writer = Callable[[str, str], Path]

INTER = 'user_id:token\titem_id:token\trating:float\ttimestamp:float\nu1\ti"1\t5\t1.7145216e9\nu2\ti2\t4\t3\n'


def test_typed_headers_are_understood(write: Writer) -> None:
    frame = read_recbole(write("ml.inter", INTER))
    assert frame.rows() == [("u1", 'i"1', 1_714_521_600, 0), ("u2", "i2", 3, 1)]


def test_titles_come_from_the_item_file(write: Writer) -> None:
    path = write("ml.inter", INTER)
    write("ml.item", "item_id:token\tmovie_title:token_seq\ni2\tToy Story\ni2\tother\ni9\tHeat\n")
    frame = read_recbole(path)
    assert frame.columns == ["user", "item", "timestamp", "row", "title"]
    assert frame["title"].to_list() == [None, "Toy Story"]


@pytest.mark.parametrize(
    ("inter", "item", "complaint"),
    [
        ("user_id:token\titem_id:token\nu\ti\n", "", r"ml\.inter:1: no column timestamp:float"),
        ("user_id,item_id,timestamp\nu,i,1\n", "", r"ml\.inter:1: no column user_id:token .*separator"),
        (INTER + "u3\ti3\t1\n", "", r"ml\.inter:4: column timestamp:float is empty"),
        (INTER, "item_id:token\tbrand:token\ni2\tx\n", r"ml\.item:1: no title column"),
        (INTER, "item_id:token\ttitle:token_seq\n\tx\n", r"ml\.item:2: column item_id:token is empty"),
    ],
)
def test_bad_files_are_refused_by_line(write: Writer, inter: str, item: str, complaint: str) -> None:
    path = write("ml.inter", inter)
    if item:
        write("ml.item", item)
    with pytest.raises(DataError, match=complaint):
        read_recbole(path)
