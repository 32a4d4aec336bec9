"""A CSV file with a header -> its rows, each with its line number."""
import csv
import math
from collections.abc import Iterator
from pathlib import Path

from .audio import printable


class TableError(ValueError):
    """A file that is no such table. One line: where, what was found, what is accepted, what to do."""


def normal(name: str) -> str:
    """The form in which names of splits, classes, species and columns are compared."""
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def read_rows(path: Path, needed: tuple[str, ...], accepted: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of each row that is not empty; first of the header, its names `normal`.

    Comma, semicolon or tab between fields; UTF-8, and bytes that are not as os.fsdecode has them.
    raises  TableError if it cannot be read, or has not all the needed columns
    """
    try:
        with open(path, newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            header = file.readline()
            file.seek(0)
            rows = csv.reader(file, delimiter=max(",;\t", key=header.count))
            names = [normal(name) for name in next(rows, [])]
            if not set(needed) <= set(names):
                raise TableError(f"{printable(path)}: has the columns {printable(', '.join(names)) or 'none'}; accepted: "
                                 f"{', '.join(accepted)}; {' and '.join(needed)} are needed; name them in line 1")
            yield 1, names
            for fields in rows:
                if any(field.strip() for field in fields):
                    yield rows.line_num, fields
    except (OSError, csv.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise TableError(f"{printable(path)}: cannot be read as CSV ({why}); accepted: text, a header first") from None


def as_record(names: list[str], fields: list[str], columns: tuple[str, ...]) -> dict[str, str]:
    """{column: text}, "" for a column that is not there. raises ValueError for more fields than names"""
    if len(fields) > len(names):
        raise ValueError(f"{len(fields)} fields, the header has {len(names)}; quote a field that holds a separator")
    return dict.fromkeys(columns, "") | {name: field.strip() for name, field in zip(names, fields)}


def number(text: str, name: str, accepted: str, low: float = 0.0, high: float = math.inf) -> float:
    """A field as a finite number from low to high. raises ValueError: the column, what was found, what is accepted"""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high or value == math.inf:
        raise ValueError(f"{name} is {text!r}; accepted: {accepted}")
    return value


def seconds(text: str, name: str) -> float:
    """A field as seconds, finite and at least 0; ValueError as above."""
    return number(text, name, "seconds, at least 0, with a decimal point")
