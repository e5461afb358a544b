"""What an evaluation is asked for, checked before anything is trained or Ray is started."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from raysynth.data.dataset import Dataset, hash_pixels, load_dataset, tensor_column, thumbnail
from raysynth.data.default import default_dataset
from raysynth.errors import UserError
from raysynth.evaluation.plan import REAL, unique_names


@dataclass(frozen=True)
class SyntheticSet:
    """A data set in the role of a synthetic one; `name` is unique in the evaluation."""

    name: str
    dataset: Dataset
    warnings: tuple[str, ...]

    @property
    def num_images(self) -> int:
        return self.dataset.num_images("train")


def load_inputs(
    real: Path | str | Dataset | None, synthetic: Sequence[Path | str], say: Callable[[str], None]
) -> tuple[Dataset, list[SyntheticSet]]:
    """The real data set (None: the embedded phantom) and the synthetic ones, classes matched by name.

    Raises UserError, naming the option, for a set that is missing or empty, or does not fit the real one.
    """
    if not synthetic:
        raise UserError("--synthetic: not given; name at least one data set, `raysynth generate` makes one")
    datasets = [load_dataset(path, "--synthetic") for path in synthetic]
    if real is None:
        real_set = default_dataset(say)
    else:
        real_set = real if isinstance(real, Dataset) else load_dataset(real, "--real")
    for split in ("train", "test"):
        if not real_set.num_images(split):
            raise UserError(
                f"--real {real_set.path}: no images in the split {split}; import the images again, e.g. with --test 0.1"
            )
    for dataset in datasets:
        _check_fit(dataset, real_set)
    names = unique_names((dataset.name for dataset in datasets), taken=(REAL,))
    return real_set, [
        SyntheticSet(name, dataset, tuple(_find_warnings(name, dataset, real_set)))
        for name, dataset in zip(names, datasets, strict=True)
    ]


def _check_fit(dataset: Dataset, real: Dataset) -> None:
    option = f"--synthetic {dataset.path}"
    if not dataset.num_images("train"):
        raise UserError(f"{option}: no images in the split train, the only one that is used; generate or import again")
    if dataset.shape != real.shape:
        raise UserError(
            f"{option}: images of shape {_shape(dataset)}, those of --real are {_shape(real)}; "
            "make it from the same data set, or import one of them with the other's --size and --channels"
        )
    unknown = [name for name in dataset.classes if name not in real.classes and dataset.counts["train"][name]]
    if unknown:
        raise UserError(
            f"{option}: class {unknown[0]!r} is not in --real (its classes: {', '.join(real.classes)}); "
            f"import it again with --rename {unknown[0]}=CLASS"
        )


def _find_warnings(name: str, dataset: Dataset, real: Dataset) -> list[str]:
    """Reasons to doubt that the synthetic images know nothing of the test images."""
    warnings = []
    test_hashes = _pixel_hashes(real, "test")
    num_copies = sum(not hashes.isdisjoint(test_hashes) for hashes in _hashes_by_image(dataset, "train"))
    if num_copies:
        warnings.append(f"{num_copies} images of {name} are pixel-identical to test images")
    if dataset.provenance is None:
        warnings.append(f"the origin of {name} is unknown, so it may know test images")
    elif dataset.provenance.get("training_fingerprint") != real.fingerprint:
        warnings.append(f"{name} was not made from this data set, so it may know test images")
    return warnings


def _pixel_hashes(dataset: Dataset, split: str) -> set[str]:
    return set().union(*_hashes_by_image(dataset, split))


def _hashes_by_image(dataset: Dataset, split: str) -> list[set[str]]:
    """For each image the hash of its original and that of its stored pixels: a copy may be of either."""
    table = dataset.read(["pixel_hash", "image"], split)
    stored = (hash_pixels(thumbnail(image)) for image in tensor_column(table, "image"))
    return [{original, pixels} for original, pixels in zip(table["pixel_hash"].to_pylist(), stored, strict=True)]


def _shape(dataset: Dataset) -> str:
    return " x ".join(map(str, dataset.shape))
