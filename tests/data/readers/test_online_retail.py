from collections.abc import Callable
from pathlib import Path

import pytest

from fecosr.data.readers.online_retail import read_online_retail
from fecosr.errors import DataError

Writer = Callable[[str, str], Path]

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"


def line(
    *,
    invoice: str = "536365",
    code: str = "85123A",
    description: str = "LAMP",
    quantity: str = "6.0",
    customer: str = "17850.0",
    country: str = "Spain",
) -> str:
    return f"{invoice},{code},{description},{quantity},1970-01-02 08:26:00,2.55,{customer},{country}\n"


def read(write: Writer, *lines: str, market: str = "iberia-italy") -> list[tuple[object, ...]]:
    return read_online_retail(write("online_retail.csv", HEADER + "".join(lines)), market).rows()


KEPT = ("17850", "85123A", 86400 + 8 * 3600 + 26 * 60, 0, "LAMP")


def test_a_purchase_becomes_an_interaction(write: Writer) -> None:
    assert read(write, line()) == [KEPT]


def test_a_folder_will_do(write: Writer) -> None:
    path = write("online_retail.csv.gz", HEADER + line())
    assert read_online_retail(path.parent, "iberia-italy").rows() == [KEPT]


@pytest.mark.parametrize(
    "left_out",
    [
        line(invoice="C536365"),
        line(customer=""),
        line(quantity="-6.0"),
        line(quantity="0"),
        line(country="Germany"),
        *[line(code=code) for code in ("POST", "D", "M", "m", "BANK CHARGES", "DOT", "C2", "AMAZONFEE")],
        *[line(code=code) for code in ("CRUK", "PADS", "S", "B", "gift_0001_20")],
    ],
)
def test_what_no_customer_of_the_market_chose_is_left_out(write: Writer, left_out: str) -> None:
    assert read(write, line(), left_out) == [KEPT]


def test_lines_that_are_left_out_need_no_description(write: Writer) -> None:
    assert read(write, line(), line(description="", customer="")) == [KEPT]


def test_several_countries_make_one_market_and_codes_are_tidied(write: Writer) -> None:
    rows = read(
        write,
        line(country="Portugal", code=" dcgs0003 ", description='"BOX,  ""RED"""'),
        line(country="Italy", description=""),
        line(country="France"),
    )
    assert [(row[1], row[4]) for row in rows] == [("DCGS0003", 'BOX, "RED"'), ("85123A", None)]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (HEADER + line() + line(quantity="six"), r":3: column Quantity holds no number"),
        (HEADER + line() + line(code=""), r":3: column StockCode is empty"),
        (HEADER + line().replace("1970-01-02", "02/01/1970"), r":2: column InvoiceDate holds no time"),
        (HEADER.replace("Country", "Land") + line(), r":1: no column Country"),
        (HEADER.replace(",", ";"), r":1: no column InvoiceNo, .*check the separator"),
        (HEADER + line(country="Malta"), r": no purchases in Spain, Portugal, Italy"),
        (HEADER, r": no purchases in"),
    ],
)
def test_bad_files_are_refused_by_line(write: Writer, text: str, complaint: str) -> None:
    with pytest.raises(DataError, match=r"online_retail\.csv" + complaint):
        read_online_retail(write("online_retail.csv", text), "iberia-italy")


def test_a_folder_without_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the folder has no online_retail\.csv"):
        read_online_retail(tmp_path, "uk")


def test_the_real_file_holds_titled_products_only(real_data: Path) -> None:
    frame = read_online_retail(real_data / "online-retail", "nordics")
    assert (frame.height, frame["user"].n_unique(), frame["item"].n_unique()) == (2491, 39, 1066)
    assert frame["title"].null_count() == 0
    assert frame["item"].str.contains(r"^(\d{5}|DCGS)").all()
