from __future__ import annotations

import os
import sys
import threading
from types import ModuleType

import pytest

from raysynth.cluster import session
from raysynth.cluster.session import (
    PRELOAD,
    QUIET_ENVIRONMENT,
    joined_cluster,
    num_cores,
    num_threads,
    prepare_environment,
    ray_session,
    ray_starting,
)
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


class FakeRay:
    """Stands for a local Ray; `init` waits for `may_start` and raises what `problem` says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import ray

        self.may_start = threading.Event()
        self.problem = ""
        self.there = False
        self.num_starts = 0
        self.preload = ""
        monkeypatch.setattr(ray, "init", self.init)
        monkeypatch.setattr(ray, "is_initialized", lambda: self.there)
        monkeypatch.setattr(ray, "shutdown", self.shutdown)

    def init(self, **options: object) -> None:
        assert self.may_start.wait(30)
        self.preload = os.environ[PRELOAD]
        if self.problem:
            raise Exception(self.problem)
        self.there = True
        self.num_starts += 1

    def shutdown(self) -> None:
        self.there = False


@pytest.fixture
def fake_ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    return FakeRay(monkeypatch)


def test_a_block_begins_before_ray_is_there_and_a_session_in_it_waits(fake_ray):
    with ray_starting(preload=("torch", "ray.tune")):
        assert not fake_ray.there
        threading.Timer(0.2, fake_ray.may_start.set).start()
        with ray_session():
            assert fake_ray.there
        assert fake_ray.there  # it is the block's, not the session's
        with ray_starting(), ray_session():
            assert fake_ray.num_starts == 1
    assert not fake_ray.there
    assert fake_ray.preload == "torch,ray.tune"
    assert PRELOAD not in os.environ


def test_a_ray_that_is_being_imported_is_no_cluster(fake_ray, monkeypatch):
    with ray_starting():
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "ray", ModuleType("ray"))  # as it is while another thread imports it
            assert not joined_cluster()
        fake_ray.may_start.set()


def test_a_block_that_fails_early_leaves_no_ray(fake_ray):
    fake_ray.may_start.set()
    with pytest.raises(ValueError, match="early"), ray_starting():
        raise ValueError("early")
    assert fake_ray.num_starts == 1
    assert not fake_ray.there


def test_a_session_says_why_the_ray_that_it_waited_for_did_not_start(fake_ray):
    fake_ray.problem = "No space left"
    fake_ray.may_start.set()
    with ray_starting(), pytest.raises(UserError, match="No space left"), ray_session():
        pass


def test_a_ray_that_does_not_start_is_one_line(fake_ray):
    fake_ray.problem = "The current node timed out during startup.\nA page of advice"
    fake_ray.may_start.set()
    with pytest.raises(UserError) as refused, ray_session():
        pass
    assert str(refused.value).startswith(
        "Ray did not start on this machine (The current node timed out during startup.)"
    )
    assert "\n" not in str(refused.value)
