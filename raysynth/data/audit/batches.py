"""Map a function over batches: in this process, or with Ray Data over all cores of all nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

# run(function, batches, shared) yields function(batch, shared), in the order of the batches.
Run = Callable[[Callable[[Any, dict[str, Any]], Any], Sequence[Any], dict[str, Any]], Iterable[Any]]

RAY_MIN_IMAGES = 20_000  # below, starting Ray's processes takes longer than what they save on a few cores


def run_here(
    function: Callable[[Any, dict[str, Any]], Any], batches: Sequence[Any], shared: dict[str, Any]
) -> Iterator[Any]:
    """One batch after another."""
    for batch in batches:
        yield function(batch, shared)


def run_with_ray(
    function: Callable[[Any, dict[str, Any]], Any], batches: Sequence[Any], shared: dict[str, Any]
) -> Iterator[Any]:
    """A Ray Data pipeline with one actor a core; what is shared lies once a node in the object store.

    A Ray session must be open. Arrays are shared without a copy.
    """
    import ray
    import ray.data

    handles = {name: ray.put(value) for name, value in shared.items()}
    rows = ray.data.from_items([{"number": number} for number in range(len(batches))], override_num_blocks=1)
    num_actors = max(1, int(ray.cluster_resources().get("CPU", 1)))
    done = rows.map_batches(
        _Worker,
        fn_constructor_args=(function, ray.put(list(batches)), handles),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=num_actors),
        num_cpus=1,
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
        import torch

        torch.set_num_threads(1)
        self.function = function
        self.batches = ray.get(batches)
        self.shared = {name: ray.get(handle) for name, handle in handles.items()}

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        results = np.empty(len(batch["number"]), dtype=object)
        for place, number in enumerate(batch["number"]):
            results[place] = self.function(self.batches[int(number)], self.shared)
        return {"number": batch["number"], "result": results}
