"""What a fault costs: seconds until training goes on, and epochs that are trained twice.

    python benchmarks/fault_recovery.py worker|node|driver

Each kills with SIGKILL, once, on 16 px images in two classes. `worker`: Ray Train's worker of a training. `node`: one
of two raylets with all its processes, while a sweep of two trials runs. `driver`: the command of a training by one
worker, which is then given again with --resume. tests/ray/test_faults.py does the first.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from raysynth.cluster.session import prepare_environment, ray_session

prepare_environment()

from raysynth.config import build_config  # noqa: E402
from raysynth.data.dataset import Dataset, write_dataset  # noqa: E402
from raysynth.models.registry import get_family  # noqa: E402
from raysynth.training.run_folder import RunFolder  # noqa: E402
from raysynth.training.train import train  # noqa: E402
from raysynth.tuning.tune import tune  # noqa: E402

CONFIG = {"batch_size": 4, "width": 4, "latent_dim": 4, "n_critic": 2}
NUM_EPOCHS, KILL_AFTER = 30, 5
SPACE = f"""
family: wcgan_gp
epochs: {NUM_EPOCHS}
fixed: {{batch_size: 4, width: 4, n_critic: 2}}
space: {{latent_dim: {{grid: [4, 6]}}}}
resources: {{cpu: 1}}
"""
TIMEOUT_S = 300


def create_run(path: Path, dataset: Dataset) -> RunFolder:
    """A training that has not begun, without a scoring network."""
    config = build_config(get_family("wcgan_gp").Config, CONFIG, origin="benchmark").model_dump()
    return RunFolder.create(path, family="wcgan_gp", dataset=dataset, num_epochs=NUM_EPOCHS, config=config)


class Watcher:
    """Kills when all runs have trained a few epochs, and times how long each is without a new one."""

    def __init__(self, runs: Callable[[], list[RunFolder]], kill: Callable[[], None]) -> None:
        self.runs = runs
        self.kill = kill
        self.seconds: dict[str, float] = {}
        self.epochs: dict[str, int] = {}

    def _watch(self) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not self._all_under_way() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.kill()
        killed = time.monotonic()
        self.epochs = {run.path.name: run.status()["epoch"] for run in self.runs()}
        while len(self.seconds) < len(self.epochs) and time.monotonic() < deadline:
            for run in self.runs():
                if run.path.name not in self.seconds and run.status()["epoch"] > self.epochs[run.path.name]:
                    self.seconds[run.path.name] = time.monotonic() - killed
            time.sleep(0.05)

    def _all_under_way(self) -> bool:
        runs = self.runs()
        return bool(runs) and all(run.status()["epoch"] >= KILL_AFTER for run in runs)

    @contextmanager
    def watching(self) -> Iterator[Watcher]:
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        yield self
        thread.join(TIMEOUT_S)


def kill_train_workers() -> None:
    """SIGKILL to the workers of Ray Train in this session, on this machine."""
    from ray.util.state import list_actors

    for actor in list_actors(filters=[("state", "=", "ALIVE")], limit=1000):
        if "TrainWorker" in actor.class_name:
            os.kill(actor.pid, signal.SIGKILL)


def worker_killed(dataset: Dataset, folder: Path) -> tuple[RunFolder, Watcher]:
    """A training by one Ray Train worker, which is killed; needs a Ray session."""
    run = create_run(folder / "run", dataset)
    with Watcher(lambda: [run], kill_train_workers).watching() as watcher:
        train(resume=run.path, workers=1, say=print)
    return run, watcher


def node_killed(dataset: Dataset, folder: Path) -> tuple[Path, Watcher]:
    """A sweep of two trials on two nodes of one CPU each, of which one is killed; needs a process without a session."""
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    node = cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    space = folder / "space.yaml"
    space.write_text(SPACE)

    def runs() -> list[RunFolder]:
        found = [RunFolder(path) for path in sorted(folder.glob("sweeps/*/runs/*"))]
        return found if len(found) == 2 else []

    try:
        with Watcher(runs, lambda: cluster.remove_node(node, allow_graceful=False)).watching() as watcher:
            sweep = tune(str(space), data=dataset.path, max_concurrent=2, out=folder / "sweeps", say=print)
    finally:
        ray.shutdown()
        cluster.shutdown()
    return sweep, watcher


def driver_killed(dataset: Dataset, folder: Path) -> tuple[RunFolder, Watcher]:
    """The process of a training, killed with its Ray; the command is given again at once."""
    run = create_run(folder / "run", dataset)
    code = "from raysynth.cli.main import main; main()"
    command = [sys.executable, "-c", code, "train", "--resume", str(run.path), "--workers", "1"]
    process = subprocess.Popen(command)
    again: list[subprocess.Popen[bytes]] = []

    def kill() -> None:
        process.kill()
        again.append(subprocess.Popen(command))

    with Watcher(lambda: [run], kill).watching() as watcher:
        process.wait()
    again[0].wait()
    return run, watcher


def make_dataset(path: Path) -> Dataset:
    """120 images of 16 px, the classes bright on either side."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 2
    images = rng.integers(0, 90, (120, 1, 16, 16), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, :, label * 8 : label * 8 + 8] += 100
    splits = ["train"] * 72 + ["validation"] * 24 + ["test"] * 24
    return write_dataset(
        path,
        name="stripes",
        kind="real",
        classes=("left", "right"),
        images=images,
        columns={"id": [f"{i:03d}" for i in range(120)], "label": labels, "split": splits},
        source={"made_by": "benchmarks"},
    )


def main() -> None:
    what = sys.argv[1]
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(tempfile.mkdtemp(prefix="raysynth-faults-"))
    if len(sys.argv) > 3:
        from raysynth.data.dataset import load_dataset

        dataset = load_dataset(sys.argv[3])
    else:
        dataset = make_dataset(folder / "data")
    if what == "worker":
        with ray_session():
            _, watcher = worker_killed(dataset, folder)
    elif what == "node":
        _, watcher = node_killed(dataset, folder)
    else:
        _, watcher = driver_killed(dataset, folder)
    print(json.dumps({"killed": what, "at_epoch": watcher.epochs, "seconds_until_a_new_epoch": watcher.seconds}))


if __name__ == "__main__":
    main()
