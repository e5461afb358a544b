"""Data sets of Kaggle, by `kaggle:OWNER/NAME`."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

from raysynth.errors import UserError

PREFIX = "kaggle:"
NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*(/versions/\d+)?", re.ASCII)


def download(source: str) -> Path:
    """The folder into which kagglehub downloads a data set, or in which it already has it.

    Raises UserError when the name is none, kagglehub is not installed, or it cannot get the data set.
    """
    name = source.removeprefix(PREFIX)
    if not NAME.fullmatch(name):
        raise UserError(f"SRC {source}: no name of a data set; give kaggle:OWNER/NAME as in the page's address")
    page = f"https://www.kaggle.com/datasets/{name}"
    try:
        kagglehub = import_module("kagglehub")
    except ImportError as error:
        raise UserError(
            f"SRC {source}: kagglehub is not installed; pip install 'raysynth[kaggle]', "
            f"or download the zip from {page} and import that file"
        ) from error
    try:
        return Path(kagglehub.dataset_download(name))
    except Exception as error:  # of kagglehub, of requests and of the disk
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"SRC {source}: kagglehub could not download it ({reason}); or download the zip from {page} and import that"
        ) from error
