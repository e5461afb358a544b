"""Small data sets for the evaluation's tests."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from raysynth.data.dataset import Dataset
from raysynth.data.dataset_writer import write_dataset
from raysynth.evaluation import scoring_network


def draw_images(labels: np.ndarray, names: Sequence[str], *, size: int, channels: int, seed: int) -> np.ndarray:
    """Noise on a bright bar whose place depends on the class's name, so that classes are easy to tell apart."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 90, (len(labels), channels, size, size))
    for index, label in enumerate(labels):
        start = sum(names[label].encode()) % 4 * (size // 4)
        images[index, :, start : start + size // 4] += 140
    return images.astype(np.uint8)


@pytest.fixture(autouse=True)
def quick_scoring_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A narrow one: it would take longer to train than all the rest."""
    monkeypatch.setitem(scoring_network.RECIPE, "num_steps", 40)
    monkeypatch.setitem(scoring_network.RECIPE, "widths", [8, 16, 24])


@pytest.fixture
def make_dataset(tmp_path: Path) -> Callable[..., Dataset]:
    def make(
        name: str,
        *,
        classes: Sequence[str] = ("a", "b"),
        num_train: int = 24,
        num_validation: int = 0,
        num_test: int = 0,
        size: int = 16,
        channels: int = 1,
        kind: str = "real",
        seed: int = 0,
        folder: str | None = None,
        images: np.ndarray | None = None,
        provenance: dict | None = None,
    ) -> Dataset:
        n = num_train + num_validation + num_test
        labels = np.arange(n) % len(classes)
        if images is None:
            images = draw_images(labels, classes, size=size, channels=channels, seed=seed)
        return write_dataset(
            tmp_path / (folder or name),
            name=name,
            kind=kind,  # type: ignore[arg-type]
            classes=classes,
            images=images,
            columns={
                "id": [f"{i:06d}" for i in range(n)],
                "label": labels,
                "split": ["train"] * num_train + ["validation"] * num_validation + ["test"] * num_test,
            },
            source={"test": True},
            provenance=provenance,
        )

    return make
