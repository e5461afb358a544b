"""The lesions of the phantom, each where its anatomy has it, and the harmless finds that look like one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from raysynth.data.anatomy import Head
from raysynth.data.canvas import Canvas

Painter = Callable[[Canvas, dict[str, float], Head, np.random.Generator, float], None]


def _waves(rng: np.random.Generator, spread: float, count: int = 5) -> np.ndarray:
    """Bumps (count, 2) for Canvas.blob: amplitudes fall with the number of bumps around."""
    amplitudes = spread * rng.standard_normal(count) / np.arange(1, count + 1) ** 0.5
    return np.stack([amplitudes, rng.uniform(0, 2 * np.pi, count)], axis=1)


def _size(rng: np.random.Generator, low: float, typical: float, high: float, growth: float) -> float:
    """A radius: lognormal about `typical`, so that a tail is hard to see; `growth` is that of the slice."""
    return float(np.clip(typical * rng.lognormal(0, 0.32), low, high) * growth)


def paint_glioma(canvas: Canvas, tissue: dict[str, float], head: Head, rng: np.random.Generator, growth: float) -> None:
    """An irregular lesion inside the brain: ring-enhancing with a dark core, patchy, or dark without a ring."""
    radius = _size(rng, 0.08, 0.155, 0.28, growth)
    x, y = head.brain.point(rng.uniform(0, 2 * np.pi), fraction=float(rng.uniform(0.15, 0.75)))
    outline = canvas.blob(x, y, radius, _waves(rng, 0.13), rng.uniform(0.8, 1.25))
    rough = canvas.texture(scale=0.8, offset=rng.uniform(10, 20))
    coarse = canvas.texture(scale=1.3, offset=rng.uniform(10, 20))
    outline = outline + 0.13 * radius * rough
    within = canvas.mask(head.brain_distance + 0.015, 0.03)
    oedema = canvas.mask(outline - radius * rng.uniform(0.1, 1.1) + 0.035 * coarse, 0.08) * within
    canvas.paint(rng.uniform(0.4, 0.9) * oedema, tissue["oedema"])
    visible = rng.uniform(0.7, 1.0)
    bright = tissue["grey"] + (tissue["enhancing"] - tissue["grey"]) * rng.uniform(0.6, 1.1)
    kind = rng.random()
    if kind < 0.5:
        canvas.paint(canvas.mask(outline, 0.02) * within * visible, tissue["core"])
        ring = np.abs(outline + 0.2 * radius) - radius * rng.uniform(0.1, 0.3)
        canvas.paint(canvas.mask(ring, 0.02) * within * visible * np.clip(0.75 + 0.4 * coarse, 0, 1), bright)
    elif kind < 0.8:
        canvas.paint(canvas.mask(outline, 0.03) * within * visible, tissue["solid"])
        patches = np.clip(0.4 + 0.6 * rough, 0, 1) * canvas.mask(outline, 0.04)
        canvas.paint(patches * within * visible, bright)
    else:
        canvas.paint(canvas.mask(outline, 0.06) * within * visible, tissue["solid"] * 0.35 + tissue["core"] * 0.65)


def paint_meningioma(
    canvas: Canvas, tissue: dict[str, float], head: Head, rng: np.random.Generator, growth: float
) -> None:
    """A round, sharp, evenly bright lesion with its base on the dura, often with a thin dural tail."""
    radius = _size(rng, 0.07, 0.14, 0.28, growth)
    angle = float(rng.uniform(*head.convexity))
    if head.meninges and rng.random() < 0.3:
        base_x, base_y, away = head.meninges[rng.integers(len(head.meninges))]
        depth = radius * rng.uniform(0.6, 0.95)
        x, y = base_x + depth * np.cos(away), base_y + depth * np.sin(away)
    else:
        x, y = head.brain.point(angle, inset=radius * float(rng.uniform(0.35, 0.9)))
    outline = canvas.blob(x, y, radius, _waves(rng, 0.04, 4), rng.uniform(0.88, 1.14))
    within = canvas.mask(head.brain_distance - 0.01, 0.02)
    coarse = canvas.texture(scale=1.3, offset=rng.uniform(20, 30))
    if rng.random() < 0.4:
        oedema = canvas.mask(outline - radius * rng.uniform(0.2, 0.9) + 0.03 * coarse, 0.08)
        canvas.paint(rng.uniform(0.3, 0.8) * oedema * within, tissue["oedema"])
    canvas.paint(rng.uniform(0, 0.6) * canvas.mask(outline - 0.015) * within, tissue["csf"])
    bright = tissue["grey"] + (tissue["enhancing"] - tissue["grey"]) * rng.uniform(0.5, 1.1)
    texture = 1 + rng.uniform(0.0, 0.08) * canvas.texture(scale=0.6, offset=rng.uniform(20, 30))
    canvas.paint(canvas.mask(outline) * within * rng.uniform(0.75, 1), bright * texture)
    if rng.random() < 0.5:
        tail = np.maximum(np.abs(head.brain_distance + 0.008) - 0.014, canvas.ellipse(x, y, 2 * radius, 2 * radius))
        canvas.paint(0.7 * canvas.mask(tail), bright)
    if rng.random() < 0.2:
        spot = canvas.blob(x + rng.normal(0, 0.3) * radius, y, radius * rng.uniform(0.2, 0.45), _waves(rng, 0.15))
        canvas.paint(0.8 * canvas.mask(spot, 0.03), tissue[rng.choice(["core", "bone"])])


def paint_pituitary(
    canvas: Canvas, tissue: dict[str, float], head: Head, rng: np.random.Generator, growth: float
) -> None:
    """A bright round adenoma in the sella that grows upwards, at times with a waist or a cyst."""
    assert head.sella is not None
    radius = _size(rng, 0.05, 0.1, 0.2, growth)
    upright = not head.axial
    x = head.sella[0] + rng.normal(0, 0.15) * radius
    y = head.sella[1] - (0.55 * max(radius - 0.04, 0.0) if upright else rng.normal(0, 0.15) * radius)
    outline = canvas.blob(x, y, radius, _waves(rng, 0.06, 4), rng.uniform(0.85, 1.15))
    if upright and radius > 0.08 and rng.random() < 0.5:
        outline = np.minimum(outline + 0.2 * radius, canvas.ellipse(x, y - 0.8 * radius, 0.7 * radius, 0.6 * radius))
    canvas.paint(rng.uniform(0, 0.7) * canvas.mask(outline - 0.015), tissue["csf"])
    bright = tissue["grey"] + (tissue["enhancing"] - tissue["grey"]) * rng.uniform(0.45, 1.05)
    texture = 1 + rng.uniform(0.0, 0.1) * canvas.texture(scale=0.6, offset=rng.uniform(30, 40))
    canvas.paint(canvas.mask(outline) * rng.uniform(0.8, 1), bright * texture)
    if rng.random() < 0.2:
        cyst = canvas.blob(x + rng.normal(0, 0.25) * radius, y, radius * rng.uniform(0.3, 0.6), _waves(rng, 0.1))
        canvas.paint(0.8 * canvas.mask(cyst, 0.03), tissue["core"])


def paint_nothing(
    canvas: Canvas, tissue: dict[str, float], head: Head, rng: np.random.Generator, growth: float
) -> None:
    """No lesion."""


LESIONS: dict[str, Painter] = {
    "glioma": paint_glioma,
    "meningioma": paint_meningioma,
    "no_tumor": paint_nothing,
    "pituitary": paint_pituitary,
}


def paint_finds(canvas: Canvas, tissue: dict[str, float], head: Head, rng: np.random.Generator) -> None:
    """What heads of every class show: vessels, small bright or dark spots, old gaps, a cyst at the surface."""
    for _ in range(rng.poisson(3)):  # vessels in the sulci
        x, y = head.brain.point(rng.uniform(0, 2 * np.pi), fraction=rng.uniform(0.75, 0.97))
        turn = rng.uniform(0, np.pi)
        length = rng.uniform(0.01, 0.07)
        vessel = canvas.stroke([(x, y), (x + length * np.cos(turn), y + length * np.sin(turn))], 0.018)
        canvas.paint(canvas.mask(vessel) * rng.uniform(0.4, 1), tissue["vessel"])
    for _ in range(rng.poisson(0.8)):  # calcifications, lacunes, spots in the white matter
        x, y = head.brain.point(rng.uniform(0, 2 * np.pi), fraction=rng.uniform(0.1, 0.8))
        spot = canvas.ellipse(x, y, rng.uniform(0.015, 0.04), rng.uniform(0.015, 0.04), rng.uniform(0, 3))
        kind = ["bone", "core", "oedema", "vessel", "enhancing"][rng.integers(5)]
        canvas.paint(canvas.mask(spot, 0.02) * rng.uniform(0.3, 0.9), tissue[kind])
    if rng.random() < 0.05:  # a dark gap in the brain: old stroke or cyst
        x, y = head.brain.point(rng.uniform(0, 2 * np.pi), fraction=rng.uniform(0.3, 0.95))
        gap = canvas.blob(x, y, rng.uniform(0.05, 0.13), _waves(rng, 0.12), rng.uniform(0.7, 1.4))
        canvas.paint(
            canvas.mask(np.maximum(gap, head.brain_distance + 0.01), 0.05) * rng.uniform(0.5, 1), tissue["csf"]
        )
