from typing import Any

import numpy as np
import torch

from raysynth.evaluation.tasks import run_tasks


class Scale:
    """Counts how often it is made, and leaves its process another number of threads."""

    num_made = 0

    def __init__(self, factor: int) -> None:
        Scale.num_made += 1
        self.factor = factor
        torch.set_num_threads(3)

    def __call__(self, batch: dict[str, Any]) -> dict[str, np.ndarray]:
        return {"result": np.array(batch["value"]) * self.factor}


def test_one_worker_does_all_tasks_in_order_and_leaves_the_threads_as_they_were():
    num_threads = torch.get_num_threads()
    done = list(run_tasks(Scale, (10,), [{"value": 3}, {"value": 1}, {"value": 2}], with_ray=False))
    assert [int(batch["result"][0]) for batch in done] == [30, 10, 20]
    assert Scale.num_made == 1
    assert torch.get_num_threads() == num_threads
