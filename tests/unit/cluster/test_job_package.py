from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from raysynth.cluster import job_package
from raysynth.cluster.job_package import packed
from raysynth.errors import UserError
from raysynth.tuning.space import space_names


def test_the_package_runs_by_itself_and_nothing_else_travels(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("family: cgan\n")
    with packed({"files/0/own.yaml": own}) as (runtime_env, num_bytes):
        root = Path(runtime_env["working_dir"])
        assert {path.name for path in root.iterdir()} == {"raysynth", "raysynth-0.1.0.dist-info", "files"}
        assert {path.suffix for path in root.rglob("*") if path.is_file()} <= {
            ".py",
            ".yaml",
            ".css",
            ".js",
            ".html",
            ".typed",
            "",
        }
        assert sorted(path.stem for path in (root / "raysynth" / "search_spaces").glob("*.yaml")) == space_names()
        assert (root / "files/0/own.yaml").read_text() == "family: cgan\n"
        assert num_bytes < 4 * 2**20
        code = "import sys; sys.path.insert(0, '.'); import raysynth; print(raysynth.__file__)"
        command = [sys.executable, "-I", "-c", code]
        shown = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
        assert shown.stdout.startswith(str(root))
    assert not root.exists()


def test_stopping_a_job_is_ctrl_c_for_it(monkeypatch):
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    with packed({}) as (runtime_env, _):
        assert runtime_env["env_vars"]["RAY_JOB_STOP_SIGNAL"] == "SIGINT"
        assert runtime_env["env_vars"]["GOMP_SPINCOUNT"] == "7"
        assert not any("TOKEN" in name or "SECRET" in name for name in runtime_env["env_vars"])


def test_what_is_too_large_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(job_package, "LIMIT_BYTES", 2**22)
    small, large = tmp_path / "small.yaml", tmp_path / "large.pt"
    small.write_bytes(b"x")
    large.write_bytes(bytes(2**22))
    with (
        pytest.raises(UserError, match=r"large.pt: 4.0 MiB are too much .* give its absolute path there$"),
        packed({"a": small, "b": large}),
    ):
        pass
