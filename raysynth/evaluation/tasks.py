"""Tasks for a worker that is costly to make: one of it in this process, or one in each of Ray's, by Ray Data."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from raysynth.cluster.made_once import made_once

Columns = dict[str, np.ndarray]
Task = Mapping[str, Any]


def run_tasks(
    worker: Callable[..., Callable[[dict[str, Any]], Columns]],
    arguments: tuple[Any, ...],
    tasks: Sequence[Task],
    *,
    with_ray: bool,
) -> Iterable[Columns]:
    """What `worker(*arguments)` makes of each task, a dict of plain values that it is given as columns of one row.

    `worker` is a class, made once in each process; it may set that process's number of threads. With Ray a session must
    be running, and results come in the order in which they are ready.
    """
    return _with_ray(worker, arguments, tasks) if with_ray else _here(worker, arguments, tasks)


def _with_ray(worker: Any, arguments: tuple[Any, ...], tasks: Sequence[Task]) -> Iterable[Columns]:
    import ray

    done = ray.data.from_items(list(tasks), override_num_blocks=len(tasks)).map_batches(
        _do,
        fn_kwargs={"pipeline": uuid.uuid4().hex, "worker": worker, "arguments": arguments},
        batch_size=1,
        batch_format="numpy",
        num_cpus=1,
    )
    results: Iterable[Columns] = done.iter_batches(batch_size=None, batch_format="numpy")
    return results


def _do(batch: dict[str, Any], *, pipeline: str, worker: Any, arguments: tuple[Any, ...]) -> Columns:
    columns: Columns = made_once(pipeline, lambda: worker(*arguments))(batch)
    return columns


def _here(worker: Any, arguments: tuple[Any, ...], tasks: Sequence[Task]) -> Iterator[Columns]:
    from raysynth.evaluation.fit import limited_threads

    with limited_threads(None):  # the worker sets the threads of its process: they are set back afterwards
        work = worker(*arguments)
        for task in tasks:
            yield work({name: [value] for name, value in task.items()})
