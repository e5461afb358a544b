"""What a trainable model offers the training loop, and what a family of generators adds to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from raysynth.config import Config
from raysynth.errors import UserError
from raysynth.models.context import Context
from raysynth.models.registry import family_names, get_family

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

Metrics = dict[str, Tensor | float]
Curve = tuple[str, str, list[str], str]  # name, title, columns of metrics.csv, caption


class TrainingConfig(Config):
    """The options that every trainable model has."""

    batch_size: int = Field(default=64, gt=0, description="images in a step, over all workers")
    seed: int = Field(default=0, ge=0, description="seed of everything random")


@dataclass(frozen=True)
class Phase:
    """A stretch of a training, e.g. *frozen* then *unfrozen*; most families have one."""

    name: str
    num_epochs: int


@dataclass(frozen=True)
class Figure:
    """A figure of a family for the report. `name` is safe for files; `caption` says what is seen.

    Figures of one name from several runs are laid beside each other, with one y axis where they say `same_scale`.
    """

    name: str
    title: str
    caption: str
    figure: MatplotlibFigure
    same_scale: bool = False


class Model(ABC):
    """Something that the loop can train: it owns its networks, losses and optimisers.

    Images are (N, C, H, W) float in [-1, 1] and labels (N,) int64, both on `context.device`; a batch is this
    worker's share of the global batch. Everything random comes from `context`.
    """

    class Config(TrainingConfig):
        """The options of this model; a subclass nests its own."""

    config: TrainingConfig

    def __init__(self, config: TrainingConfig, *, shape: tuple[int, ...], num_classes: int, context: Context) -> None:
        self.config = config
        self.shape = shape
        self.num_classes = num_classes
        self.context = context

    @abstractmethod
    def train_step(self, images: Tensor, labels: Tensor) -> Metrics:
        """Learn from one batch; scalar metrics of this step (a missing key means: not this step)."""

    def validate(self, images: Tensor, labels: Tensor) -> Metrics:
        """Scalar metrics of one batch of the validation split, nothing learnt. None by default."""
        return {}

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Networks, averages and optimisers: tensors and plain values only."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""

    def phases(self, num_epochs: int) -> list[Phase]:
        """How `num_epochs` epochs are divided."""
        return [Phase("train", num_epochs)]

    def notes(self) -> list[str]:
        """What to say of a model that is built, in lines, before it is trained."""
        return []

    def start_phase(self, phase: Phase) -> None:
        """Called before the first epoch of a phase, after a resume too."""


class Family(Model):
    """A kind of generative model. One file adds one: subclass, nest a `Config`, decorate with `@register`."""

    class Config(TrainingConfig):
        """The options of a family: those of every training, and when its samples are looked at."""

        sample_every: int = Field(default=0, ge=0, description="epochs between sample grids; 0: ten in a run")
        score_every: int = Field(default=1, gt=0, description="epochs between Frechet scores")
        checkpoint_every: int = Field(default=1, gt=0, description="epochs between checkpoints")
        num_checkpoints: int = Field(
            default=2, gt=0, description="newest checkpoints that are kept; 1: none to fall back on"
        )
        memory_share: float = Field(
            default=0.1, ge=0, le=1, description="share of memory up to which train images lie in it, not in a file"
        )

    config: Config
    name: ClassVar[str]
    summary: ClassVar[str]  # one line for lists
    num_dims: ClassVar[int] = 2  # of the data: 2 takes images (C, H, W), 3 takes volumes (C, D, H, W)
    metrics: ClassVar[tuple[str, ...]] = ("frechet",)  # what a search may rank by; losses are for curiosity

    # Metrics that hold the critic's mean score of real and of generated images, by which a run is watched: see
    # `raysynth.training.health`. Accuracies are known by their names, which begin with `accuracy`.
    critic_gap: ClassVar[tuple[str, str] | None] = None

    needs_same_classes: ClassVar[bool] = False  # of the run `pretrained`, where it has that option

    curves: ClassVar[tuple[Curve, ...]] = ()  # figures of metrics.csv, in the report

    def __init__(self, config: Config, *, shape: tuple[int, ...], num_classes: int, context: Context) -> None:
        super().__init__(config, shape=shape, num_classes=num_classes, context=context)
        self.check_shape()

    def check_shape(self) -> None:
        """Raise UserError when the data have another number of dimensions than this family's networks."""
        num_dims = len(self.shape) - 1
        if num_dims != self.num_dims:
            able = [name for name in family_names() if get_family(name).num_dims == num_dims]
            kind = {2: "images", 3: "volumes"}
            raise UserError(
                f"--data: {kind.get(num_dims, 'data')} of {' x '.join(map(str, self.shape[1:]))}; {self.name} takes "
                f"{kind[self.num_dims]}" + (f": train {' or '.join(able)}" if able else ", as all families do")
            )

    @abstractmethod
    @torch.no_grad()
    def sample(self, labels: Tensor, seeds: Tensor) -> Tensor:
        """Images (N, C, H, W) float in [-1, 1] for labels (N,) and seeds (N,), from the averaged networks.

        Each image is a function of its label and its seed alone.
        """

    @classmethod
    def sampling_options(cls, config: Mapping[str, Any]) -> tuple[str, ...]:
        """The options of a run's config that nothing learns by: `generate --set` may change them."""
        return ()

    @classmethod
    def figures(cls, run: Path) -> list[Figure]:
        """Figures of a run folder that are particular to this family: its curves, unless it adds to them."""
        from raysynth.models.curves import draw_curves

        return draw_curves(run, cls.curves)
