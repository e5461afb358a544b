"""raysynth: do synthetic images help my classifier, by how much, and how sure can I be?

Each verb of the command line is a function here with the same name and arguments. Nothing heavy (torch, ray) is
imported before a function is asked for.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import Any

__version__ = version("raysynth")

_FUNCTIONS = {
    "demo": "raysynth.demo",
    "evaluate": "raysynth.evaluation.evaluate",
    "export_images": "raysynth.data.export",
    "generate": "raysynth.training.generate",
    "import_images": "raysynth.data.importer",
    "load_dataset": "raysynth.data.dataset",
    "phantom": "raysynth.data.phantom",
    "report": "raysynth.report.report",
    "show": "raysynth.data.sheet",
    "train": "raysynth.training.train",
    "tune": "raysynth.tuning.tune",
}

__all__ = [*_FUNCTIONS, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(import_module(_FUNCTIONS[name]), name)
    raise AttributeError(f"module 'raysynth' has no attribute {name!r}")
