"""Images that are there already: a data set, or a folder of folds, that new images are added to."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from raysynth.data.audit.subject import Subject
from raysynth.data.audit.thresholds import Thresholds
from raysynth.data.dataset import Dataset, load_dataset
from raysynth.data.decode import Target
from raysynth.data.locations import Location
from raysynth.errors import UserError


@dataclass(frozen=True)
class Base:
    """The images of a data set, with the folds (N,) of a folder of folds."""

    name: str
    fingerprint: str
    subject: Subject
    num_folds: int | None
    folds: list[int | None]
    thresholds: Thresholds

    @property
    def num_images(self) -> int:
        return len(self.subject)


def load_base(path: Location, target: Target) -> Base:
    """Read `--add-to`: a data set, or a folder with fold-0, fold-1, ...

    Raises UserError when it is neither, or its images have another shape than the new ones will have.
    """
    num_folds = 0
    while (path / f"fold-{num_folds}" / "dataset.json").is_file():
        num_folds += 1
    dataset = load_dataset(path / "fold-0" if num_folds else path, "--add-to")
    given = dataset.source.get("arguments", {})
    if num_folds and (wanted := given.get("folds", num_folds)) != num_folds:
        raise UserError(f"--add-to {path}: has {num_folds} of {wanted} folds; name the folder that holds them all")
    if dataset.kind != "real":
        raise UserError(f"--add-to {path}: a synthetic data set; name one that was imported")
    if target.shape != dataset.shape:
        raise UserError(
            f"--add-to {path}: its images have the shape {_text(dataset.shape)}, the new ones {_text(target.shape)}; "
            "give the same --size, --channels and --volumes"
        )
    for option in ("fit", "crop", "drop_border", "axis", "every", "window"):
        if option in given and given[option] != getattr(target, option):
            name = option.replace("_", "-")
            raise UserError(
                f"--{name} {getattr(target, option)}: the images of --add-to {path} were made with {given[option]}; "
                "the difference would tell old images from new ones"
            )
    if not num_folds:
        _refuse_lone_fold(dataset, path)
    folds = dataset.read(["fold"])["fold"].to_pylist()
    thresholds = Thresholds(**given.get("thresholds", {}))
    return Base(dataset.name, dataset.fingerprint, Subject.read(dataset), num_folds or None, folds, thresholds)


def _text(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _refuse_lone_fold(dataset: Dataset, path: Location) -> None:
    if any(fold is not None for fold in dataset.read(["fold"])["fold"].to_pylist()):
        raise UserError(f"--add-to {path}: one fold of several; name the folder that holds them all")


def check_same_folds(given: int | None, there: int | None) -> int | None:
    """The number of folds of the base, None if it has one split. Raises UserError when another one was given."""
    if given not in (None, there):
        has = "one split, which is frozen" if there is None else f"{there} folds, whose number is frozen"
        raise UserError(f"--folds {given}: the data set of --add-to has {has}; leave --folds out")
    return there


def check_same_thresholds(given: Thresholds | None, base: Base) -> Thresholds:
    """The thresholds of the base. Raises UserError when others were given: they would see other copies in it."""
    if given not in (None, Thresholds(), base.thresholds):
        raise UserError(
            f"--add-to {base.name}: was audited with {asdict(base.thresholds)}; leave the thresholds out, or give these"
        )
    return base.thresholds


@dataclass(frozen=True)
class Joined:
    """Old and new images: `keep` (N,) the splits and `keep_folds` the folds of the old ones, None for new ones."""

    subject: Subject
    keep: list[str | None]
    keep_folds: list[int | None] | None
    rejected: list[tuple[str, str]]

    @staticmethod
    def make(base: Base | None, new: Subject) -> Joined:
        """The images of the base, if there is one, and then the new ones.

        A file that is there already, by its name and its pixels, is rejected; another of the same name gets a new one.
        """
        if base is None:
            return Joined(new, [None] * len(new), None, [])
        there = dict(zip(base.subject.ids, base.subject.hashes, strict=True))
        is_new = np.array([there.get(i) != h for i, h in zip(new.ids, new.hashes, strict=True)], dtype=bool)
        reason = f"{base.name} has this image already"
        rejected = [(new.places()[row], reason) for row in np.flatnonzero(~is_new)]
        fresh = new.take(np.flatnonzero(is_new))
        taken = {*there, *fresh.ids}
        fresh = replace(fresh, ids=[_free_name(name, taken) if name in there else name for name in fresh.ids])
        nothing = [None] * len(fresh)
        return Joined(
            subject=base.subject.join(fresh).named(new.name),
            keep=[*base.subject.splits, *nothing],
            keep_folds=None if base.num_folds is None else [*base.folds, *nothing],
            rejected=rejected,
        )


def _free_name(name: str, taken: set[str]) -> str:
    """The name with a number, and from now on taken."""
    number = 2
    while (numbered := f"{name} ({number})") in taken:
        number += 1
    taken.add(numbered)
    return numbered
