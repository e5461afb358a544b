"""Tables of a report: what the page shows, and what the CSV file holds."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from raysynth.report.section import Section
from raysynth.report.tables import Cell, Row, Table, counts, percents, points, scores, words

COLUMNS = [
    words("set"),
    counts("images"),
    scores("micro", group="recall"),
    scores("macro", group="recall"),
    points("difference", note="95 % interval"),
    percents("low", hidden=True),
]
ROWS = [
    Row([Cell("a", kind="real"), 1200, 0.5, np.float64(0.25), Cell(-0.0123, note="−2 to 1"), 0.1], strong=True),
    Row(["a", np.int64(3), float("nan"), None, 0.02, 0.2]),
    Row([Cell("b", mark="leaky split"), 4, 1.0, 1.0, 0.0, 0.3], best=True),
]


def test_numbers_are_written_as_their_columns_say() -> None:
    lines = list(Table("t", "T", COLUMNS, ROWS).lines)
    assert [cell.text for cell in lines[0].cells] == ["a", "1,200", "0.500", "0.250", "−1.2"]
    assert [cell.text for cell in lines[1].cells] == ["a", "3", "–", "–", "+2.0"]
    assert [cell.sort_key for cell in lines[1].cells] == ["", "3.0", "", "", "0.02"]
    assert [line.first for line in lines] == [True, False, True]
    assert [line.strong for line in lines] == [True, False, False]
    assert lines[2].best


def test_head_has_a_second_row_where_columns_are_grouped() -> None:
    upper, lower = Table("t", "T", COLUMNS, ROWS).head
    assert [(heading.title, heading.index, heading.num_rows) for heading in upper] == [
        *(("set", 0, 2), ("images", 1, 2), ("recall", None, 1), ("difference", 4, 2)),
    ]
    assert [(heading.title, heading.index) for heading in lower] == [("micro", 2), ("macro", 3)]
    assert sum(heading.num_columns for heading in upper) == 5
    assert len(Table("t", "T", COLUMNS[:2], []).head) == 1


def test_file_holds_every_digit_hidden_columns_and_marks() -> None:
    table = Table("t", "T", COLUMNS, ROWS).as_data_frame()
    back = pd.read_csv(io.StringIO(table.to_csv(index=False)))
    assert list(back) == ["set", "images", "recall micro", "recall macro", "difference", "low", "mark"]
    assert list(back["images"]) == [1200, 3, 4]
    assert back["difference"].tolist() == [-0.0123, 0.02, 0.0]
    assert back["mark"].tolist()[2] == "leaky split"
    assert "mark" not in Table("t", "T", COLUMNS, ROWS[:2]).as_data_frame()


def test_a_row_of_another_length_is_a_bug() -> None:
    with pytest.raises(ValueError, match="zip"):
        list(Table("t", "T", COLUMNS, [Row(["a", 1])]).lines)


def test_a_section_finds_its_tables_wherever_they_are() -> None:
    one, two, three = (Table(name, "T", COLUMNS, ROWS) for name in ("one", "two", "three"))
    section = Section("x", "X", "X?", values={"a": one, "b": [{"c": two}, ("title", [None, three])], "d": 3})
    assert list(section.contents()) == [one, two, three]
    assert not Table("t", "T", COLUMNS, [])
