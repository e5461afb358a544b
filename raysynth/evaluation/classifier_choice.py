"""Which classifier judges, as an evaluation's options say, checked before anything is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from raysynth.errors import UserError
from raysynth.evaluation.plan import DEFAULT_SEEDS

DEFAULT_CLASSIFIER = "cnn"
BATCH_SIZE = 64


@dataclass(frozen=True)
class ClassifierChoice:
    """A classifier by name, with the options of its config that differ from their defaults."""

    name: str = DEFAULT_CLASSIFIER
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def default_seeds(self) -> int:
        return DEFAULT_SEEDS[self.name]

    def num_values(self, shape: tuple[int, ...]) -> int:
        """How many numbers of an image of `shape` the classifier sees."""
        if self.name != "transfer":
            return math.prod(shape)
        from raysynth.models.transfer_classifier import DEFAULT_INPUT_SIZE

        return int(3 * self.options.get("input_size", DEFAULT_INPUT_SIZE) ** 2)

    def describe(self) -> dict[str, Any]:
        """Name and config, as far as all trainings share it."""
        from raysynth.evaluation.fit import CLASSIFIERS

        config = CLASSIFIERS[self.name].Config(batch_size=BATCH_SIZE, **self.options)
        return {"name": self.name, "config": config.model_dump(mode="json", exclude={"seed", "num_steps"})}


def choose_classifier(
    name: str,
    shape: tuple[int, ...],
    *,
    backbone: str | None = None,
    weights: str | None = None,
    input_size: int | None = None,
) -> ClassifierChoice:
    """The choice for images of `shape`.

    Raises UserError for a name that is not known, options of another classifier, a backbone that cannot be had, and
    images that the classifier cannot take.
    """
    if name not in DEFAULT_SEEDS:
        raise UserError(f"--classifier {name}: want one of {', '.join(DEFAULT_SEEDS)}")
    given = {"backbone": backbone, "weights": weights, "input_size": input_size}
    options = {key: value for key, value in given.items() if value is not None}
    if name != "transfer":
        if options:
            key, value = next(iter(options.items()))
            raise UserError(
                f"--{key.replace('_', '-')} {value}: --classifier {name} has none; add --classifier transfer"
            )
        return ClassifierChoice(name)

    from raysynth.models.backbone import DEFAULT_BACKBONE, load_backbone
    from raysynth.models.transfer_classifier import DEFAULT_INPUT_SIZE, check_shape

    check_shape(shape)
    load_backbone(backbone or DEFAULT_BACKBONE, weights=weights or "", side=input_size or DEFAULT_INPUT_SIZE)
    return ClassifierChoice(name, options)
