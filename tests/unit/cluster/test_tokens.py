from __future__ import annotations

import os
from pathlib import Path

import pytest

from raysynth.cluster import tokens
from raysynth.cluster.tokens import ensure_token, find_token, is_readable_by_others
from raysynth.errors import UserError


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch) -> Path:
    """Where the token is to be; nothing is there yet."""
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "ray" / "auth_token"))
    return tmp_path / "ray" / "auth_token"


def test_a_token_is_made_once_and_nobody_else_can_read_it(file):
    assert find_token() is None
    ensure_token()
    token = find_token()
    assert token is not None
    assert len(token) == 64
    assert file.stat().st_mode & 0o777 == 0o600
    ensure_token()
    assert find_token() == token
    assert list(file.parent.iterdir()) == [file]


def test_a_token_that_others_could_read_is_closed_to_them(file):
    file.parent.mkdir()
    file.write_text("made by Ray\n")
    file.chmod(0o644)
    assert is_readable_by_others(file)
    ensure_token()
    assert not is_readable_by_others(file)
    assert find_token() == "made by Ray"


def test_of_two_processes_that_make_one_the_first_counts(file, monkeypatch):
    file.parent.mkdir()

    def link(new: Path, target: Path) -> None:
        Path(target).write_text("the other one's")
        raise FileExistsError

    monkeypatch.setattr(os, "link", link)
    ensure_token()
    assert find_token() == "the other one's"
    assert list(file.parent.iterdir()) == [file]


def test_a_users_own_settings_win(file, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "mine")
    ensure_token()
    assert find_token() == "mine"
    assert not file.exists()
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    ensure_token()
    assert not file.exists()


def test_where_no_file_can_be_written_the_token_is_in_the_environment(monkeypatch):
    def refuse(file: Path) -> None:
        raise PermissionError

    monkeypatch.setenv("RAY_AUTH_TOKEN", "")  # restored by the fixture
    monkeypatch.setattr(tokens, "_write_new", refuse)
    ensure_token()
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64


def test_a_token_that_cannot_be_read_is_said(file):
    file.mkdir(parents=True)
    with pytest.raises(UserError, match=r"the token cannot be read .*chmod 600"):
        find_token()
