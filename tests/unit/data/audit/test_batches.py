"""Batches in this process: in their order, with what is shared, and with the threads given back."""

import threading

import numpy as np
import pytest
import torch

from raysynth.data.audit.batches import run_here


@pytest.fixture(autouse=True)
def three_threads():
    """A number of threads that no test leaves behind."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_results_come_in_the_order_of_the_batches():
    first_may_go_on = threading.Event()

    def double(batch: int, shared: dict) -> int:
        if batch == 0:
            first_may_go_on.wait(1.0)  # the others overtake it, where there are other threads
        else:
            first_may_go_on.set()
        return 2 * batch + shared["more"]

    assert list(run_here(double, range(20), {"more": 1})) == [2 * batch + 1 for batch in range(20)]
    assert list(run_here(double, [], {"more": 1})) == []


def test_each_batch_has_one_thread_and_afterwards_all_are_back():
    seen = list(run_here(lambda batch, shared: torch.get_num_threads(), range(8), {}))
    assert seen == [1] * 8
    assert torch.get_num_threads() == 3


def test_an_error_in_a_batch_is_raised_and_the_threads_are_back():
    def fail(batch: np.ndarray, shared: dict) -> None:
        raise RuntimeError(f"batch {batch}")

    with pytest.raises(RuntimeError, match="batch 0"):
        list(run_here(fail, range(3), {}))
    assert torch.get_num_threads() == 3
