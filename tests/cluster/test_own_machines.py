"""The real `ray up`, where the machine permits and it is asked for: it takes minutes of two cores."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("own_machines.py")
ASKED = "RAYSYNTH_TEST_CLUSTER"


@pytest.mark.skipif(os.environ.get(ASKED) != "1", reason=f"takes minutes: set {ASKED}=1, or run {SCRIPT.name} by hand")
def test_a_sweep_on_two_machines_from_ray_up_to_ray_down():
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, timeout=1200)
    if done.returncode == 3:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert "own machines: passed" in done.stdout
