"""Map a function over batches: in this process, or with Ray Data over all cores of all nodes."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import faiss
import numpy as np
import torch

from raysynth.cluster.made_once import made_once

# run(function, batches, shared) yields function(batch, shared), in the order of the batches.
Run = Callable[[Callable[[Any, dict[str, Any]], Any], Sequence[Any], dict[str, Any]], Iterable[Any]]

RAY_MIN_IMAGES = 20_000  # below, starting Ray's processes takes longer than what they save on a few cores


def run_here(
    function: Callable[[Any, dict[str, Any]], Any], batches: Sequence[Any], shared: dict[str, Any]
) -> Iterator[Any]:
    """In this process, with one thread a core: these small operations gain nothing from several threads each."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    try:
        with ThreadPoolExecutor(num_threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield from pool.map(lambda batch: function(batch, shared), batches)
    finally:
        torch.set_num_threads(num_threads)
        faiss.omp_set_num_threads(num_threads)


def run_with_ray(
    function: Callable[[Any, dict[str, Any]], Any], batches: Sequence[Any], shared: dict[str, Any]
) -> Iterator[Any]:
    """A Ray Data pipeline, a batch a task; what is shared lies once a node in the object store.

    A Ray session must be open. Arrays are shared without a copy, anything else is unpacked once in each process.
    """
    import ray
    import ray.data

    # A block a batch: Ray Data gives a task a block.
    items = [{"number": number} for number in range(len(batches))]
    done = ray.data.from_items(items, override_num_blocks=max(1, len(batches))).map_batches(
        _do,
        fn_kwargs={
            "pipeline": uuid.uuid4().hex,
            "function": function,
            "batches": ray.put(list(batches)),
            "handles": {name: ray.put(value) for name, value in shared.items()},
        },
        batch_size=1,
        num_cpus=1,
    )
    waiting: dict[int, Any] = {}
    due = 0
    for row in done.iter_rows():
        waiting[int(row["number"])] = row["result"]
        while due in waiting:
            yield waiting.pop(due)
            due += 1


def _do(
    batch: dict[str, np.ndarray],
    *,
    pipeline: str,
    function: Callable[[Any, dict[str, Any]], Any],
    batches: Any,
    handles: dict[str, Any],
) -> dict[str, Any]:
    def fetch() -> tuple[list[Any], dict[str, Any]]:
        import ray

        torch.set_num_threads(1)
        faiss.omp_set_num_threads(1)
        return ray.get(batches), {name: ray.get(handle) for name, handle in handles.items()}

    there, shared = made_once(pipeline, fetch)
    results = np.empty(len(batch["number"]), dtype=object)
    for place, number in enumerate(batch["number"]):
        results[place] = function(there[int(number)], shared)
    return {"number": batch["number"], "result": results}
