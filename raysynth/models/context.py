"""What the training loop hands a model: its device, its place among the workers, and all its randomness.

Every draw is a function of (seed, epoch, step, name, global index in the batch). A worker draws the numbers of the
whole global batch and keeps its own rows, so one worker and many see the same numbers, and a resumed training goes
on as if it had never stopped. A GPU draws its own numbers, others than a CPU's or, where they are many, than another
model of GPU: 64 images' noise made on the CPU and carried over would take longer than a small network's step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
import torch.distributed as distributed
from torch import Tensor, nn


def hash_seed(*parts: int | str) -> int:
    """A 63-bit seed that depends on every part; the same on every machine."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def seeded_normal(seeds: Tensor, *shape: int) -> Tensor:
    """Standard normal numbers (N, *shape) on the CPU, row i from seeds[i] alone."""
    rows = [torch.randn(shape, generator=torch.Generator().manual_seed(hash_seed(int(s)))) for s in seeds.cpu()]
    return torch.stack(rows)


def content_seeds(images: Tensor) -> Tensor:
    """Seeds (N,), each a function of its image (N, ...) alone: for what is drawn in validation, so that it is the same
    in every epoch, batch and worker."""
    return torch.tensor([hash_seed(hashlib.blake2b(row.numpy().tobytes()).hexdigest()) for row in images.cpu().float()])


@dataclass
class Context:
    """One worker's view of a training. `rank` and `world_size` are those of the workers that train together.

    `num_epochs` and `steps_per_epoch` are the training's whole length, 0 where it is not known.
    """

    seed: int = 0
    device: torch.device = torch.device("cpu")
    rank: int = 0
    world_size: int = 1
    epoch: int = 0
    step: int = 0
    num_epochs: int = 0
    steps_per_epoch: int = 0

    @property
    def progress(self) -> float:
        """The share of the training that is done, from 0 to 1, for schedules; 0 where its length is not known.

        A function of epoch and step alone: a resumed training goes on where the stopped one was.
        """
        if not self.num_epochs or not self.steps_per_epoch or not self.epoch:
            return 0.0
        return min(1.0, (self.epoch - 1 + self.step / self.steps_per_epoch) / self.num_epochs)

    def at(self, epoch: int, step: int) -> None:
        """Move to a step. torch's own generator is seeded too: dropout is then equal for equal world sizes."""
        self.epoch, self.step = epoch, step
        seed = hash_seed(self.seed, epoch, step, "torch", self.rank)
        # Not torch.manual_seed: on machines without a GPU it formats the whole call stack for each kind of accelerator,
        # 0.4 ms at a shallow stack, 1.5 ms and more below Ray Train.
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def normal(self, name: str, num_rows: int, *shape: int) -> Tensor:
        """This worker's `num_rows` rows of standard normal numbers, (num_rows, *shape)."""
        return self._rows(torch.randn, name, num_rows, shape)

    def uniform(self, name: str, num_rows: int, *shape: int) -> Tensor:
        """This worker's `num_rows` rows of uniform numbers in [0, 1), (num_rows, *shape)."""
        return self._rows(torch.rand, name, num_rows, shape)

    def _rows(self, draw: Callable[..., Tensor], name: str, num_rows: int, shape: tuple[int, ...]) -> Tensor:
        generator = torch.Generator(self.device)
        generator.manual_seed(hash_seed(self.seed, self.epoch, self.step, name))
        numbers = draw((num_rows * self.world_size, *shape), generator=generator, device=self.device)
        return numbers[self.rank * num_rows : (self.rank + 1) * num_rows]

    def step_optimizer(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        """One step down `loss` (a mean over this worker's rows), with gradients averaged over the workers.

        Averaged here and not by DistributedDataParallel, whose hooks miss what `autograd.grad` computes for a
        gradient penalty.
        """
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.world_size > 1:
            self._average_gradients([p for group in optimizer.param_groups for p in group["params"]])
        optimizer.step()

    def _average_gradients(self, parameters: list[nn.Parameter]) -> None:
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])  # one message in place of many
        distributed.all_reduce(flat)
        flat /= self.world_size
        for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def mean_over_workers(self, values: dict[str, float]) -> dict[str, float]:
        """The mean of each value over the workers, who must all call with the same keys."""
        if self.world_size == 1 or not values:
            return values
        flat = torch.tensor(list(values.values()), dtype=torch.float64, device=self.device)
        distributed.all_reduce(flat)
        return dict(zip(values, (flat / self.world_size).tolist(), strict=True))

    def sum_over_workers(self, tensors: list[Tensor]) -> list[Tensor]:
        """The sum of each tensor over the workers, who must all call with the same shapes."""
        if self.world_size == 1:
            return tensors
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        parts = flat.split([tensor.numel() for tensor in tensors])
        return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]

    def autocast(self) -> AbstractContextManager[object]:
        """bfloat16 where the device gains by it (CUDA with native support); measured slower on CPUs without AMX."""
        if self.device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
            return torch.autocast("cuda", dtype=torch.bfloat16)
        return nullcontext()
