"""The head of the phantom: the signal of its tissues, and the parts that all its slices share.

Each view is drawn from the outside to the inside with one random generator of the patient, so that every slice of a
patient shows the same anatomy; `depth` in [-1, 1] tells the neighbouring slices of one patient apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from raysynth.data.canvas import Canvas, Outline

# Signal of the tissues in each kind of sequence; T1 with contrast agent is the commonest by far.
# `enhancing`, `solid`, `core` and `oedema` are parts of lesions.
# fmt: off
_SIGNALS: dict[str, tuple[float, float, float, float]] = {
    #             T1 contrast  T1   T2   FLAIR
    "fat":       (0.80, 0.90, 0.62, 0.50),
    "bone":      (0.06, 0.05, 0.05, 0.04),
    "marrow":    (0.30, 0.42, 0.30, 0.20),
    "csf":       (0.11, 0.10, 0.88, 0.07),
    "grey":      (0.31, 0.40, 0.50, 0.44),
    "white":     (0.36, 0.58, 0.35, 0.36),
    "muscle":    (0.30, 0.38, 0.22, 0.24),
    "mucosa":    (0.58, 0.55, 0.72, 0.50),
    "vessel":    (0.72, 0.60, 0.08, 0.40),
    "gland":     (0.52, 0.60, 0.40, 0.42),
    "eye":       (0.12, 0.14, 0.90, 0.08),
    "enhancing": (0.72, 0.85, 0.70, 0.74),
    "solid":     (0.24, 0.31, 0.68, 0.64),
    "core":      (0.12, 0.14, 0.88, 0.12),
    "oedema":    (0.20, 0.26, 0.78, 0.64),
}
# fmt: on
SEQUENCES = {
    sequence: {tissue: signals[column] for tissue, signals in _SIGNALS.items()}
    for column, sequence in enumerate(("t1_contrast", "t1", "t2", "flair"))
}
SEQUENCE_SHARES = {"t1_contrast": 0.76, "t1": 0.12, "t2": 0.07, "flair": 0.05}


@dataclass(frozen=True)
class Head:
    """What a lesion needs to know: the brain's outline and distance (H, W), dural folds and the sella.

    `meninges` are points (x, y, direction in radians away from the dura) on folds inside the head; the outline of
    the brain is meninges everywhere between the angles `convexity`. `sella` is None where the slice misses it. In an
    `axial` slice nothing is up: it is seen from below.
    """

    brain: Outline
    brain_distance: np.ndarray
    convexity: tuple[float, float]
    meninges: list[tuple[float, float, float]] = field(default_factory=list)
    sella: tuple[float, float] | None = None
    axial: bool = False


def mirrored(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points of the right half and their mirror images."""
    return points + [(-x, y) for x, y in points if x != 0]


def draw_soft_tissue(canvas: Canvas, tissue: dict[str, float], head: np.ndarray, rng: np.random.Generator) -> None:
    """Skin and fat, with the muscle that fills the rest of the head below."""
    thickness = rng.uniform(0.045, 0.085)
    canvas.fill(head, tissue["fat"] * rng.uniform(0.75, 1.1))
    canvas.fill(head + thickness, tissue["muscle"])


def draw_vault(canvas: Canvas, tissue: dict[str, float], brain: np.ndarray, rng: np.random.Generator) -> None:
    """Skull around the brain: two dark tables, at times with bright marrow between them."""
    thickness = rng.uniform(0.045, 0.075)
    canvas.fill(brain - thickness, tissue["bone"])
    if rng.random() < 0.4:
        middle = np.abs(brain - 0.55 * thickness) - 0.01
        canvas.fill(middle, tissue["marrow"], share=0.7, blur=0.02)


def draw_cortex(
    canvas: Canvas, tissue: dict[str, float], brain: np.ndarray, rng: np.random.Generator, folds: float = 1.0
) -> None:
    """Brain: white matter within a folded grey ribbon, sulci filled with liquor, fluid and dura around it."""
    atrophy = folds * rng.uniform(0.3, 1.2)
    fine, coarse = canvas.texture(scale=0.9, offset=1), canvas.texture(scale=1.9, offset=2)
    canvas.fill(brain, tissue["csf"])
    canvas.paint(canvas.mask(np.abs(brain) - 0.008) * rng.uniform(0.1, 0.5), tissue["vessel"])
    surface = brain + 0.012 + 0.02 * atrophy
    canvas.fill(surface, tissue["grey"])
    white = canvas.mask(brain + 0.13 - 0.07 * np.abs(fine) + 0.02 * coarse, 0.05)
    canvas.paint(white, tissue["white"])
    sulci = np.exp(-((fine / 0.4) ** 2)) * np.clip(1 + (brain + 0.03 * coarse) / 0.2, 0, 1) * canvas.mask(surface)
    canvas.paint(np.clip(0.75 * atrophy, 0, 0.9) * sulci, tissue["csf"])
    canvas.value *= 1 + 0.035 * coarse * canvas.mask(brain)


def draw_cerebellum(
    canvas: Canvas, tissue: dict[str, float], distance: np.ndarray, y: float, rng: np.random.Generator
) -> None:
    """Cerebellum: fine stripes about its height `y`, white matter inside."""
    canvas.fill(distance - 0.015, tissue["csf"])
    stripes = np.cos((canvas.y - y) * rng.uniform(60, 85) + 0.8 * canvas.texture(scale=2, offset=3))
    canvas.paint(canvas.mask(distance), tissue["grey"] * (1 + 0.10 * stripes))
    canvas.fill(distance + 0.09, tissue["white"], share=0.6, blur=0.08)


def pair(canvas: Canvas, x: float, y: float, rx: float, ry: float, angle: float, bias: float = 0.0) -> np.ndarray:
    """Distance from two mirrored ellipses, the right one larger by the share `bias`."""
    right = canvas.ellipse(x, y, rx * (1 + bias), ry * (1 + bias), angle)
    left = canvas.ellipse(-x, y, rx * (1 - bias), ry * (1 - bias), -angle)
    return np.minimum(left, right)


def draw_gland(canvas: Canvas, tissue: dict[str, float], sella: tuple[float, float], rng: np.random.Generator) -> None:
    """A healthy pituitary gland of variable size, the carotids beside it are drawn by the view."""
    width, height = rng.uniform(0.035, 0.07), rng.uniform(0.02, 0.045)
    canvas.fill(canvas.ellipse(*sella, width, height), tissue["gland"] * rng.uniform(0.7, 1.15))
