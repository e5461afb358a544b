"""Randomness is a function of (seed, epoch, step, name, global index), whatever the number of workers."""

from __future__ import annotations

import torch

from raysynth.models.context import Context, hash_seed, seeded_normal


def test_workers_draw_the_rows_of_the_global_batch():
    whole = Context(seed=3)
    whole.at(2, 5)
    everything = whole.normal("latents", 8, 4)
    for rank in range(4):
        worker = Context(seed=3, rank=rank, world_size=4)
        worker.at(2, 5)
        assert torch.equal(worker.normal("latents", 2, 4), everything[2 * rank : 2 * rank + 2])


def test_every_part_changes_the_numbers():
    def draw(seed: int = 0, epoch: int = 1, step: int = 1, name: str = "a") -> torch.Tensor:
        context = Context(seed=seed)
        context.at(epoch, step)
        return context.uniform(name, 4)

    first = draw()
    assert torch.equal(first, draw())
    for other in (draw(seed=1), draw(epoch=2), draw(step=2), draw(name="b")):
        assert not torch.equal(first, other)


def test_dropout_is_the_same_again():
    context = Context()
    masks = []
    for _ in range(2):
        context.at(1, 7)
        masks.append(torch.nn.functional.dropout(torch.ones(50), 0.5))
    assert torch.equal(*masks)


def test_a_seeded_row_is_its_own():
    seeds = torch.tensor([5, 9, 5])
    rows = seeded_normal(seeds, 3)
    assert torch.equal(rows[0], rows[2])
    assert torch.equal(seeded_normal(seeds[1:2], 3)[0], rows[1])


def test_hashed_seeds_fit_a_signed_integer_and_differ():
    seeds = {hash_seed(0, i) for i in range(1000)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_progress_is_a_function_of_epoch_and_step():
    context = Context()
    context.at(3, 2)
    assert context.progress == 0  # of a training whose length is not known
    context.num_epochs, context.steps_per_epoch = 4, 10
    seen = []
    for epoch, step in ((1, 0), (1, 5), (3, 0), (4, 10)):
        context.at(epoch, step)
        seen.append(context.progress)
    assert seen == [0.0, 0.125, 0.5, 1.0]
