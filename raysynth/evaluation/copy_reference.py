"""Which images are copies: nearest real neighbours, and a threshold that few held-out real images fall below.

A generated image near to a training image says little by itself: slices of one head are near one another, and so are
heads without texture. What a copy alone has is to be near to *one* image: nearer than that image's own neighbours, and
nearer than to any other. The score of an image is the larger of two ratios,

    d(g, x) / d(x, x')    g to its nearest train image x, over x to the nearest train image of another group, and
    d(g, x) / d(g, x'')   the same over g to the nearest train image of another group than x's (Lowe 2004, section 7.1),

in each of the views of `copy_views`, over the scale of the view: what 1 % of the train images themselves stay below
with the second ratio, their own group left out. The smallest of all views counts, and its threshold is set on held-out
images, which nothing else was chosen by: 1 % of others like them are below it, over all views together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from raysynth.data.dataset import Dataset, tensor_column
from raysynth.data.thumbnails import BLANK_RANGE
from raysynth.evaluation.copy_neighbours import Found, RealImages, RealNeighbours, own_distances
from raysynth.evaluation.copy_views import NUM_DECIDING, mirror, view_vectors

FALSE_ALARMS = 0.01
MIN_HELD_OUT = 2
_NEVER = 1e-9  # the scale of a view that does not decide: only the same image has a small score there
Describe = Callable[[np.ndarray], list[np.ndarray]]  # images to vectors of each view, as `view_vectors`


@dataclass(frozen=True)
class CopyReference:
    """The real images that generated ones are held against, and the threshold of the score (see the module).

    `held_out_found` is what is nearest to each held-out image, `calibrating` (N,) which of them set the threshold.
    """

    describe: Describe
    real: RealNeighbours
    threshold: float
    held_out_found: Found
    calibrating: np.ndarray

    def find(self, images: np.ndarray) -> Found:
        """The nearest real images of N > 0 images (N, C, H, W), or volumes (N, C, D, H, W), uint8.

        A blank image (all of one grey) is a copy of nobody: its score is infinite.
        """
        found = self.real.find(self.describe(images), self.describe(mirror(images)))
        return replace(found, score=np.where(_is_blank(images), np.inf, found.score))

    def is_copy(self, found: Found) -> np.ndarray:
        """Which of the images (N,) are below the threshold."""
        below: np.ndarray = found.score < self.threshold
        return below


def build_reference(
    dataset: Dataset, describe: Describe = view_vectors, num_deciding: int = NUM_DECIDING
) -> CopyReference | None:
    """The train images of a data set, and its validation images as held-out ones; None where there are too few.

    The last `num_deciding` views of those that `describe` gives have a say. The test split is not read. Held-out images
    that are copies themselves calibrate nothing: those of a group that has images in train, and those that are the same
    as one there. With fewer than 199 that calibrate, the threshold is their smallest score, and
    the next held-out image's chance of a false alarm is 1 in n + 1.
    """
    tables = [dataset.read(["id", "group", "label", "image"], split) for split in ("train", "validation")]
    names = [np.array(table["group"].to_pylist(), dtype=str) for table in tables]
    _, codes = np.unique(np.concatenate(names), return_inverse=True)
    groups = np.split(codes, [len(names[0])])
    if len(np.unique(groups[0])) < 2 or len(names[1]) < MIN_HELD_OUT:
        return None
    images = [tensor_column(table, "image") for table in tables]
    train, held_out = (
        RealImages(np.array(table["id"].to_pylist(), dtype=str), of, table["label"].to_numpy(), describe(pixels))
        for table, of, pixels in zip(tables, groups, images, strict=True)
    )
    own, ratios = own_distances(train, describe(mirror(images[0])))
    # The same picture in two groups is no measure of how near patients are.
    scales = np.array([threshold_of(of_view[of_view > 0]) if of_view.any() else 1.0 for of_view in ratios])
    scales[: len(scales) - num_deciding] = _NEVER
    real = RealNeighbours(train, held_out, own, scales)
    found = real.find(held_out.vectors, describe(mirror(images[1])), held_out.groups)
    blank = _is_blank(images[1])
    found = replace(found, score=np.where(blank, np.inf, found.score))
    calibrating = ~np.isin(held_out.groups, train.groups) & ~blank & (found.score > 0)
    if calibrating.sum() < MIN_HELD_OUT:
        return None
    return CopyReference(describe, real, threshold_of(found.score[calibrating]), found, calibrating)


def threshold_of(scores: np.ndarray, false_alarms: float = FALSE_ALARMS) -> float:
    """The value below which a fresh score like these N is with a probability of at most `false_alarms`, or 1 / (N + 1).

    The split conformal quantile (Vovk et al. 2005): of N + 1 exchangeable scores each is as likely the k-th smallest.
    """
    place = max(int(false_alarms * (len(scores) + 1)) - 1, 0)
    return float(np.sort(scores)[place])


def _is_blank(images: np.ndarray) -> np.ndarray:
    """Which images are blank, as `raysynth.data.thumbnails.is_blank` says it of thumbnails."""
    flat: np.ndarray = np.ptp(images.reshape(len(images), -1), axis=1) <= BLANK_RANGE
    return flat
