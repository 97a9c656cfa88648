"""UCI Online Retail: the invoices of one shop, cut into markets by the customer's country."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import polars as pl

from fecosr.data.readers.tables import SourceTable, read_delimited
from fecosr.data.readers.tabular import interactions
from fecosr.data.settings import RETAIL_COUNTRIES, ColumnNames
from fecosr.errors import DataError

FILE_NAMES: Final = ("online_retail.csv", "online_retail.csv.gz")
_COLUMNS: Final = ColumnNames(
    user="CustomerID", item="StockCode", timestamp="InvoiceDate", title="Description"
)
_SERVICE_CODES: Final = ("AMAZONFEE", "B", "BANK CHARGES", "C2", "CRUK", "D", "DOT", "M", "PADS", "POST", "S")
"""Stock codes of postage, fees, samples, discounts and corrections: nobody could be recommended these."""


def read_online_retail(path: Path, market: str) -> pl.DataFrame:
    """Return what the customers of one market bought, one interaction per invoice line, oldest first.

    Left out: cancellations (InvoiceNo starts with C), lines without a customer, lines with a quantity that is
    not positive, services and gift vouchers.

    Raises:
        DataError: the file cannot be used, or holds nothing of the market.
    """
    table = read_delimited(_file(path), ",", quoted=True)
    table.require("InvoiceNo", "Quantity", "Country", "CustomerID", "StockCode", "InvoiceDate", "Description")
    _require_numbers(table, "Quantity")
    table.refuse_where(
        pl.col("StockCode").is_null(), "column StockCode is empty", remedy="complete or delete the line"
    )
    here = table.frame.with_columns(
        pl.col("StockCode").str.strip_chars().str.to_uppercase(),
        pl.col("CustomerID").str.strip_chars().str.strip_suffix(".0"),
    ).filter(_is_sale(), pl.col("Country").str.strip_chars().is_in(RETAIL_COUNTRIES[market]))
    if here.is_empty():
        raise DataError(
            f"no purchases in {', '.join(RETAIL_COUNTRIES[market])}",
            remedy="check the column Country and the market",
            source=str(path),
        )
    return interactions(replace(table, frame=here), _COLUMNS)


def _is_sale() -> pl.Expr:
    """Return which invoice lines are a customer buying a product."""
    code = pl.col("StockCode")
    return (
        ~pl.col("InvoiceNo").str.to_uppercase().str.starts_with("C")
        & pl.col("CustomerID").is_not_null()
        & (pl.col("Quantity").cast(pl.Float64) > 0)
        & ~code.is_in(_SERVICE_CODES)
        & ~code.str.starts_with("GIFT")
    )


def _require_numbers(table: SourceTable, column: str) -> None:
    """Refuse a column in which some row holds no number."""
    table.refuse_where(
        pl.col(column).cast(pl.Float64, strict=False).is_null(),
        f"column {column} holds no number",
        remedy="correct or delete the line",
    )


def _file(path: Path) -> Path:
    """Return the file, given it or its folder."""
    if not path.is_dir():
        return path
    for name in FILE_NAMES:
        if (path / name).is_file():
            return path / name
    raise DataError(f"the folder has no {FILE_NAMES[0]}[.gz]", remedy="check the path", source=str(path))
