"""What a sweep costs beside its training: eight trials of one epoch each, by Ray Tune.

    python benchmarks/sweep_overhead.py

Prints the wall time of `tune` from a cold start (imports and Ray's start included, the data set's scoring network not),
when the first and the last metric were there, and beside it the sum of the trials' own training and scoring seconds.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from raysynth.cluster.session import num_cores, prepare_environment

STARTED = time.perf_counter()
prepare_environment()

import pandas as pd  # noqa: E402

from raysynth.data.phantom import phantom  # noqa: E402
from raysynth.evaluation.scoring_network import ensure_scoring_network  # noqa: E402
from raysynth.tuning.tune import tune  # noqa: E402

SPACE = """
family: r3gan
epochs: 1
fixed: {width: 16}
space: {penalty_weight: {grid: [0.1, 0.2, 0.5, 1.0]}, augment_strength: {grid: [0.0, 0.2]}}
"""


def main() -> None:
    imported_s = time.perf_counter() - STARTED
    with tempfile.TemporaryDirectory(prefix="raysynth-overhead-") as name:
        folder = Path(name)
        data = phantom(folder / "data", num_images=1200, size=32)
        ensure_scoring_network(data)
        (folder / "space.yaml").write_text(SPACE)
        started, cpu = time.perf_counter(), time.process_time()
        at: list[float] = []
        said: list[tuple[float, str]] = []

        def say(line: str) -> None:
            said.append((time.perf_counter() - started, line))
            if "  epoch " in line:
                at.append(said[-1][0])

        sweep = tune(str(folder / "space.yaml"), data=data.path, out=folder / "sweeps", say=say)
        wall_s = time.perf_counter() - started
        table = pd.read_csv(sweep / "table.csv")
    trained_s = table["seconds"].sum()
    print(f"load {os.getloadavg()[0]:.1f} on {num_cores()} cores, two trials at a time")
    print(f"imports {imported_s:.1f} s, tune {wall_s:.1f} s (this process: {time.process_time() - cpu:.1f} CPU-s)")
    print(f"first metric after {at[0]:.1f} s, last after {at[-1]:.1f} s, then {wall_s - at[-1]:.1f} s to the end")
    print(f"training and scoring of {len(table)} trials: {trained_s:.1f} s, {trained_s / num_cores():.1f} s a core")
    for seconds, line in said:
        print(f"{seconds:7.1f}  {line[:100]}")


if __name__ == "__main__":
    main()
