"""How threads wait: two trainings at once on shared cores, with torch's threads spinning or sleeping.

    python benchmarks/thread_waiting.py

Starts as many processes as there are cores, each with as many threads, and prints images/s of each setting: it is
why `prepare_environment` sets OMP_WAIT_POLICY=passive.
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


def images_per_s(policy: str, num_processes: int, threads: int, seconds: float = 8.0) -> float:
    """Images per second of all processes together."""
    code = CHILD.format(threads=threads, seconds=seconds)
    environment = {**os.environ, "OMP_WAIT_POLICY": policy}
    processes = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(num_processes)
    ]
    return sum(float(process.communicate()[0]) for process in processes)


def main() -> None:
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores; WCGAN-GP at 32 px, batch 32; images/s of all processes")
    for num_processes, threads in ((1, cores), (cores, 1), (cores, cores)):
        spinning, sleeping = (images_per_s(policy, num_processes, threads) for policy in ("active", "passive"))
        print(
            f"{num_processes} processes x {threads} threads: spinning {spinning:.0f}, sleeping {sleeping:.0f}, "
            f"ratio {sleeping / spinning:.2f}"
        )


if __name__ == "__main__":
    main()
