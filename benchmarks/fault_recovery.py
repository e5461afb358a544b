"""What a fault costs: seconds until training goes on, and epochs that are trained twice.

    python benchmarks/fault_recovery.py FAULT [FOLDER [DATA]]

Each kills with SIGKILL, once, on 16 px images in two classes. `worker`: Ray Train's worker of a training. `node`: one
of two raylets with all its processes, while a sweep of two trials runs. `driver`: the command of a training by one
worker, which is then given again with --resume. `preemption`: the raylet that a training's one worker runs on, in the
middle of an epoch, some seconds after the cluster was told that it would go; `preemption_of_one`: that of one of two
workers; `preemption_of_a_trial`: that of one of a sweep's two trials. `elastic`: one of two raylets with one of the two
workers of a training that may go on with one. tests/ray/test_faults.py does them all.
"""

from __future__ import annotations

import _thread
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from raysynth.cluster.session import PREEMPTION_WATCHER, prepare_environment, ray_session

prepare_environment()

from raysynth.cluster.leave import announce  # noqa: E402
from raysynth.config import build_config  # noqa: E402
from raysynth.data.dataset import Dataset, load_dataset  # noqa: E402
from raysynth.data.dataset_writer import write_dataset  # noqa: E402
from raysynth.models.registry import get_family  # noqa: E402
from raysynth.training.checkpoints import checkpoint_paths  # noqa: E402
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


def create_run(path: Path, dataset: Dataset, **more: object) -> RunFolder:
    """A training that has not begun, without a scoring network."""
    config = build_config(get_family("wcgan_gp").Config, CONFIG | more, origin="benchmark").model_dump()
    return RunFolder.create(path, family="wcgan_gp", dataset=dataset, num_epochs=NUM_EPOCHS, config=config)


class Watcher:
    """Kills when all runs have trained a few epochs, and times the longest that each is without a new one from there to
    its end: what dies with a node may go on for a moment, so the first new epoch may not be the one to wait for."""

    def __init__(self, runs: Callable[[], list[RunFolder]], kill: Callable[[], None]) -> None:
        self.runs = runs
        self.kill = kill
        self.seconds: dict[str, float] = {}
        self.epochs: dict[str, int] = {}
        self.checkpoints: list[str] = []

    def _watch(self) -> None:
        wait_until(self._all_under_way)
        self.kill()
        killed = time.monotonic()
        self.epochs = {run.path.name: run.status()["epoch"] for run in self.runs()}
        newest = [checkpoint_paths(run.checkpoints)[-1:] for run in self.runs()]
        self.checkpoints = [path.name for paths in newest for path in paths]
        last = {name: (epoch, killed) for name, epoch in self.epochs.items()}
        deadline = killed + TIMEOUT_S
        running = self.runs()
        while running and time.monotonic() < deadline:
            for run in running:
                name, status, now = run.path.name, run.status(), time.monotonic()
                epoch, since = last[name]
                if status["epoch"] > epoch:
                    self.seconds[name] = max(self.seconds.get(name, 0.0), now - since)
                    last[name] = status["epoch"], now
            running = [run for run in running if run.status()["state"] == "running"]
            time.sleep(0.02)

    def _all_under_way(self) -> bool:
        runs = self.runs()
        return bool(runs) and all(run.status()["epoch"] >= KILL_AFTER for run in runs)

    @contextmanager
    def watching(self) -> Iterator[Watcher]:
        with ThreadPoolExecutor(1) as pool:
            watching = pool.submit(self._watch)
            watching.add_done_callback(lambda done: done.exception() and _thread.interrupt_main())
            try:
                yield self
            finally:
                watching.result(TIMEOUT_S)


def wait_until(true: Callable[[], bool]) -> None:
    """Raises TimeoutError when it does not come true in time."""
    deadline = time.monotonic() + TIMEOUT_S
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(true.__qualname__)
        time.sleep(0.02)


def worker_killed(dataset: Dataset, folder: Path) -> Watcher:
    """A training by one Ray Train worker, which is killed; needs a Ray session."""
    run = create_run(folder / "run", dataset)

    def kill() -> None:
        below = psutil.Process().children(recursive=True)  # of this process's Ray, not of another on this machine
        workers = [process for process in below if "TrainWorker" in " ".join(process.cmdline()[:1])]
        if not workers:
            raise RuntimeError("no worker of Ray Train runs below this process")
        for worker in workers:
            worker.kill()

    with Watcher(lambda: [run], kill).watching() as watcher:
        train(resume=run.path, workers=1, say=print)
    return watcher


@contextmanager
def cluster_of(num_nodes: int) -> Iterator[tuple[Any, list[Any]]]:
    """A cluster, joined, of a head that does no work and nodes of one CPU, each a raylet of its own; and the nodes."""
    import ray
    from ray.cluster_utils import Cluster

    os.environ[PREEMPTION_WATCHER] = "1"
    os.environ["RAY_TRAIN_PREEMPTION_POLL_INTERVAL_S"] = "0.5"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(num_nodes)]
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    try:
        yield cluster, nodes
    finally:
        ray.shutdown()
        cluster.shutdown()


def node_killed(dataset: Dataset, folder: Path, *, announced: bool = False) -> Watcher:
    """A sweep of two trials on two nodes, of which one is killed; the other one has room for both.

    Where it is announced, nothing but that makes its trial write a checkpoint.
    """
    space = folder / "space.yaml"
    seldom = f"checkpoint_every: {NUM_EPOCHS}, score_every: {NUM_EPOCHS}, batch_size"  # a score has a checkpoint
    space.write_text(SPACE.replace("batch_size", seldom) if announced else SPACE)

    def runs() -> list[RunFolder]:
        found = [RunFolder(path) for path in sorted(folder.glob("sweeps/*/runs/*"))]
        return found if len(found) == 2 else []

    with cluster_of(2) as (cluster, nodes):

        def kill() -> None:
            if announced:
                announce(nodes[0].node_id, grace_s=60)
                wait_until(lambda: any(checkpoint_paths(run.checkpoints) for run in runs()))
            cluster.remove_node(nodes[0], allow_graceful=False)

        with Watcher(runs, kill).watching() as watcher:
            tune(str(space), data=dataset.path, max_concurrent=2, out=folder / "sweeps", say=print)
    return watcher


def preempted(dataset: Dataset, folder: Path, num_workers: int = 1) -> Watcher:
    """A training whose worker's node, or that of one of its workers, is announced to go and then killed; there is
    another one.

    Nothing but the announcement makes it write a checkpoint.
    """
    run = create_run(folder / "run", dataset, checkpoint_every=10 * NUM_EPOCHS)
    with cluster_of(num_workers + 1) as (cluster, nodes):

        def kill() -> None:
            from ray._private.state import available_resources_per_node

            free = available_resources_per_node()
            node, *others = (node for node in nodes if not free[node.node_id].get("CPU"))
            if len(others) != num_workers - 1:
                raise RuntimeError(f"{1 + len(others)} nodes are at work, not {num_workers}")
            announce(node.node_id, grace_s=60)
            wait_until(lambda: bool(checkpoint_paths(run.checkpoints)))
            cluster.remove_node(node, allow_graceful=False)

        with Watcher(lambda: [run], kill).watching() as watcher:
            train(resume=run.path, workers=num_workers, say=print)
    return watcher


def elastic(dataset: Dataset, folder: Path) -> Watcher:
    """A training by two workers on two nodes, of which one is killed and none comes in its place."""
    run = create_run(folder / "run", dataset)
    with cluster_of(2) as (cluster, nodes):
        kill = partial(cluster.remove_node, nodes[1], allow_graceful=False)
        with Watcher(lambda: [run], kill).watching() as watcher:
            train(resume=run.path, workers=2, min_workers=1, say=print)
    return watcher


def driver_killed(dataset: Dataset, folder: Path) -> Watcher:
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
    return watcher


FAULTS = {
    "worker": worker_killed,
    "node": node_killed,
    "driver": driver_killed,
    "preemption": preempted,
    "preemption_of_one": partial(preempted, num_workers=2),
    "preemption_of_a_trial": partial(node_killed, announced=True),
    "elastic": elastic,
}


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
    dataset = load_dataset(sys.argv[3]) if len(sys.argv) > 3 else make_dataset(folder / "data")
    with ray_session() if what == "worker" else nullcontext():
        watcher = FAULTS[what](dataset, folder)
    found = {
        "killed": what,
        "at_epoch": watcher.epochs,
        "checkpoints": watcher.checkpoints,
        "seconds_until_a_new_epoch": watcher.seconds,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
