"""Rules of the package as a whole."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_every_package_is_in_the_wheel():
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    folders = {path.parent for path in (ROOT / "raysynth").rglob("__init__.py")}
    found = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert listed == found | {"raysynth.search_spaces"}


def test_readme_and_ci_name_the_same_test_command():
    command = "./setup.sh --dev && .venv/bin/python -m pytest -n auto"
    assert command in (ROOT / "README.md").read_text().splitlines()
    assert any(line.startswith(f"{command} || exit 1") for line in (ROOT / ".ci" / "run").read_text().splitlines())


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="runs in one process")
def test_files_stay_whole_in_several_processes(request: pytest.FixtureRequest):
    """With pytest 9.2 pytest-xdist 3.8 saw no groups: two Rays at a time, and each module's fixtures made twice."""
    assert request.node.nodeid.endswith(f"@{request.path}")


def test_constraints_name_no_index():
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert line.startswith("#") or "==" in line
        assert "://" not in line


def test_a_worker_imports_only_what_training_needs():
    """Every worker of a sweep pays for it: sklearn, faiss and scipy.stats once made half of what came after torch."""
    code = "import sys, raysynth.training.worker, raysynth.tuning.trial; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "torch" in loaded
    for module in ("ray", "sklearn", "faiss", "scipy.stats", "matplotlib", "torchvision"):
        assert module not in loaded
