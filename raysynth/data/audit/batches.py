"""Map a function over batches: in this process, or with Ray Data over all cores of all nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import faiss
import numpy as np
import torch

from raysynth.cluster.session import actor_restarts

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
    """A Ray Data pipeline with one actor a core; what is shared lies once a node in the object store.

    A Ray session must be open. Arrays are shared without a copy.
    """
    import ray
    import ray.data

    handles = {name: ray.put(value) for name, value in shared.items()}
    # A block a batch: Ray Data gives an actor a block at a time.
    items = [{"number": number} for number in range(len(batches))]
    rows = ray.data.from_items(items, override_num_blocks=max(1, len(batches)))
    num_actors = max(1, min(len(batches), int(ray.cluster_resources().get("CPU", 1))))
    restarts = actor_restarts()
    done = rows.map_batches(
        _Worker,
        fn_constructor_args=(function, ray.put(list(batches)), handles),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=num_actors),
        num_cpus=1,
        ray_remote_args_fn=lambda: restarts,
    )
    waiting: dict[int, Any] = {}
    due = 0
    for row in done.iter_rows():
        waiting[int(row["number"])] = row["result"]
        while due in waiting:
            yield waiting.pop(due)
            due += 1


class _Worker:
    def __init__(self, function: Callable[[Any, dict[str, Any]], Any], batches: Any, handles: dict[str, Any]) -> None:
        import ray

        torch.set_num_threads(1)
        faiss.omp_set_num_threads(1)
        self.function = function
        self.batches = ray.get(batches)
        self.shared = {name: ray.get(handle) for name, handle in handles.items()}

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        results = np.empty(len(batch["number"]), dtype=object)
        for place, number in enumerate(batch["number"]):
            results[place] = self.function(self.batches[int(number)], self.shared)
        return {"number": batch["number"], "result": results}
