"""The figures and tables of a report as files of their own, for papers, in a folder beside the page."""

from __future__ import annotations

import csv
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from raysynth.errors import UserError
from raysynth.report.section import Section
from raysynth.report.style import Panel, Picture, plain
from raysynth.report.svg import as_file
from raysynth.report.tables import Table

CONTENTS = "contents.csv"
_COLUMNS = ["file", "section", "title", "rests_on"]


def folder_beside(out: Path) -> Path:
    """`report.html` -> `report_files`."""
    return out.with_name(f"{out.stem}_files")


def refuse_foreign(folder: Path) -> None:
    """Raise UserError when something that no report has written would be lost with `folder`.

    A folder is a report's when its `contents.csv` lists every file that is in it.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    remedy = "move it away, or choose another --out"
    if folder.is_symlink() or not folder.is_dir():
        raise UserError(f"--out: {folder} is where the figures go, and is no folder of a report; {remedy}")
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or path.is_file()}
    strangers = sorted(present - _listed(folder / CONTENTS))
    if strangers:
        raise UserError(
            f"--out: {folder} is where the figures go, and holds what no report has written "
            f"({plain(strangers[0], 60)}); {remedy}"
        )


def _listed(contents: Path) -> set[str]:
    """Every file that a folder's list of contents names, itself included; none where that is not a report's."""
    try:
        with contents.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            names = {str(row["file"]) for row in reader} if reader.fieldnames == _COLUMNS else set()
    except (OSError, ValueError, csv.Error):
        return set()
    return names | {CONTENTS} if names else set()


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """An empty folder to write to; it takes the place of `folder`, a report's own, when the block ends well."""
    partial, old = (folder.with_name(f".{folder.name}.{word}-{os.getpid()}") for word in ("partial", "old"))
    partial.mkdir(parents=True)
    try:
        yield partial
        refuse_foreign(folder)
        if folder.exists():
            folder.rename(old)
        try:
            partial.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_files(sections: Sequence[Section], folder: Path) -> Counter[str]:
    """Write `figures/*.svg`, `figures/*.png`, `tables/*.csv` and their list; return how many of each suffix.

    Files are named after what they show and numbered, never after a class or a data set: the list says which is which.
    """
    rows: list[list[str]] = []
    used: Counter[str] = Counter()
    for section in sections:
        for content in section.contents():
            data, suffix, title, caption = _as_file(content)
            if not data or not content.name:
                continue
            if not re.fullmatch(r"[a-z0-9_]+", content.name):
                raise ValueError(f"{content.name!r} is not a name for a file")
            parent = "tables" if suffix == "csv" else "figures"
            used[f"{parent}/{content.name}"] += 1
            number = used[f"{parent}/{content.name}"]
            name = f"{parent}/{content.name}" + (f"_{number}" if number > 1 else "") + f".{suffix}"
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
            rows.append([name, section.name, title, caption])
    pd.DataFrame(rows, columns=_COLUMNS).to_csv(folder / CONTENTS, index=False)
    return Counter(Path(row[0]).suffix[1:] for row in rows)


def _as_file(content: Table | Panel | Picture) -> tuple[bytes, str, str, str]:
    """Bytes, suffix, title and caption; no bytes where there is nothing to write."""
    if isinstance(content, Table):
        text = content.as_data_frame().to_csv(index=False) if content else ""
        return text.encode("utf-8", "replace"), "csv", content.title, content.caption
    if isinstance(content, Picture):
        return content.png, "png", content.alt, ""
    title = content.title or content.alt
    if content.svg:
        return as_file(content.svg).encode("utf-8", "replace"), "svg", title, content.caption
    return content.png, "png", title, content.caption
