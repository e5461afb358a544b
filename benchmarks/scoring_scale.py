"""How fast many generated images are scored through Ray Data, beside a plain PyTorch loop, and in how much memory.

    python benchmarks/scoring_scale.py [--small 10000] [--large 100000]

Four classifiers (fresh weights: a prediction costs the same) score two synthetic data sets of 64 x 64 pixels by
`predict_all`. From the seconds of the two follow the images/s after start-up, and how long the pipeline took to start.
The plain loop reads the same Parquet files batch by batch in this process, with one thread and with as many as there
are cores, each before and after the others; it keeps predicted class and confidence. An image is counted once, however
many classifiers look at it. Beside the seconds that pass stands CPU time, which other work on the machine disturbs
less: cores x CPU time of the plain loop / CPU time of all of Ray is the ratio that idle cores would give at best.
Memory is that of this process and of all that Ray started, pages that they share counted once. Needs Linux's /proc.
Ray starts its workers at nice 15; where the machine has other work, RAY_worker_niceness=0 makes the two comparable.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from audit_scale import tree_bytes, tree_processes

from raysynth.cluster.session import num_cores, prepare_environment, ray_session
from raysynth.data.dataset import Dataset, load_dataset
from raysynth.data.dataset_writer import ROWS_PER_SHARD, write_dataset
from raysynth.evaluation.fit import limited_threads, load_network, save_classifier, scoring_batch_size
from raysynth.evaluation.plan import REAL, Training
from raysynth.evaluation.predict import Source, predict_all
from raysynth.models.classifier import Classifier
from raysynth.models.context import Context

SHAPE = (1, 64, 64)
CLASSES = ("a", "b", "c", "d")
NUM_CLASSIFIERS = 4
SAMPLE_EVERY_S = 5.0  # a look at all processes costs a tenth of a second or more


@dataclass
class Memory:
    """The most bytes while it was watched: of this process, and of this and all that it started."""

    own: list[int] = field(default_factory=list)
    all: list[int] = field(default_factory=list)

    def sample(self) -> None:
        self.own.append(resident_bytes())
        self.all.append(tree_bytes())

    def __str__(self) -> str:
        return f"{max(self.own) / 2**20:.0f} MiB this process, {max(self.all) / 2**20:.0f} MiB with Ray's"


def resident_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return 1024 * int(line.split()[1])
    raise OSError("/proc/self/status has no VmRSS")


def tree_cpu_s() -> float:
    """Seconds of CPU time of this process and of all that it started, those that have ended included."""
    ticks = 0
    for process in tree_processes():
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended since
            continue
        ticks += sum(map(int, fields[11:15]))  # user and system time, its own and that of children it has waited for
    return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def watching() -> Iterator[Memory]:
    """Samples memory while it is open."""
    memory, stop = Memory(), threading.Event()

    def watch() -> None:
        while not stop.wait(SAMPLE_EVERY_S):
            memory.sample()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        stop.set()
        thread.join()
        memory.sample()


def write_shard(path: Path, num_images: int, seed: int) -> Dataset:
    """A data set of one shard at most: noise, which costs a classifier what pictures do."""
    rng = np.random.default_rng(seed)
    return write_dataset(
        path,
        name=path.name,
        kind="synthetic",
        classes=CLASSES,
        images=rng.integers(0, 256, (num_images, *SHAPE), dtype=np.uint8),
        columns={
            "id": [f"{seed}-{index}" for index in range(num_images)],
            "label": np.arange(num_images) % len(CLASSES),
            "split": ["train"] * num_images,
        },
        source={},
    )


def write_large(path: Path, num_images: int, folder: Path) -> Dataset:
    """A data set of any size, shard by shard, so that not all of it is ever in memory."""
    starts = range(0, num_images, ROWS_PER_SHARD)
    (path / "images").mkdir(parents=True)
    counts = dict.fromkeys(CLASSES, 0)
    for number, start in enumerate(starts):
        shard = write_shard(folder / "shard", min(ROWS_PER_SHARD, num_images - start), seed=number)
        shard.shards()[0].rename(path / "images" / f"part-{number:05d}.parquet")
        content = json.loads((shard.path / "dataset.json").read_text())
        counts = {name: counts[name] + count for name, count in shard.counts["train"].items()}
        shutil.rmtree(shard.path)
    content["counts"]["train"] = counts
    (path / "dataset.json").write_text(json.dumps(content))
    return load_dataset(path)


def write_classifiers(folder: Path) -> tuple[list[Training], list[Path]]:
    """Four classifiers of the synthetic set, and their files."""
    trainings, files = [], []
    for seed in range(NUM_CLASSIFIERS):
        config = Classifier.Config(seed=seed, num_steps=1)
        model = Classifier(config, shape=SHAPE, num_classes=len(CLASSES), context=Context(seed=seed))
        training = Training(
            trained_on="generated: made",
            kind="synthetic",
            synthetic="made",
            seed=seed,
            num_images=1,
            batch_size=1,
            steps=1,
            real_images=0,
        )
        files.append(folder / f"{seed}.pt")
        save_classifier(files[-1], model, CLASSES)
        trainings.append(training)
    return trainings, files


@torch.no_grad()
def plain_loop(dataset: Dataset, weights: Sequence[Path], *, num_threads: int, num_images: int) -> tuple[float, float]:
    """Images/s, and images per second of CPU time, of what one would write by hand: all classifiers on each batch."""
    with limited_threads(num_threads):
        networks = [load_network(path) for path in weights]
        kept: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in networks]
        done, started, cpu_started = 0, time.perf_counter(), time.process_time()
        batch_size = scoring_batch_size(SHAPE)
        files = (pq.ParquetFile(file) for file in dataset.shards())
        for batch in (batch for file in files for batch in file.iter_batches(batch_size, columns=["image"])):
            pixels = torch.from_numpy(batch["image"].to_numpy_ndarray().copy())
            images = pixels.float().div_(127.5).sub_(1.0)
            for network, predictions in zip(networks, kept, strict=True):
                confidence, predicted = network(images).softmax(dim=1).max(dim=1)
                predictions.append((predicted.numpy(), confidence.numpy()))
            done += len(pixels)
            if done >= num_images:
                break
        return done / (time.perf_counter() - started), done / (time.process_time() - cpu_started)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", type=int, default=10_000, help="images of the smaller set")
    parser.add_argument("--large", type=int, default=100_000, help="images of the larger set")
    parser.add_argument("--plain", type=int, default=5_000, help="images that each plain loop scores")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="raysynth-benchmark-") as name:
        folder = Path(name)
        trainings, weights = write_classifiers(folder)
        real = Source(REAL, write_shard(folder / "real", 64, seed=1_000_000))
        sizes = (arguments.small, arguments.large)
        sets = {size: write_large(folder / str(size), size, folder) for size in sizes}
        plain: dict[int, list[tuple[float, float]]] = {num_threads: [] for num_threads in sorted({1, num_cores()})}

        def measure_plain() -> None:
            for num_threads, rates in plain.items():
                dataset = sets[arguments.large]
                rates.append(plain_loop(dataset, weights, num_threads=num_threads, num_images=arguments.plain))

        print(f"{num_cores()} cores, {NUM_CLASSIFIERS} classifiers", flush=True)
        measure_plain()
        seconds, cpu_s = {}, {}
        started = time.perf_counter()
        with ray_session():
            print(f"Ray's own start: {time.perf_counter() - started:.1f} s", flush=True)
            for size, dataset in sets.items():
                with watching() as memory:
                    started, cpu_started = time.perf_counter(), tree_cpu_s()
                    predictions = predict_all([real, Source("made", dataset)], trainings, weights, with_ray=True)
                    seconds[size], cpu_s[size] = time.perf_counter() - started, tree_cpu_s() - cpu_started
                table_bytes = predictions.memory_usage(deep=True).sum()
                print(
                    f"{size:,} images, {len(predictions):,} predictions ({table_bytes / 2**20:.0f} MiB): "
                    f"{seconds[size]:.1f} s, {cpu_s[size]:.1f} s of CPU time; at most {memory}",
                    flush=True,
                )
                del predictions
        measure_plain()
    small, large = sizes
    rate = (large - small) / (seconds[large] - seconds[small])
    cpu_rate = (large - small) / (cpu_s[large] - cpu_s[small])
    print(f"start-up of the pipeline: {seconds[small] - small / rate:.1f} s")
    print(f"through Ray Data after it: {rate:.0f} images/s, {cpu_rate:.0f} per second of CPU time")
    for num_threads, rates in plain.items():
        by_hand, cpu_by_hand = (statistics.mean(values) for values in zip(*rates, strict=True))
        each = ", ".join(f"{value:.0f}" for value, _ in rates)
        print(
            f"plain loop, threads {num_threads}: {by_hand:.0f} images/s ({each}), {cpu_by_hand:.0f} per second of CPU "
            f"time; ratio {rate / by_hand:.2f}, by CPU time {num_cores() * cpu_rate / cpu_by_hand:.2f}"
        )


if __name__ == "__main__":
    prepare_environment()
    main()
