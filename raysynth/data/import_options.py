"""The options of an import that can be wrong, each with its remedy, before a file is read."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from raysynth.data.cropping import CROPS, FITS
from raysynth.data.decode import Target
from raysynth.data.locations import Location
from raysynth.data.nifti import AXES
from raysynth.data.sources import Source, readable, unfit_class_name
from raysynth.data.windowing import WINDOWS
from raysynth.errors import UserError

Split = Literal["grouped", "folders", "random"]
SPLIT_METHODS: tuple[Split, ...] = ("grouped", "folders", "random")
MAX_SIZE = 1024
MAX_VOLUME_SIZE = 256
MAX_EXAMPLES = 5


def check_target(target: Target) -> None:
    """Raises UserError for what no image can become."""
    largest = MAX_VOLUME_SIZE if target.volumes else MAX_SIZE
    if not 8 <= target.size <= largest:
        of_what = " of a volume" if target.volumes else "; 32, 64 and 128 suit the models"
        raise UserError(f"--size {target.size}: not from 8 to {largest} pixels{of_what}")
    if target.channels not in (1, 3):
        raise UserError(f"--channels {target.channels}: give 1 (grey) or 3 (colour)")
    if target.every < 1:
        raise UserError(f"--every {target.every}: every how many slices? Give 1 or more")
    for option, value, known in (
        ("--fit", target.fit, FITS),
        ("--crop", target.crop, CROPS),
        ("--axis", target.axis, AXES),
        ("--window", target.window, WINDOWS),
    ):
        if value not in known:
            raise UserError(f"{option} {value}: unknown; choose one of {', '.join(known)}")


def check_shares(split: str, test: float, validation: float, folds: int | None = None) -> None:
    """Raises UserError for an unknown way to split and for shares that leave no image to train on.

    With `folds`, which are the test splits, the share `test` means nothing.
    """
    if split not in SPLIT_METHODS:
        raise UserError(f"--split {split}: unknown; choose one of {', '.join(SPLIT_METHODS)}")
    test = 0.0 if folds else test
    for option, share in (("--test", test), ("--validation", validation)):
        if not 0 <= share < 1:
            raise UserError(f"{option} {share}: a share of the images, from 0 up to but not including 1")
    if test + validation >= 1:
        raise UserError(f"--test {test} --validation {validation}: leave nothing to train on; choose smaller shares")


def check_folds(folds: int | None, split: str, add_to: object) -> None:
    """Raises UserError where folds, or images that are there already, cannot go with the way to split."""
    if folds is not None and folds < 2:
        raise UserError(f"--folds {folds}: give at least 2")
    for option, value in (("--folds", folds), ("--add-to", add_to)):
        if value is not None and split != "grouped":
            raise UserError(f"{option} {value}: goes with --split grouped only, not with {split}")


def check_apart(src: Location, out: Location) -> None:
    """Raises UserError where the data set would lie in the folder that it is made of."""
    same_kind = isinstance(src, Path) == isinstance(out, Path)
    if same_kind and src.is_dir() and f"{out.resolve()}/".startswith(f"{src.resolve()}/"):
        raise UserError(f"--out {out}: lies inside SRC {src}; choose a folder outside of it")


def check_split_folders(source: Source) -> None:
    """Raises UserError when the source itself says of no image that it is for training."""
    if "train" not in source.split_folders.values():
        found = ", ".join(source.classes[:MAX_EXAMPLES])
        raise UserError(
            f"--split folders: {source.path} has no Training or train folder (or split column that says so), its "
            f"classes are {found}; use --split grouped"
        )


def rename_classes(source: Source, rename: Mapping[str, str]) -> dict[str, str]:
    """Class of the source -> class of the data set. Raises UserError for unknown classes and impossible names."""
    renamed = {}
    for given, new in rename.items():
        old = unicodedata.normalize("NFC", given)
        if old not in source.classes:
            known = ", ".join(source.classes)
            raise UserError(f"--rename {given}={new}: no class {given!r} in the source; its classes are {known}")
        new = new.strip()
        if reason := unfit_class_name(new):
            raise UserError(f"--rename {given}={readable(new)}: {reason}")
        renamed[old] = unicodedata.normalize("NFC", new)
    return {name: renamed.get(name, name) for name in source.classes}
