"""Figures and tables beside the page: complete, listed, and never in the place of what is not a report's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from raysynth.errors import UserError
from raysynth.report.report import report
from raysynth.report.report_files import CONTENTS, folder_beside, refuse_foreign, replacing_folder, write_files
from raysynth.report.section import Section
from raysynth.report.style import Panel, Picture
from raysynth.report.tables import Row, Table, counts, words

TABLE = Table("numbers", 'Numbers, "all"', [words("name"), counts("n")], [Row(["a,\n<b>", 1])])
CHART = Panel(
    "Chart", "What it rests on", "alt", 700, svg='<svg xmlns="http://www.w3.org/2000/svg"><g/></svg>', name="c"
)


def write(folder: Path, *contents: Any) -> None:
    with replacing_folder(folder) as partial:
        write_files([Section("x", "X", "X?", values={"all": contents})], partial)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_files_are_listed_and_numbered(tmp_path: Path) -> None:
    folder = tmp_path / "report_files"
    unnamed = Picture(b"png", "alt", 10, name="")
    write(folder, TABLE, CHART, CHART, Picture(b"png", "alt of it", 10), unnamed, Table("none", "None", [], []))
    assert files(folder) == {
        *("tables/numbers.csv", "figures/c.svg", "figures/c_2.svg", "figures/picture.png", CONTENTS),
    }
    contents = pd.read_csv(folder / CONTENTS, keep_default_na=False)
    assert list(contents["file"]) == ["tables/numbers.csv", "figures/c.svg", "figures/c_2.svg", "figures/picture.png"]
    assert list(contents["title"]) == ['Numbers, "all"', "Chart", "Chart", "alt of it"]
    assert pd.read_csv(folder / "tables" / "numbers.csv")["name"].tolist() == ["a,\n<b>"]
    assert folder_beside(tmp_path / "report.html") == folder


def test_an_older_folder_is_replaced_whole(tmp_path: Path) -> None:
    folder = tmp_path / "report_files"
    write(folder, TABLE, CHART)
    write(folder, TABLE)
    assert files(folder) == {"tables/numbers.csv", CONTENTS}
    broken = Table("broken", "Broken", TABLE.columns, [Row(["too", "many", "cells"])])
    with pytest.raises(ValueError, match="columns"):
        write(folder, CHART, broken)
    assert files(folder) == {"tables/numbers.csv", CONTENTS}
    assert list(tmp_path.iterdir()) == [folder]


def test_what_no_report_has_written_stays(tmp_path: Path) -> None:
    folder = tmp_path / "report_files"
    refuse_foreign(folder)
    folder.mkdir()
    refuse_foreign(folder)  # nothing to lose
    write(folder, TABLE)
    refuse_foreign(folder)
    (folder / "tables" / "mine.csv").write_text("precious")
    with pytest.raises(UserError, match=r"tables/mine\.csv.*choose another --out"):
        write(folder, TABLE)
    assert (folder / "tables" / "mine.csv").read_text() == "precious"
    assert list(tmp_path.iterdir()) == [folder]
    (folder / "tables" / "mine.csv").unlink()
    (folder / CONTENTS).write_text("file\ntables/numbers.csv\n")  # a list, and not ours
    with pytest.raises(UserError, match="no report has written"):
        refuse_foreign(folder)


def test_a_link_or_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    real = tmp_path / "elsewhere"
    write(real, TABLE)
    link = tmp_path / "report_files"
    link.symlink_to(real)
    with pytest.raises(UserError, match="no folder of a report"):
        refuse_foreign(link)
    link.unlink()
    link.write_text("")
    with pytest.raises(UserError, match="no folder of a report"):
        refuse_foreign(link)


def test_names_of_files_are_plain(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a name for a file"):
        write(tmp_path / "report_files", Table("../x", "T", TABLE.columns, TABLE.rows))
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_folder_is_refused_before_anything_is_drawn(study: Any, tmp_path: Path) -> None:
    out = tmp_path / "out" / "report.html"
    foreign = out.with_name("report_files") / "thesis.tex"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("precious")
    said: list[str] = []
    with pytest.raises(UserError, match=r"thesis\.tex"):
        report(study.evaluation, out, say=said.append)
    assert said == []
    assert foreign.read_text() == "precious"
    assert not out.exists()
