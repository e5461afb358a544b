from __future__ import annotations

import subprocess
import sys

from raysynth.tuning import workers
from raysynth.tuning.workers import MODULES, in_waiting_workers, modules_to_preload


def environment_of_a_trial() -> dict[str, str]:
    """The variables that Ray Tune gives the worker of a trial."""
    from ray.tune.execution.class_cache import _ActorClassCache

    return _ActorClassCache().get(type("Trainable", (), {}))._default_options["runtime_env"].get("env_vars", {})


def test_trials_run_in_workers_like_all_others():
    """Ray begins what has an environment of its own in a fresh process."""
    assert environment_of_a_trial()
    with in_waiting_workers():
        assert environment_of_a_trial() == {}
    assert environment_of_a_trial()


def test_modules_are_loaded_ahead_where_few_workers_wait_and_no_gpu_is(monkeypatch, tmp_path):
    monkeypatch.setattr(workers, "GPU_DRIVERS", (str(tmp_path / "nvidiactl"),))
    monkeypatch.setattr(workers, "num_cores", lambda: 2)
    assert modules_to_preload() == MODULES
    monkeypatch.setattr(workers, "num_cores", lambda: 64)
    assert modules_to_preload() == ()
    monkeypatch.setattr(workers, "num_cores", lambda: 2)
    (tmp_path / "nvidiactl").touch()
    assert modules_to_preload() == ()


def test_all_that_a_trial_imports_is_loaded_ahead():
    code = f"import importlib, sys; [importlib.import_module(name) for name in {MODULES}]; before = set(sys.modules);"
    code += "import raysynth.tuning.trial, raysynth.training.run_folder, raysynth.training.preemption;"
    code += "import raysynth.models.r3gan, raysynth.data.dataset;"
    code += "print(*sorted(name for name in set(sys.modules) - before if not name.startswith('raysynth')))"
    later = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert later == []
