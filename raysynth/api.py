"""The verbs as functions: `from raysynth.api import tune`. Nothing heavy is imported before one is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

FUNCTIONS = {
    "audit": "raysynth.data.audit.audit",
    "clean": "raysynth.training.clean",
    "demo": "raysynth.demo",
    "doctor": "raysynth.cluster.doctor",
    "evaluate": "raysynth.evaluation.evaluate",
    "export_images": "raysynth.data.export",
    "generate": "raysynth.training.generate",
    "import_images": "raysynth.data.importer",
    "kuberay": "raysynth.cluster.kuberay",
    "load_dataset": "raysynth.data.dataset",
    "models": "raysynth.models.listing",
    "phantom": "raysynth.data.phantom",
    "report": "raysynth.report.report",
    "show": "raysynth.data.sheet",
    "study": "raysynth.study.study",
    "train": "raysynth.training.train",
    "tune": "raysynth.tuning.tune",
}


def __getattr__(name: str) -> Any:
    if name in FUNCTIONS:
        return getattr(import_module(FUNCTIONS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(FUNCTIONS)
