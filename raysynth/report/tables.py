"""Tables of a report: rows of names and numbers that the page can sort and a CSV file holds in full."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import pandas as pd

MISSING = "–"
Write = Callable[[Any], str]  # a number as the page shows it


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def format_percent(value: Any, digits: int = 1) -> str:
    """0.9452 as `94.5`; what is not a number as a dash."""
    return f"{100 * value:.{digits}f}" if _finite(value) else MISSING


def format_score(value: Any, digits: int = 3) -> str:
    """0.9452 as `0.945`."""
    return f"{value:.{digits}f}".replace("-", "−") if _finite(value) else MISSING


def format_number(value: Any) -> str:
    """12345 as `12,345`; a fraction keeps one digit."""
    if not _finite(value):
        return MISSING
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 100 else f"{value:,.1f}"


def format_points(value: Any) -> str:
    """A difference of 0.012 as `+1.2`."""
    return f"{100 * value:+.1f}".replace("-", "−") if _finite(value) else MISSING


@dataclass(frozen=True)
class Column:
    """A column of numbers, which `write` makes texts of, or of words, without `write`.

    Neighbours of one `group` share a heading above their titles. `note` is small print in the heading. What is `hidden`
    is in the CSV file only.
    """

    title: str
    write: Write | None = None
    group: str = ""
    note: str = ""
    hidden: bool = False

    @property
    def full_title(self) -> str:
        return f"{self.group} {self.title}".strip()


def words(title: str, **rest: Any) -> Column:
    """A column of names or sentences."""
    return Column(title, **rest)


def counts(title: str, **rest: Any) -> Column:
    """A column of whole numbers, or of numbers of which one digit is enough."""
    return Column(title, format_number, **rest)


def scores(title: str, digits: int = 3, **rest: Any) -> Column:
    """A column of numbers with a fixed number of digits."""
    return Column(title, partial(format_score, digits=digits), **rest)


def percents(title: str, digits: int = 1, **rest: Any) -> Column:
    """A column of shares, 0 to 1, shown as percentages."""
    return Column(title, partial(format_percent, digits=digits), **rest)


def points(title: str, **rest: Any) -> Column:
    """A column of differences of shares, shown as percentage points with their sign."""
    return Column(title, format_points, **rest)


@dataclass(frozen=True)
class Cell:
    """A value and what stands beside it: `spread` on its line, `note` below it, small; `mark` as a label to be heeded.

    `kind` (real, synthetic, mixed or distilled) puts the dot of that colour before it.
    """

    value: Any
    spread: str = ""
    note: str = ""
    mark: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Row:
    """Cells, or plain values, one a column. A row that matters more is `strong`; the `best` one is also shaded."""

    cells: Sequence[Any]
    strong: bool = False
    best: bool = False


@dataclass(frozen=True)
class Heading:
    """A cell of the head. `index` counts the columns of the page; None for a heading of several."""

    title: str
    note: str
    numeric: bool
    index: int | None
    num_columns: int = 1
    num_rows: int = 1


@dataclass(frozen=True)
class ShownCell:
    """A cell as the template writes it. `sort_key` is the number behind the text, empty where there is none."""

    text: str
    cell: Cell
    numeric: bool
    sort_key: str


@dataclass(frozen=True)
class ShownRow:
    """A row as the template writes it; `first` of those that share their first cell, which is shown once."""

    cells: list[ShownCell]
    first: bool
    strong: bool
    best: bool


@dataclass(frozen=True)
class Table:
    """A table of the page, sorted by a click on a heading.

    `name` becomes its file name, `title` what a screen reader announces, `caption` the lines below it. `look` is a CSS
    class: `narrow` (as wide as its content), `wide` (small letters for many columns) or none.
    """

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    caption: str = ""
    look: str = ""

    def __bool__(self) -> bool:
        return bool(self.rows)

    @property
    def head(self) -> list[list[Heading]]:
        """One row of headings, or two where columns are grouped."""
        shown = [column for column in self.columns if not column.hidden]
        if not any(column.group for column in shown):
            return [[Heading(c.title, c.note, c.write is not None, i) for i, c in enumerate(shown)]]
        upper: list[Heading] = []
        lower: list[Heading] = []
        for group, members in groupby(enumerate(shown), key=lambda pair: pair[1].group):
            leaves = [Heading(c.title, c.note, c.write is not None, i, num_rows=1 if group else 2) for i, c in members]
            if group:
                upper.append(Heading(group, "", True, None, num_columns=len(leaves)))
                lower += leaves
            else:
                upper += leaves
        return [upper, lower]

    @property
    def lines(self) -> Iterator[ShownRow]:
        """The rows as the template writes them."""
        before: Any = None
        for row in self.rows:
            cells = [_as_cell(cell) for cell in row.cells]
            shown = [_show(column, cell) for column, cell in zip(self.columns, cells, strict=True) if not column.hidden]
            yield ShownRow(shown, before is None or before != cells[0].value, row.strong, row.best)
            before = cells[0].value

    def as_data_frame(self) -> pd.DataFrame:
        """All columns with every digit; `mark` is added where a cell has one."""
        titles = [column.full_title for column in self.columns]
        cells = [[_as_cell(cell) for cell in row.cells] for row in self.rows]
        content = pd.DataFrame([[cell.value for cell in row] for row in cells], columns=titles).convert_dtypes()
        marks = ["; ".join(dict.fromkeys(cell.mark for cell in row if cell.mark)) for row in cells]
        return content.assign(mark=marks) if any(marks) else content


def _as_cell(cell: Any) -> Cell:
    return cell if isinstance(cell, Cell) else Cell(cell)


def _show(column: Column, cell: Cell) -> ShownCell:
    if column.write is None:
        return ShownCell(MISSING if cell.value is None else str(cell.value), cell, False, "")
    # Numbers of pandas and of numpy compare like Python's own, and `isinstance` does not know all of them.
    value = cell.value.item() if hasattr(cell.value, "item") else cell.value
    return ShownCell(column.write(value), cell, True, repr(float(value)) if _finite(value) else "")
