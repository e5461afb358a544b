from __future__ import annotations

import os

from raysynth.cluster import session
from raysynth.cluster.session import QUIET_ENVIRONMENT, num_cores, prepare_environment


def test_a_users_own_settings_win(monkeypatch):
    for variable in QUIET_ENVIRONMENT:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    prepare_environment()
    assert os.environ["GOMP_SPINCOUNT"] == "7"
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_compiled_packages_need_no_other_place_for_bytecode(monkeypatch):
    monkeypatch.setattr(session, "_has_bytecode", lambda module: True)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    prepare_environment()
    assert os.environ["PYTHONDONTWRITEBYTECODE"] == "1"
    assert "PYTHONPYCACHEPREFIX" not in os.environ


def test_bytecode_is_kept_where_it_was_forbidden_beside_the_sources(monkeypatch, tmp_path):
    monkeypatch.setattr(session, "_has_bytecode", lambda module: False)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    prepare_environment()
    assert "PYTHONDONTWRITEBYTECODE" not in os.environ
    assert os.environ["PYTHONPYCACHEPREFIX"].startswith(str(tmp_path))


def test_cores_are_those_that_may_be_used():
    assert 1 <= num_cores() <= (os.cpu_count() or 1)
