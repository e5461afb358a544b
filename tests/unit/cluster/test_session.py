from __future__ import annotations

import os

import pytest

from raysynth.cluster import session
from raysynth.cluster.session import QUIET_ENVIRONMENT, num_cores, num_threads, prepare_environment, ray_session
from raysynth.errors import UserError


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


def test_threads_are_the_cores_or_what_the_user_allows(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert num_threads() == num_cores()
    assert num_threads(3) == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert (num_threads(3), num_threads(1)) == (2, 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "0")
    assert num_threads(3) == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "4,2")  # by level of nesting: not ours to read
    assert num_threads(3) == 3


def test_a_ray_that_does_not_start_is_one_line(monkeypatch):
    import ray

    def busy(**options: object) -> None:
        raise Exception("The current node timed out during startup.\nA page of advice")

    monkeypatch.setattr(ray, "init", busy)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    with pytest.raises(UserError) as refused, ray_session():
        pass
    assert str(refused.value).startswith(
        "Ray did not start on this machine (The current node timed out during startup.)"
    )
    assert "\n" not in str(refused.value)
