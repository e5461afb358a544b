"""How the time of the audit's search for copies grows with the number of images.

    python benchmarks/audit_scale.py [--sizes 10000 30000 100000] [--ray-sizes 30000]

The thumbnails are drawn: heads of many outlines, of five anatomies with tissue of their own, and a tenth of them
copies (mirrored, noised or with another gamma) that should be found. Each run has a process of its own, so that its
memory can be told; the exponent is that of a power of the number of images, fitted to the seconds. Needs Linux's /proc.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from raysynth.cluster.session import num_cores, prepare_environment, ray_session
from raysynth.data.audit.batches import Run, run_here, run_with_ray
from raysynth.data.audit.candidates import Candidates
from raysynth.data.audit.copies import find_copies
from raysynth.data.thumbnails import THUMBNAIL_SIZE, hash_pixels

COPY_KINDS = ("mirrored", "noised", "gamma")
STAGES = ("embed", "index", "search", "verify", "within groups", "rest")
CHUNK = 2048  # thumbnails drawn at once
NUM_WAVES = 20  # of tissue, in each direction
NUM_ANATOMIES = 5  # every head is one of these, with tissue of its own
ANATOMY_SHARE = 0.55  # of the variance of tissue; with much more, heads would be copies but for noise
SAMPLE_EVERY_S = 0.5


@dataclass(frozen=True)
class Outcome:
    """One run: seconds by stage, what was found, and the most memory of the process and those it started."""

    num_images: int
    with_ray: bool
    seconds: dict[str, float]
    num_verified: int
    recall: dict[str, float]
    num_false: int
    peak_bytes: int

    @property
    def total_s(self) -> float:
        return sum(self.seconds.values())


def draw_heads(num: int, anatomies: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Head-like thumbnails (num, 64, 64) uint8: skull, tissue of low frequencies, ventricles, noise.

    `anatomies` (K, waves, waves) are normal: heads of one anatomy resemble each other, as slices at one height do.
    """
    waves = np.arange(NUM_WAVES, dtype=np.float32)
    pixel = (np.arange(THUMBNAIL_SIZE, dtype=np.float32) + 0.5) / THUMBNAIL_SIZE
    basis = np.cos(np.pi * pixel[:, None] * waves)
    fall = ((1.0 + np.hypot(waves[:, None], waves)) ** -1.3).astype(np.float32)  # about the spectrum of the real sets
    fall[0, 0] = 0.0
    x, y = np.meshgrid(pixel * 2 - 1, pixel * 2 - 1)

    def each(low: float, high: float) -> np.ndarray:
        return rng.uniform(low, high, (num, 1, 1)).astype(np.float32)

    def field(weights: np.ndarray) -> np.ndarray:
        values = basis @ weights @ basis.T
        return values / values.std((1, 2), keepdims=True)

    def normal() -> np.ndarray:
        return rng.standard_normal((num, NUM_WAVES, NUM_WAVES), dtype=np.float32)

    turn, right, down = each(-0.15, 0.15), each(-0.06, 0.06), each(-0.06, 0.06)
    across = ((x - right) * np.cos(turn) + (y - down) * np.sin(turn)) / each(0.6, 0.85)
    along = ((y - down) * np.cos(turn) - (x - right) * np.sin(turn)) / each(0.72, 0.95)
    radius = np.hypot(across, along) + 0.03 * field(normal() * fall**3)
    brain = 1.0 / (1.0 + np.exp((radius - 0.84) * 40.0))
    skull = np.exp(-(((radius - 0.94) / 0.045) ** 2))
    ventricles = np.exp(-((((np.abs(across) - each(0.08, 0.16)) / 0.07) ** 2 + (along / each(0.15, 0.35)) ** 2) ** 2))
    shared = anatomies[rng.integers(len(anatomies), size=num)]
    tissue = field((np.sqrt(ANATOMY_SHARE) * shared + np.sqrt(1.0 - ANATOMY_SHARE) * normal()) * fall)
    value = brain * (each(0.35, 0.55) + each(0.16, 0.24) * tissue) + each(0.5, 0.9) * skull
    value = value * (1.0 - each(0.2, 0.8) * ventricles) + 0.015 * rng.standard_normal(value.shape, dtype=np.float32)
    return (value.clip(0.0, 1.0) * 255.0).astype(np.uint8)


def plant_copies(originals: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A copy of each of `originals` (n, 64, 64), and its kind (n,), a number of COPY_KINDS."""
    kinds = rng.integers(len(COPY_KINDS), size=len(originals))
    copies = originals[:, :, ::-1].copy()
    noised, gamma = (np.flatnonzero(kinds == COPY_KINDS.index(name)) for name in ("noised", "gamma"))
    noise = rng.normal(0.0, 6.0, (len(noised), *originals.shape[1:]))
    copies[noised] = (originals[noised] + noise).clip(0, 255).astype(np.uint8)
    exponents = rng.choice([0.6, 1.6], (len(gamma), 1, 1))
    copies[gamma] = ((originals[gamma] / 255.0) ** exponents * 255.0).astype(np.uint8)
    return copies, kinds


class Clock:
    """A `run` of `find_copies` that passes everything on to another, and takes the time of each stage."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.seconds: dict[str, float] = defaultdict(float)
        self.pairs: list[np.ndarray] = []
        self.in_groups = False
        self.last = time.perf_counter()

    def __call__(
        self, function: Callable[[Any, dict[str, Any]], Any], batches: Sequence[Any], shared: dict[str, Any]
    ) -> list[Any]:
        name = getattr(function, "func", function).__name__
        self.in_groups |= name == "_guess"
        stage = {"_embed_rows": "embed", "_search_rows": "search", "_align_rows": "verify", "_guess": "verify"}[name]
        self.take("index" if stage == "search" else "rest")  # what happened since the stage before
        results = list(self.run(function, batches, shared))
        self.take("within groups" if self.in_groups else stage)
        self.pairs += [np.sort([each.a, each.b], axis=0) for each in batches if isinstance(each, Candidates)]
        return results

    def take(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] += now - self.last
        self.last = now


@contextmanager
def memory_watch() -> Iterator[list[int]]:
    """Collects the bytes of this process and its descendants, pages they share counted once, while it is open."""
    samples: list[int] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(SAMPLE_EVERY_S):
            samples.append(tree_bytes())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        samples.append(tree_bytes())
        stop.set()
        thread.join()


def tree_bytes() -> int:
    """Proportional set sizes of this process and of all that it started, directly or not."""
    total = 0
    for process in tree_processes():
        for line in _read(Path(f"/proc/{process}/smaps_rollup")).splitlines():
            if line.startswith("Pss:"):
                total += 1024 * int(line.split()[1])
    return total


def tree_processes() -> Iterator[int]:
    """The numbers of this process and of all that it started, directly or not."""
    children = defaultdict(list)
    for folder in Path("/proc").glob("[0-9]*"):
        if stat := _read(folder / "stat"):
            children[int(stat.rpartition(")")[2].split()[1])].append(int(folder.name))
    waiting = [os.getpid()]
    while waiting:
        process = waiting.pop()
        waiting += children[process]
        yield process


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the process has ended
        return ""


def measure(num_images: int, with_ray: bool, copy_share: float, seed: int) -> Outcome:
    """Draw thumbnails, look for copies among them, and compare with what was planted."""
    rng = np.random.default_rng(seed)
    num_copies = int(num_images * copy_share)
    num_originals = num_images - num_copies
    chunks = [min(CHUNK, num_originals - at) for at in range(0, num_originals, CHUNK)]
    anatomies = rng.standard_normal((NUM_ANATOMIES, NUM_WAVES, NUM_WAVES), dtype=np.float32)
    originals = np.concatenate([draw_heads(chunk, anatomies, rng) for chunk in chunks])
    copies, kinds = plant_copies(originals[:num_copies], rng)
    order = rng.permutation(num_images)
    thumbnails = np.concatenate([originals, copies])[order]
    del originals, copies
    hashes = [hash_pixels(grey) for grey in thumbnails]
    place = np.argsort(order)
    planted = np.sort(np.stack([place[:num_copies], place[num_originals:]], 1), axis=1) @ [num_images, 1]
    with ray_session() if with_ray else nullcontext(), memory_watch() as samples:
        clock = Clock(run_with_ray if with_ray else run_here)
        pairs = find_copies(thumbnails, hashes, run=clock)
        clock.take("rest")
    found = pairs[["a", "b"]].to_numpy() @ [num_images, 1]
    is_found = np.isin(planted, found)
    verified = np.concatenate(clock.pairs, axis=1) if clock.pairs else np.zeros((2, 0), dtype=np.int64)
    return Outcome(
        num_images=num_images,
        with_ray=with_ray,
        seconds={stage: clock.seconds[stage] for stage in STAGES},
        num_verified=len(np.unique(verified[0] * num_images + verified[1])),
        recall={name: float(is_found[kinds == number].mean()) for number, name in enumerate(COPY_KINDS)},
        num_false=int((~np.isin(found, planted)).sum()),
        peak_bytes=max(samples),
    )


def row(outcome: Outcome) -> str:
    cells = [f"{outcome.num_images:,}", "Ray" if outcome.with_ray else "one process", f"{outcome.total_s:.1f}"]
    cells += [f"{outcome.seconds[stage]:.1f}" for stage in STAGES]
    cells.append(f"{1000 * outcome.total_s / outcome.num_images:.2f}")
    cells.append(f"{outcome.num_verified / outcome.num_images:.2f}")
    cells += [f"{100 * outcome.recall[name]:.1f}" for name in COPY_KINDS]
    cells += [str(outcome.num_false), f"{outcome.peak_bytes / 2**30:.2f}"]
    return "| " + " | ".join(cells) + " |"


def growth(outcomes: list[Outcome]) -> str:
    """The exponents of the stages and of the whole, and what the latter says of a million images."""
    sizes = np.log([outcome.num_images for outcome in outcomes])
    exponents = {}
    for stage in ("total", *STAGES):
        values = [outcome.total_s if stage == "total" else outcome.seconds[stage] for outcome in outcomes]
        exponents[stage] = np.polyfit(sizes, np.log(np.maximum(values, 1e-3)), 1)[0]
    last = outcomes[-1]
    hours = last.total_s * (1e6 / last.num_images) ** exponents["total"] / 3600
    each = ", ".join(f"{stage} {exponent:.2f}" for stage, exponent in exponents.items())
    return f"Exponents of growth: {each}. If it went on so, a million images would take {hours:.1f} h here.\n"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 30_000, 100_000])
    parser.add_argument("--ray-sizes", type=int, nargs="*", default=[30_000])
    parser.add_argument("--copies", type=float, default=0.1, help="share of the images that are copies")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    names = ["images", "run", "seconds", *STAGES, "ms an image", "pairs verified an image"]
    names += [*(f"recall %, {name}" for name in COPY_KINDS), "false pairs", "peak GiB"]
    print(f"{num_cores()} cores\n\n| {' | '.join(names)} |\n|{' --: |' * len(names)}", flush=True)
    outcomes: dict[tuple[int, bool], Outcome] = {}
    for num_images, with_ray in [(n, False) for n in arguments.sizes] + [(n, True) for n in arguments.ray_sizes]:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
            outcome = alone.submit(measure, num_images, with_ray, arguments.copies, arguments.seed).result()
        outcomes[num_images, with_ray] = outcome
        print(row(outcome), flush=True)
    print()
    if len(arguments.sizes) > 1:
        print(growth([outcomes[n, False] for n in arguments.sizes]))
    for n in arguments.ray_sizes:
        if (n, False) in outcomes:
            ratio = outcomes[n, False].total_s / outcomes[n, True].total_s
            print(f"{n:,} images: one process takes {ratio:.2f} times the seconds of Ray, whose session was open.")


if __name__ == "__main__":
    prepare_environment()
    main()
