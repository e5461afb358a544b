from __future__ import annotations

import pytest

from raysynth.errors import UserError
from raysynth.files import refuse_unwritable, replacing, write_text


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "new folder" / "a.txt"
    write_text(path, "ä")
    write_text(path, "b")
    assert path.read_text() == "b"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "before")

    def write_half() -> None:
        with replacing(path) as file:
            file.write(b"half of it")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_made_is_refused_and_nothing_is_left_behind(tmp_path):
    (tmp_path / "file").touch()
    refuse_unwritable(tmp_path / "new" / "newer", "--out")
    for path in (tmp_path / "file" / "x", tmp_path / "file" / "x" / "y", tmp_path / ("long" * 100)):
        with pytest.raises(UserError, match=r"^--out .*: cannot be written \(.+\); choose another folder$"):
            refuse_unwritable(path, "--out")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
