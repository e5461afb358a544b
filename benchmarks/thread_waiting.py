"""How long threads spin while they wait: trainings alone and on shared cores, by libgomp's spin count.

    python benchmarks/thread_waiting.py

Prints images/s of all processes together: it is why `prepare_environment` sets GOMP_SPINCOUNT=50000. With the default
("spin on"), two processes of as many threads as cores wait for each other; sleeping at once (0) costs one alone half.
"""

from __future__ import annotations

import os
import subprocess
import sys

CHILD = """
import time, torch
from raysynth.models.context import Context
from raysynth.models.wcgan_gp import WCGANGP
torch.set_num_threads({threads})
context = Context()
family = WCGANGP(WCGANGP.Config(), shape=(1, 32, 32), num_classes=4, context=context)
images, labels = torch.rand(32, 1, 32, 32) * 2 - 1, torch.arange(32) % 4
for step in range(10):
    context.at(1, step); family.train_step(images, labels)
started, step = time.perf_counter(), 0
while time.perf_counter() - started < {seconds}:
    context.at(2, step); family.train_step(images, labels); step += 1
print(step * 32 / (time.perf_counter() - started))
"""


def images_per_s(spin_count: str | None, num_processes: int, threads: int, seconds: float = 8.0) -> float:
    """Images per second of all processes together; `spin_count` None is libgomp's default."""
    code = CHILD.format(threads=threads, seconds=seconds)
    environment = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    if spin_count is not None:
        environment["GOMP_SPINCOUNT"] = spin_count
    processes = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(num_processes)
    ]
    return sum(float(process.communicate()[0]) for process in processes)


def main() -> None:
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores; WCGAN-GP at 32 px, batch 32; images/s of all processes")
    for num_processes, threads in ((1, cores), (cores, 1), (cores, cores)):
        spinning = images_per_s(None, num_processes, threads)
        print(f"{num_processes} processes x {threads} threads: spin on {spinning:.0f}", end="")
        for spin_count in ("50000", "5000", "0"):
            rate = images_per_s(spin_count, num_processes, threads)
            print(f", spin count {spin_count} {rate:.0f} (ratio {rate / spinning:.2f})", end="")
        print()


if __name__ == "__main__":
    main()
