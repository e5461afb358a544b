"""`data export`: a data set as a folder of PNG files that `data import` reads back."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from raysynth.data.dataset import SPLITS, Dataset, load_dataset, tensor_column
from raysynth.data.locations import Location, locate
from raysynth.data.new_folder import refuse_existing, with_folder
from raysynth.errors import UserError

MAX_NAME_BYTES = 200
NOT_IN_FILE_NAMES = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')


def export_images(data: Dataset | Location | str, to: Location | str, *, say: Callable[[str], None] = print) -> None:
    """Write `{train,validation,test}/CLASS/*.png` into the folder `to`, all of it or nothing.

    All three split folders are made, so that `data import --split folders` gives the same splits back. Class
    folders carry the names of the classes; files are named after the images' ids. Raises UserError when `to` is
    not empty, and for volumes.
    """
    dataset = data if isinstance(data, Dataset) else load_dataset(data, "DIR")
    refuse_existing(to, "--to")
    if len(dataset.shape) != 3:
        raise UserError(f"DIR {dataset.path}: holds volumes, which are no PNG files; read images/*.parquet instead")
    with_folder(locate(to), lambda folder: _write_images(dataset, folder))
    say(f"{dataset.num_images()} images written to {to}")


def _write_images(dataset: Dataset, folder: Path) -> None:
    class_folders = file_safe(dataset.classes)
    for split in SPLITS:
        (folder / split).mkdir()
        table = dataset.read(["id", "label", "image"], split)
        names = file_safe(re.sub(r"\.\w{1,4}$", "", id_) for id_ in table["id"].to_pylist())
        for label in set(table["label"].to_pylist()):
            (folder / split / class_folders[label]).mkdir()
        for name, label, image in zip(names, table["label"].to_pylist(), tensor_column(table, "image"), strict=True):
            pixels = image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)
            file = folder / split / class_folders[label] / f"{name}.png"
            Image.fromarray(np.ascontiguousarray(pixels)).save(file)


def file_safe(names: Iterable[str]) -> list[str]:
    """Names that can stand in a file system, unique without regard to case; a safe, unique name stays as it is."""
    safe: list[str] = []
    taken: set[str] = set()
    for name in names:
        candidate = NOT_IN_FILE_NAMES.sub("_", name)
        if candidate[:1] in (".", ""):
            candidate = f"_{candidate}"
        while candidate.casefold() in taken or len(candidate.encode()) > MAX_NAME_BYTES:
            shortened = candidate.encode()[: MAX_NAME_BYTES - 20].decode(errors="ignore")
            salt = hashlib.blake2b(f"{name}\0{len(taken)}".encode(), digest_size=6).hexdigest()
            candidate = f"{shortened}-{salt}"
        taken.add(candidate.casefold())
        safe.append(candidate)
    return safe
