"""The phantom in three dimensions: whole heads in the classes of the slices.

What tells the classes apart is the lesion alone, as in the slices: a ragged one inside the brain (glioma), a smooth
bright one on its surface (meningioma), one that grows up from the sella (pituitary tumour), or none. Contrasts, poses
and harmless finds occur in all classes, and the kinds of lesion look alike in part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from raysynth.data.anatomy import SEQUENCE_SHARES, SEQUENCES
from raysynth.data.space import Point, Space

SIZES = (16, 32, 64)  # what networks that double and halve make of 4 voxels

Tissue = dict[str, float]


@dataclass(frozen=True)
class Anatomy:
    """What a lesion needs to know: centre and radii of the brain, its signed distance (D, H, W), and the sella."""

    centre: Point
    radii: Point
    brain: np.ndarray
    sella: Point

    def point(self, direction: Point, *, fraction: float = 1.0, inset: float = 0.0) -> Point:
        """The point at `fraction` of the way from the brain's centre to its surface, `inset` nearer to the centre."""
        reach = 1 / np.sqrt(sum((part / radius) ** 2 for part, radius in zip(direction, self.radii, strict=True)))
        distance = float(fraction * reach - inset)
        return tuple(at + distance * part for at, part in zip(self.centre, direction, strict=True))  # type: ignore[return-value]


def draw_volume(class_name: str, size: int, *, patient: np.random.Generator, rng: np.random.Generator) -> np.ndarray:
    """One head (D, H, W) uint8 of `size` voxels a side, D growing upwards, H backwards and W to the patient's left.

    Anatomy, lesion and contrast come from the generator `patient`; pose and the way it was taken from `rng`. Two
    volumes drawn with equal `patient` generators show one patient.
    """
    sequence = SEQUENCES[str(patient.choice(list(SEQUENCE_SHARES), p=list(SEQUENCE_SHARES.values())))]
    tissue = {name: value * float(patient.normal(1, 0.06)) for name, value in sequence.items()}
    space = _posed_space(size, patient, rng)
    head = _draw_head(space, tissue, patient)
    _paint_finds(space, tissue, head, patient)
    LESIONS[class_name](space, tissue, head, patient)
    return _acquire(space.value, rng)


def _posed_space(size: int, patient: np.random.Generator, rng: np.random.Generator) -> Space:
    """An empty space: pose of the head from `rng`, the bent of its shape from `patient`."""
    line = ((np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1).astype(np.float32)
    z, y, x = np.meshgrid(line, line, line, indexing="ij")
    zoom = float(np.clip(rng.normal(1.0, 0.04), 0.88, 1.12) * patient.uniform(0.93, 1.07))
    x, y, z = (part - np.float32(shift) for part, shift in zip((x, y, z), rng.normal(0, 0.03, 3), strict=True))
    for turn in rng.normal(0, 0.07, 3):  # about each axis in turn
        cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        x, y, z = y * cos + z * sin, z * cos - y * sin, x
    x, y, z = (
        part * np.float32(stretch / zoom) for part, stretch in zip((x, y, z), patient.normal(1, 0.035, 3), strict=True)
    )
    kx, ky, kz, phase = (np.float32(value) for value in patient.uniform([-3, -3, -3, 0], [3, 3, 3, 6.3]))
    wave = np.float32(0.02) * np.sin(kx * x + ky * y + kz * z + phase)
    return Space(x + wave, y - wave, z + wave, voxel=2 / size / zoom, rng=patient)


def _draw_head(space: Space, tissue: Tissue, rng: np.random.Generator) -> Anatomy:
    """Head and skull, brain with its liquor, cerebellum, brain stem, eyes and sella: from the outside to the inside."""

    def vary(*values: float) -> Point:
        return tuple(float(value * rng.normal(1, 0.05)) for value in values)  # type: ignore[return-value]

    centre, radii = (0.0, 0.03, 0.14), vary(0.56, 0.70, 0.60)
    # The brain is flat below; its liquor, the skull and the scalp follow its outline.
    brain = np.maximum(space.ellipsoid(centre, radii), -0.24 - space.z)
    face = space.ellipsoid((0.0, -0.16, -0.5), vary(0.46, 0.6, 0.5))
    skull, scalp = rng.uniform(0.05, 0.08), rng.uniform(0.13, 0.19)
    neck = space.ellipsoid((0.0, 0.2, -0.85), vary(0.4, 0.45, 0.6))
    outside = np.minimum(np.minimum(brain - scalp, face), neck)
    space.fill(outside, tissue["fat"] * rng.uniform(0.75, 1.1))
    space.fill(outside + rng.uniform(0.05, 0.09), tissue["muscle"])
    space.fill(space.ellipsoid((0.0, -0.55, -0.42), vary(0.14, 0.2, 0.2)), 0.0)  # air of nose and sinuses
    space.fill(space.mirrored((0.26, -0.62, -0.3), 0.12, rng.normal(0, 0.05)), tissue["eye"])
    cerebellum = space.ellipsoid((0.0, 0.42, -0.36), vary(0.4, 0.27, 0.22))
    space.fill(np.minimum(brain, cerebellum) - skull, tissue["bone"])

    space.fill(cerebellum - 0.015, tissue["csf"])
    stripes = np.cos(space.z * np.float32(rng.uniform(35, 50)) + space.texture(scale=2, offset=3))
    space.paint(space.mask(cerebellum), np.float32(tissue["grey"]) * (1 + np.float32(0.1) * stripes))
    _draw_brain(space, tissue, brain, rng)
    stem = space.ellipsoid((0.0, 0.14, -0.42), vary(0.11, 0.12, 0.34))
    space.fill(stem - 0.02, tissue["csf"])
    space.fill(stem, tissue["white"])

    sella: Point = (0.0, -0.16 + float(rng.normal(0, 0.015)), -0.26 + float(rng.normal(0, 0.015)))
    space.fill(space.ellipsoid(sella, 0.11), tissue["csf"], share=0.8)
    space.fill(space.mirrored((0.12, sella[1], sella[2]), (0.03, 0.06, 0.04)), tissue["vessel"], share=0.8)
    gland = (rng.uniform(0.04, 0.08), rng.uniform(0.03, 0.06), rng.uniform(0.025, 0.05))
    space.fill(space.ellipsoid(sella, gland), tissue["gland"] * rng.uniform(0.7, 1.15))
    return Anatomy(centre, radii, brain, sella)


def _draw_brain(space: Space, tissue: Tissue, brain: np.ndarray, rng: np.random.Generator) -> None:
    """White matter within a folded grey ribbon, sulci, the cleft between the halves, and ventricles."""
    atrophy = rng.uniform(0.3, 1.2)
    fine, coarse = space.texture(scale=0.9, offset=1), space.texture(scale=1.9, offset=2)
    space.fill(brain, tissue["csf"])
    surface = brain + np.float32(0.015 + 0.02 * atrophy)
    space.fill(surface, tissue["grey"])
    white = brain + np.float32(0.14) - np.float32(0.06) * np.abs(fine) + np.float32(0.02) * coarse
    space.fill(white, tissue["white"], blur=0.05)
    sulci = np.exp(-((fine / 0.4) ** 2)) * np.clip(1 + brain / 0.2, 0, 1) * space.mask(surface)
    space.paint(np.float32(min(0.7 * atrophy, 0.9)) * sulci, tissue["csf"])
    cleft = np.maximum(np.abs(space.x) - np.float32(0.012 + 0.012 * atrophy), 0.2 - space.z)
    space.fill(np.maximum(cleft, surface), tissue["csf"], share=0.8)
    space.value *= 1 + np.float32(0.035) * coarse * space.mask(brain)
    size, bias = rng.uniform(0.7, 1.4), rng.normal(0, 0.06)
    lateral = space.mirrored((0.1, 0.06, 0.2), (0.055 * size, 0.26 * size**0.5, 0.09 * size), bias)
    horns = space.mirrored((0.2, 0.16, 0.06), (0.05 * size, 0.16 * size**0.5, 0.07 * size), bias)
    third = space.ellipsoid((0.0, 0.0, 0.02), (0.02 * size, 0.12, 0.09))
    space.fill(np.minimum(np.minimum(lateral, horns), third), tissue["csf"])


def _direction(rng: np.random.Generator, lowest: float) -> Point:
    """A unit vector, evenly drawn from those that point up by `lowest` (-1 to 1) or more."""
    up, turn = rng.uniform(lowest, 1), rng.uniform(0, 2 * np.pi)
    flat = np.sqrt(1 - up * up)
    return float(flat * np.cos(turn)), float(flat * np.sin(turn)), float(up)


def _bumps(rng: np.random.Generator, spread: float, count: int) -> list[tuple[Point, float]]:
    return [(_direction(rng, -1), float(spread * rng.standard_normal())) for _ in range(count)]


def _stretch(rng: np.random.Generator, spread: float) -> Point:
    return tuple(float(value) for value in rng.normal(1, spread, 3).clip(0.7, 1.4))  # type: ignore[return-value]


def _size(rng: np.random.Generator, low: float, typical: float, high: float) -> float:
    """A radius: lognormal about `typical`, so that a tail is hard to see."""
    return float(np.clip(typical * rng.lognormal(0, 0.25), low, high))


def _bright(tissue: Tissue, rng: np.random.Generator) -> float:
    """The signal of what takes up contrast agent, more or less."""
    return float(tissue["grey"] + (tissue["enhancing"] - tissue["grey"]) * rng.uniform(0.5, 1.1))


def _paint_oedema(
    space: Space, tissue: Tissue, outline: np.ndarray, width: float, head: Anatomy, rng: np.random.Generator
) -> None:
    """A washed-out rim of `width` in the brain around a lesion."""
    coarse = space.texture(scale=1.3, offset=rng.uniform(10, 20))
    rim = space.mask(outline - np.float32(width) + np.float32(0.04) * coarse, 0.08) * space.mask(head.brain)
    space.paint(np.float32(rng.uniform(0.3, 0.9)) * rim, tissue["oedema"])


def paint_glioma(space: Space, tissue: Tissue, head: Anatomy, rng: np.random.Generator) -> None:
    """A ragged lesion inside the brain: ring-enhancing with a dark core, patchy, or dark without a ring."""
    radius = _size(rng, 0.12, 0.2, 0.32)
    centre = head.point(_direction(rng, -0.1), fraction=float(rng.uniform(0.2, 0.72)))
    rough = space.texture(scale=0.9, offset=rng.uniform(10, 20))
    outline = space.blob(centre, radius, _bumps(rng, 0.15, 4), _stretch(rng, 0.15)) + np.float32(0.15 * radius) * rough
    _paint_oedema(space, tissue, outline, radius * rng.uniform(0.1, 0.9), head, rng)
    within = space.mask(head.brain + 0.01) * np.float32(rng.uniform(0.7, 1.0))
    bright = _bright(tissue, rng)
    kind = rng.random()
    if kind < 0.5:
        space.paint(space.mask(outline) * within, tissue["core"])
        ring = np.abs(outline + np.float32(0.2 * radius)) - np.float32(radius * rng.uniform(0.12, 0.3))
        space.paint(space.mask(ring) * within, bright)
    elif kind < 0.8:
        space.paint(space.mask(outline) * within, tissue["solid"])
        space.paint(np.clip(0.4 + 0.6 * rough, 0, 1) * space.mask(outline) * within, bright)
    else:
        space.paint(space.mask(outline, 0.06) * within, tissue["solid"] * 0.35 + tissue["core"] * 0.65)


def paint_meningioma(space: Space, tissue: Tissue, head: Anatomy, rng: np.random.Generator) -> None:
    """A round, smooth, evenly bright lesion that sits on the surface of the brain."""
    radius = _size(rng, 0.11, 0.18, 0.3)
    centre = head.point(_direction(rng, 0.0), inset=radius * float(rng.uniform(0.35, 0.9)))
    outline = space.blob(centre, radius, _bumps(rng, 0.05, 3), _stretch(rng, 0.1))
    if rng.random() < 0.4:
        _paint_oedema(space, tissue, outline, radius * rng.uniform(0.2, 0.7), head, rng)
    within = space.mask(head.brain - 0.015)
    space.paint(np.float32(rng.uniform(0, 0.6)) * space.mask(outline - 0.02) * within, tissue["csf"])
    texture = 1 + np.float32(rng.uniform(0, 0.08)) * space.texture(scale=0.7, offset=rng.uniform(20, 30))
    space.paint(
        space.mask(outline) * within * np.float32(rng.uniform(0.75, 1)), np.float32(_bright(tissue, rng)) * texture
    )
    if rng.random() < 0.2:
        space.fill(space.ellipsoid(centre, radius * float(rng.uniform(0.25, 0.5))), tissue["core"], share=0.8)


def paint_pituitary(space: Space, tissue: Tissue, head: Anatomy, rng: np.random.Generator) -> None:
    """A bright round adenoma in the sella that grows upwards, at times with a cyst."""
    radius = _size(rng, 0.09, 0.14, 0.25)
    aside, ahead = (float(value) for value in rng.normal(0, 0.15 * radius, 2))
    centre = (head.sella[0] + aside, head.sella[1] + ahead, head.sella[2] + 0.55 * max(radius - 0.05, 0.0))
    outline = space.blob(centre, radius, _bumps(rng, 0.08, 3), _stretch(rng, 0.1))
    space.paint(np.float32(rng.uniform(0, 0.7)) * space.mask(outline - 0.02), tissue["csf"])
    texture = 1 + np.float32(rng.uniform(0, 0.1)) * space.texture(scale=0.7, offset=rng.uniform(30, 40))
    space.paint(space.mask(outline) * np.float32(rng.uniform(0.8, 1)), np.float32(_bright(tissue, rng)) * texture)
    if rng.random() < 0.2:
        space.fill(space.ellipsoid(centre, radius * float(rng.uniform(0.3, 0.6))), tissue["core"], share=0.8)


def paint_nothing(space: Space, tissue: Tissue, head: Anatomy, rng: np.random.Generator) -> None:
    """No lesion."""


LESIONS: dict[str, Callable[[Space, Tissue, Anatomy, np.random.Generator], None]] = {
    "glioma": paint_glioma,
    "meningioma": paint_meningioma,
    "no_tumor": paint_nothing,
    "pituitary": paint_pituitary,
}


def _paint_finds(space: Space, tissue: Tissue, head: Anatomy, rng: np.random.Generator) -> None:
    """What heads of every class show: bright vessels at the surface, small spots, at times an old gap or a cyst."""
    for _ in range(rng.poisson(3)):
        at = head.point(_direction(rng, -0.2), fraction=float(rng.uniform(0.8, 1.0)))
        space.fill(space.ellipsoid(at, _radii(rng, 0.02, 0.06)), tissue["vessel"], share=rng.uniform(0.4, 1))
    for _ in range(rng.poisson(1.5)):
        at = head.point(_direction(rng, -0.2), fraction=float(rng.uniform(0.1, 0.85)))
        kind = ("bone", "core", "oedema", "vessel", "enhancing")[rng.integers(5)]
        space.fill(space.ellipsoid(at, _radii(rng, 0.03, 0.07)), tissue[kind], share=rng.uniform(0.3, 0.9))
    if rng.random() < 0.1:
        at = head.point(_direction(rng, -0.1), fraction=float(rng.uniform(0.4, 0.95)))
        gap = space.blob(at, rng.uniform(0.08, 0.18), _bumps(rng, 0.15, 3), _stretch(rng, 0.15))
        space.fill(np.maximum(gap, head.brain + 0.01), tissue["csf"], share=rng.uniform(0.5, 1))


def _radii(rng: np.random.Generator, low: float, high: float) -> Point:
    return tuple(float(value) for value in rng.uniform(low, high, 3))  # type: ignore[return-value]


def _acquire(value: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The volume as a scanner gives it: coil shading, blur, Rician noise, window and contrast, uint8."""
    size = len(value)
    line = np.linspace(-1, 1, size, dtype=np.float32)
    shade = np.zeros((), dtype=np.float32)
    for axis in range(3):
        slope, bend = (np.float32(part) for part in rng.normal(0, [0.12, 0.1]))
        shade = shade + np.expand_dims(slope * line + bend * line**2, [other for other in range(3) if other != axis])
    value = value * np.exp(shade)
    # The signal fades below the chin, where the coil ends.
    value = value * np.clip((line[:, None, None] + np.float32(rng.uniform(0.75, 1.2))) / np.float32(0.25), 0, 1)
    sigma = rng.uniform(0.0, 0.6) * size / 64
    if sigma > 0.25:
        value = gaussian_filter(value, sigma, truncate=3)
    gain, gamma = rng.lognormal(-0.1, 0.22), rng.lognormal(0.08, 0.15)
    # The noise comes last: so a volume of another size shows the same head.
    noise = np.float32(rng.uniform(0.005, 0.025)) * rng.standard_normal((2, *value.shape), dtype=np.float32)
    value = np.sqrt((value + noise[0]) ** 2 + noise[1] ** 2)
    return np.clip(np.rint(gain * value**gamma * 255), 0, 255).astype(np.uint8)
