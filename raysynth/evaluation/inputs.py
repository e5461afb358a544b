"""What an evaluation is asked for, checked before anything is trained or Ray is started."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from raysynth.data.contact import Contact, Status, find_contact, worst
from raysynth.data.dataset import Dataset, load_dataset
from raysynth.data.default import default_dataset
from raysynth.data.locations import Location
from raysynth.errors import UserError
from raysynth.evaluation.plan import REAL, unique_names


@dataclass(frozen=True)
class SyntheticSet:
    """A data set in the role of a synthetic one; `name` is unique in the evaluation.

    `leakage` is the worse of `contact` and the real split's own: the mark of whatever rests on these images.
    """

    name: str
    dataset: Dataset
    contact: Contact
    leakage: Status

    @property
    def num_images(self) -> int:
        return self.dataset.num_images("train")

    @property
    def warnings(self) -> list[str]:
        """Reasons to doubt that the synthetic images know nothing of the images that they are judged by."""
        found = []
        unknown = [entry["detail"] for entry in self.contact.entries if entry["status"] == "unknown"]
        if self.contact.status == "touches":
            found.append(f"{self.name} knows test images: {self.contact.detail}")
        elif self.contact.status == "unknown":
            found.append(f"{self.name} may know test images: {self.contact.detail}")
        elif unknown:  # beside a leaky split, of which the evaluation speaks anyway
            found.append(f"{self.name} may know test images: {', '.join(unknown)}")
        if num_images := self.contact.num_validation_images:
            found.append(f"{self.name} knows {num_images} validation images: choices made by them favour it")
        return found


def load_inputs(
    real: Location | str | Dataset | None,
    synthetic: Sequence[Location | str],
    say: Callable[[str], None],
    *,
    allow_leakage: bool = False,
) -> tuple[Dataset, list[SyntheticSet]]:
    """The real data set (None: the embedded phantom) and the synthetic ones, classes matched by name.

    Raises UserError, naming the option, for a set that is missing or empty, or does not fit the real one, and unless
    `allow_leakage` for one that touches its test split.
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
    names = unique_names((_shown_name(dataset) for dataset in datasets), taken=(REAL,))
    contacts = [find_contact(dataset, real_set) for dataset in datasets]
    for dataset, contact in zip(datasets, contacts, strict=True):
        if contact.status == "touches" and not allow_leakage:
            raise UserError(
                f"--synthetic {dataset.path}: knows what it would be judged by: {contact.detail}; make it without them "
                "(a run on --real sees its train split only), or go on with --allow-leakage and every result marked"
            )
    return real_set, [
        SyntheticSet(name, dataset, contact, worst(real_set.leakage.status, contact.status))
        for name, dataset, contact in zip(names, datasets, contacts, strict=True)
    ]


def _shown_name(dataset: Dataset) -> str:
    """Its name, marked where its images were chosen by a classifier of the real ones: that is distillation."""
    chosen = (dataset.provenance or {}).get("keep")
    return f"{dataset.name} ({chosen} only)" if chosen else dataset.name


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


def _shape(dataset: Dataset) -> str:
    return " x ".join(map(str, dataset.shape))
