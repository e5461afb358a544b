"""Leaving out generated images that are too near to a training image (`generate --refuse-copies`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from raysynth.errors import UserError
from raysynth.training.agreement import training_dataset
from raysynth.training.selection import Judge


def copy_judge(settings: dict[str, Any]) -> tuple[Judge, float]:
    """Keeps the images of a run that the test for copies does not call one, by the data set that it was trained on;
    and the test's threshold (see `raysynth.evaluation.copy_reference`).

    Data sets that its pre-training saw are not asked. Raises UserError where that data set is gone, has changed or has
    too few validation images to set the threshold by.
    """
    from raysynth.evaluation.copy_reference import build_reference

    dataset = training_dataset(settings, "--refuse-copies")
    reference = build_reference(dataset)
    if reference is None:
        raise UserError(
            f"--refuse-copies: {dataset.path} has too few validation images to set the threshold by; import it again "
            "with --validation 0.1"
        )

    def keeps(images: np.ndarray, label: int) -> np.ndarray:
        return ~reference.is_copy(reference.find(images))

    problem = "--refuse-copies: of {drawn} images of {name} only {kept} are no copies of training images; train anew"
    return Judge(keeps, problem), reference.threshold
