from collections.abc import Callable
from pathlib import Path

import pytest

from fecosr.data.interactions import market_name, read_interactions
from fecosr.data.sequences import load_market
from fecosr.data.settings import ColumnNames, DataSettings, SyntheticSettings
from fecosr.errors import DataError

Writer = Callable[[str, str], Path]

CSV = "user,item,timestamp\nu,X1,2\nv,X2,1\nu,X2,1\n"
XMARKET = "userId itemId rate date\nu X1 5.0 1970-01-03\nv X2 5.0 1970-01-02\nu X2 5.0 1970-01-02\n"
RECBOLE = "user_id:token\titem_id:token\ttimestamp:float\nu\tX1\t2\nv\tX2\t1\nu\tX2\t1\n"
RETAIL = (
    "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
    "1,x1,A,1,1970-01-03 00:00:00,1,u,Germany\n"
    "2,x2,B,1,1970-01-02 00:00:00,1,v,Germany\n"
    "3,x2,B,1,1970-01-02 00:00:00,1,u,Germany\n"
)


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        ("csv", "de.csv", CSV),
        ("xmarket", "de_5core.txt.gz", XMARKET),
        ("recbole", "de.inter", RECBOLE),
        ("online_retail", "online_retail.csv", RETAIL),
        ("sequences", "de.txt", "v X2\nu X2 X1\n"),
    ],
)
def test_every_format_ends_in_the_same_market(write: Writer, kind: str, name: str, text: str) -> None:
    settings = DataSettings(kind=kind, path=str(write(name, text)), market="de", min_core=1)  # type: ignore[arg-type]
    market = load_market(settings)
    assert market.catalogue.item_ids == ("X1", "X2")
    assert market.user_ids == ("u", "v")
    assert [sequence.tolist() for sequence in market.sequences] == [[1, 0], [1]]
    assert market.market == "de"


def test_parquet_and_synthetic_come_through_the_same_door(tmp_path: Path) -> None:
    synthetic = DataSettings(
        kind="synthetic", market="isle", min_core=1, synthetic=SyntheticSettings(num_users=20)
    )
    read_interactions(synthetic).write_parquet(tmp_path / "isle.parquet")
    columns = ColumnNames(title="title")
    copy = DataSettings(kind="parquet", path=str(tmp_path / "isle.parquet"), min_core=1, columns=columns)
    original, reread = load_market(synthetic), load_market(copy)
    assert original.catalogue == reread.catalogue
    assert [items.tolist() for items in original.sequences] == [items.tolist() for items in reread.sequences]


def test_excluded_users_are_not_there(write: Writer) -> None:
    path = str(write("de.csv", CSV))
    frame = read_interactions(DataSettings(kind="csv", path=path, exclude_users=("u", "stranger")))
    assert frame["user"].to_list() == ["v"]
    with pytest.raises(DataError, match="every user is excluded"):
        read_interactions(DataSettings(kind="csv", path=path, exclude_users=("u", "v")))


def test_an_empty_market_is_refused(write: Writer) -> None:
    path = write("de.csv", "user,item,timestamp\n")
    with pytest.raises(DataError, match=r"de\.csv: no interactions"):
        read_interactions(DataSettings(kind="csv", path=str(path)))


@pytest.mark.parametrize(
    ("path", "market", "expected"),
    [
        ("x/de.csv.gz", "", "de"),
        ("x/UK_5core.txt.gz", "", "uk"),
        ("x/Beauty.txt.gz", "", "beauty"),
        ("x/de.csv", "berlin", "berlin"),
    ],
)
def test_a_market_without_a_name_is_called_after_its_file(path: str, market: str, expected: str) -> None:
    assert market_name(DataSettings(kind="csv", path=path, market=market)) == expected


def test_a_file_whose_name_is_no_market_name_needs_one() -> None:
    with pytest.raises(DataError, match="set market, or rename the file"):
        market_name(DataSettings(kind="csv", path="x/große stadt.csv"))
