"""The seven slices of the phantom's head: three axial, two coronal, two sagittal, each without a lesion."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from raysynth.data.anatomy import (
    Head,
    draw_cerebellum,
    draw_cortex,
    draw_gland,
    draw_soft_tissue,
    draw_vault,
    mirrored,
    pair,
)
from raysynth.data.canvas import Canvas, Outline

# Outlines (x, y): halves that are mirrored for axial and coronal slices, whole profiles for sagittal ones.
# fmt: off
_HIGH = [(0.0, -0.82), (0.36, -0.7), (0.6, -0.3), (0.66, 0.1), (0.55, 0.5), (0.3, 0.75), (0.0, 0.82)]
_MIDDLE = [(0.0, -0.84), (0.36, -0.74), (0.58, -0.4), (0.66, 0.05), (0.58, 0.5), (0.32, 0.78), (0.0, 0.86)]
_BASE = [
    (0.0, -0.86), (0.2, -0.82), (0.45, -0.68), (0.58, -0.35), (0.63, 0.1), (0.56, 0.5), (0.3, 0.76), (0.0, 0.83),
]
_BASE_BRAIN = [
    (0.0, -0.34), (0.14, -0.36), (0.3, -0.42), (0.46, -0.28), (0.5, 0.05), (0.45, 0.42), (0.25, 0.64), (0.0, 0.7),
]
_FRONTAL = [
    (0.0, -0.84), (0.34, -0.74), (0.56, -0.46), (0.62, -0.1), (0.58, 0.22), (0.52, 0.6), (0.47, 1.25), (0.0, 1.3),
]
_SELLA_BRAIN = [
    (0.0, -0.68), (0.27, -0.6), (0.45, -0.38), (0.5, -0.08), (0.46, 0.16), (0.3, 0.28), (0.17, 0.2), (0.08, 0.1),
    (0.0, 0.09),
]
_BACK_BRAIN = [
    (0.0, -0.66), (0.27, -0.58), (0.45, -0.36), (0.49, -0.08), (0.43, 0.18), (0.3, 0.34), (0.14, 0.42), (0.0, 0.42),
]
_PROFILE = [
    (0.1, -0.88), (-0.32, -0.77), (-0.6, -0.45), (-0.68, -0.2), (-0.67, -0.06), (-0.74, 0.1), (-0.79, 0.19),
    (-0.7, 0.27), (-0.7, 0.36), (-0.66, 0.43), (-0.67, 0.51), (-0.62, 0.68), (-0.4, 0.82), (-0.26, 0.9), (-0.22, 1.3),
    (0.55, 1.3), (0.52, 0.7), (0.68, 0.38), (0.81, 0.0), (0.74, -0.42), (0.48, -0.76),
]
_PROFILE_BRAIN = [
    (-0.53, -0.24), (-0.46, -0.07), (-0.28, 0.0), (-0.1, 0.03), (0.0, 0.13), (0.1, 0.3), (0.22, 0.38), (0.42, 0.34),
    (0.6, 0.12), (0.67, -0.2), (0.55, -0.54), (0.3, -0.71), (0.05, -0.75), (-0.28, -0.65), (-0.47, -0.45),
]
# fmt: on


def _axial_high(canvas: Canvas, tissue: dict[str, float], rng: np.random.Generator, depth: float) -> Head:
    size = rng.uniform(0.8, 0.95) + 0.04 * depth
    outline = Outline((0, 0), [(x * size, y * size) for x, y in mirrored(_HIGH)], rng=rng)
    head = canvas.inside(outline)
    draw_soft_tissue(canvas, tissue, head, rng)
    rim = rng.uniform(0.13, 0.17)
    outline.radii -= rim
    brain = head + rim
    draw_vault(canvas, tissue, brain, rng)
    draw_cortex(canvas, tissue, brain, rng, folds=1.2)
    top, bottom = outline.radius(-np.pi / 2), outline.radius(np.pi / 2)
    falx = canvas.stroke([(0, -top), (rng.normal(0, 0.02), 0), (0, bottom)], 0.012)
    canvas.fill(falx - 0.015, tissue["csf"], share=0.8)
    canvas.fill(falx, tissue["vessel"], share=rng.uniform(0.2, 0.9))
    canvas.fill(canvas.ellipse(0, bottom, 0.035, 0.03), tissue["vessel"])
    canvas.fill(canvas.ellipse(0, -top, 0.025, 0.02), tissue["vessel"])
    folds = [(0.0, float(y), side) for y in np.linspace(-0.55, 0.55, 9) * size for side in (0.0, np.pi)]
    return Head(outline, brain, (-np.pi, np.pi), folds)


def _axial_middle(canvas: Canvas, tissue: dict[str, float], rng: np.random.Generator, depth: float) -> Head:
    outline = Outline((0, 0), mirrored(_MIDDLE), rng=rng)
    head = canvas.inside(outline)
    draw_soft_tissue(canvas, tissue, head, rng)
    rim = rng.uniform(0.12, 0.16)
    outline.radii -= rim
    brain = head + rim
    draw_vault(canvas, tissue, brain, rng)
    draw_cortex(canvas, tissue, brain, rng)
    top, bottom = outline.radius(-np.pi / 2), outline.radius(np.pi / 2)
    for start, end in ((-top, -0.3), (0.32, bottom)):
        line = canvas.stroke([(0, start), (0, end)], 0.01)
        canvas.fill(line - 0.01, tissue["csf"], share=0.7)
        canvas.fill(line, tissue["vessel"], share=rng.uniform(0.2, 0.8))
    for side in (-1, 1):  # Sylvian fissure and deep grey matter
        fissure = canvas.stroke([(side * 0.34, -0.12), (side * 0.52, -0.06)], 0.025)
        canvas.fill(fissure, tissue["csf"], share=0.7)
        canvas.fill(canvas.ellipse(side * 0.24, -0.04, 0.09, 0.17, side * 0.3), tissue["grey"], share=0.8, blur=0.05)
        canvas.fill(canvas.ellipse(side * 0.09, 0.12, 0.07, 0.1, side * 0.3), tissue["grey"], share=0.8, blur=0.05)
    wide = rng.lognormal(0, 0.35) * (1 + 0.2 * depth)
    bias = rng.normal(0, 0.15)
    front = pair(canvas, 0.085, -0.2, 0.038 * wide, 0.13, -0.3, bias)
    back = pair(canvas, 0.19, 0.3, 0.042 * wide, 0.13, -0.45, bias)
    ventricles = np.minimum(np.minimum(front, back), canvas.ellipse(0, 0.06, 0.012 * wide, 0.09))
    canvas.fill(ventricles, tissue["csf"])
    if rng.random() < 0.6:
        glow = tissue["vessel"] * rng.uniform(0.6, 1.0)
        canvas.fill(pair(canvas, 0.19, 0.27, 0.022, 0.035, -0.4, rng.normal(0, 0.2)), glow)
    if rng.random() < 0.4:
        canvas.fill(canvas.ellipse(0, 0.2, 0.025, 0.022), tissue[rng.choice(["bone", "vessel"])])
    canvas.fill(canvas.ellipse(0, bottom, 0.04, 0.035), tissue["vessel"])
    folds = [(0.0, float(y), side) for y in (-0.6, -0.5, -0.4, 0.42, 0.52) for side in (0.0, np.pi)]
    return Head(outline, brain, (-np.pi, np.pi), folds)


def _axial_base(canvas: Canvas, tissue: dict[str, float], rng: np.random.Generator, depth: float) -> Head:
    outline = Outline((0, 0), mirrored(_BASE), rng=rng)
    head = canvas.inside(outline)
    if rng.random() < 0.7:  # ears
        canvas.fill(pair(canvas, 0.7, 0.18, 0.03, 0.11, -0.3, rng.normal(0, 0.3)), tissue["fat"] * 0.8)
    draw_soft_tissue(canvas, tissue, head, rng)
    outline = Outline((0, 0.1), mirrored(_BASE_BRAIN), rng=rng)
    brain = canvas.inside(outline)
    draw_vault(canvas, tissue, brain, rng)
    draw_cortex(canvas, tissue, brain, rng, folds=0.8)
    # Face: bright orbital fat, dark globes and optic nerves, air cells between them.
    eye = rng.uniform(0.105, 0.13)
    canvas.fill(pair(canvas, 0.27, -0.52, 0.17, 0.2, 0.25), tissue["fat"] * 0.85)
    for side in (-1, 1):
        nerve = canvas.stroke([(side * 0.28, -0.58), (side * 0.13, -0.3)], 0.035)
        canvas.fill(nerve, tissue["muscle"])
        canvas.fill(canvas.stroke([(side * 0.4, -0.55), (side * 0.2, -0.34)], 0.03), tissue["muscle"])
        globe = canvas.ellipse(side * 0.3, -0.63, eye, eye)
        canvas.fill(globe, tissue["muscle"] * 1.3)
        canvas.fill(globe + 0.022, tissue["eye"])
        canvas.fill(canvas.stroke([(side * 0.16, -0.3), (side * 0.5, -0.42)], 0.05), tissue["bone"])
        petrous = canvas.stroke([(side * 0.13, 0.12), (side * 0.5, 0.28)], rng.uniform(0.06, 0.1))
        canvas.fill(petrous, tissue["bone"] + 0.1 * tissue["fat"])
        canvas.fill(canvas.ellipse(side * 0.5, 0.33, 0.07, 0.1), tissue["bone"])
    cells = canvas.ellipse(0, -0.53, 0.1, 0.27)
    canvas.fill(cells, tissue["bone"])
    cell_walls = np.abs(np.sin(canvas.y * 22 + rng.uniform(0, 6))) * canvas.mask(cells + 0.02)
    canvas.paint(cell_walls * rng.uniform(0.3, 0.9), tissue["mucosa"])
    canvas.fill(canvas.stroke([(0, -0.82), (0, -0.34)], 0.025), tissue["mucosa"])
    # Posterior fossa: pons, fourth ventricle, cerebellum.
    cerebellum = canvas.ellipse(0, 0.5, 0.4, 0.24)
    draw_cerebellum(canvas, tissue, cerebellum, 0.5, rng)
    canvas.fill(canvas.ellipse(0, 0.17, 0.19, 0.17), tissue["csf"])
    canvas.fill(canvas.ellipse(0, 0.2, 0.14, 0.12), tissue["white"])
    canvas.fill(canvas.ellipse(0, 0.34, 0.05 * rng.uniform(0.6, 1.8), 0.03), tissue["csf"])
    canvas.fill(canvas.ellipse(0, 0.075, 0.022, 0.02), tissue["vessel"])
    sella = (rng.normal(0, 0.012), -0.11 + 0.02 * depth)
    canvas.fill(canvas.ellipse(sella[0], sella[1], 0.15, 0.11), tissue["bone"] + 0.3 * tissue["muscle"])
    canvas.fill(
        pair(canvas, 0.11, sella[1], 0.045, 0.07, 0, rng.normal(0, 0.2)), tissue["mucosa"] * rng.uniform(0.5, 1)
    )
    canvas.fill(pair(canvas, 0.11, sella[1] - 0.02, 0.02, 0.02, 0), tissue["bone"])
    draw_gland(canvas, tissue, sella, rng)
    canvas.fill(canvas.ellipse(0, outline.point(np.pi / 2)[1], 0.04, 0.035), tissue["vessel"])
    folds = [
        (0.17, -0.25, 0.9),
        (-0.17, -0.25, 2.2),
        (0.2, 0.2, 1.2),
        (-0.2, 0.2, 1.9),
        (0.3, -0.3, 1.2),
        (-0.3, -0.3, 1.9),
    ]
    return Head(outline, brain, (-0.75, np.pi + 0.75), folds, sella, axial=True)


def _mottle(canvas: Canvas, tissue: dict[str, float], distance: np.ndarray) -> None:
    """Fat between the muscles of face and neck."""
    texture = canvas.texture(scale=0.7, offset=5) + canvas.texture(scale=1.7, offset=6)
    canvas.paint(np.clip(0.28 * texture, 0, 0.7) * canvas.mask(distance), tissue["fat"] * 0.8)


def _coronal_head(
    canvas: Canvas, tissue: dict[str, float], rng: np.random.Generator, inner: list[tuple[float, float]], centre: float
) -> tuple[Outline, np.ndarray]:
    """Head and neck from the front, the vault and an empty brain within the outline `inner`."""
    head = canvas.inside(Outline((0, 0), mirrored(_FRONTAL), rng=rng))
    if rng.random() < 0.6:
        canvas.fill(pair(canvas, 0.66, 0.2, 0.035, 0.13, -0.2, rng.normal(0, 0.3)), tissue["fat"] * 0.8)
    draw_soft_tissue(canvas, tissue, head, rng)
    outline = Outline((0, centre), mirrored(inner), rng=rng)
    brain = canvas.inside(outline)
    _mottle(canvas, tissue, np.maximum(head + 0.06, 0.2 - canvas.y))
    draw_vault(canvas, tissue, brain, rng)
    return outline, brain


def _coronal_sella(canvas: Canvas, tissue: dict[str, float], rng: np.random.Generator, depth: float) -> Head:
    outline, brain = _coronal_head(canvas, tissue, rng, _SELLA_BRAIN, -0.18)
    draw_cortex(canvas, tissue, brain, rng)
    for side in (-1, 1):
        fissure = canvas.stroke([(side * 0.24, 0.03), (side * 0.36, -0.02), (side * 0.48, -0.06)], 0.03)
        canvas.fill(fissure, tissue["csf"], share=0.8)
        canvas.fill(canvas.ellipse(side * 0.2, -0.13, 0.1, 0.1), tissue["grey"], share=0.7, blur=0.06)
    falx = canvas.stroke([(0, -0.68), (0, -0.36)], 0.01)
    canvas.fill(falx - 0.012, tissue["csf"], share=0.8)
    canvas.fill(falx, tissue["vessel"], share=rng.uniform(0.2, 0.8))
    wide, bias = rng.lognormal(0, 0.35) * (1 + 0.2 * depth), rng.normal(0, 0.15)
    canvas.fill(pair(canvas, 0.085, -0.24, 0.075, 0.035 * wide, -0.45, bias), tissue["csf"])
    canvas.fill(canvas.ellipse(0, -0.1, 0.014 * wide, 0.07), tissue["csf"])
    canvas.fill(canvas.ellipse(0, outline.point(-np.pi / 2)[1], 0.035, 0.03), tissue["vessel"])
    # Base of the skull and face: sphenoid sinus, nasal passages, jaw.
    canvas.fill(canvas.ellipse(0, 0.1, 0.16, 0.07), tissue["bone"] + 0.3 * tissue["muscle"])
    canvas.fill(canvas.ellipse(0, 0.02, 0.14, 0.035), tissue["csf"])
    canvas.fill(canvas.ellipse(0, 0.0, 0.06, 0.014), tissue["white"])
    sella = (rng.normal(0, 0.012), 0.085)
    canvas.fill(pair(canvas, 0.105, 0.09, 0.045, 0.05, 0, rng.normal(0, 0.2)), tissue["mucosa"] * rng.uniform(0.5, 1))
    canvas.fill(pair(canvas, 0.1, 0.08, 0.02, 0.02, 0), tissue["bone"])
    draw_gland(canvas, tissue, sella, rng)
    sinus = canvas.ellipse(rng.normal(0, 0.02), 0.22, rng.uniform(0.1, 0.17), rng.uniform(0.06, 0.09))
    canvas.fill(sinus, tissue["bone"] * 0.5)
    canvas.fill(canvas.stroke([(0, 0.12), (0, 0.3)], 0.012), tissue["muscle"])
    if rng.random() < 0.7:
        for side in (-1, 1):
            canvas.fill(canvas.ellipse(side * 0.12, 0.45, 0.06, rng.uniform(0.06, 0.13)), tissue["bone"] * 0.5)
            canvas.fill(canvas.stroke([(side * 0.3, 0.3), (side * 0.36, 0.75)], 0.09), tissue["muscle"])
            canvas.fill(canvas.stroke([(side * 0.42, 0.4), (side * 0.4, 0.75)], 0.05), tissue["bone"])
    canvas.fill(canvas.ellipse(0, 0.8, 0.2, 0.12), tissue["muscle"] * 1.1)
    folds = [(0.0, float(y), side) for y in (-0.6, -0.5, -0.42) for side in (0.0, np.pi)]
    folds += [(0.18, 0.1, -0.6), (-0.18, 0.1, -2.5), (0.02, 0.04, -np.pi / 2), (0.34, 0.22, -1.7), (-0.34, 0.22, -1.4)]
    return Head(outline, brain, (-np.pi - 0.5, 0.5), folds, sella)


def _coronal_back(canvas: Canvas, tissue: dict[str, float], rng: np.random.Generator, depth: float) -> Head:
    outline, brain = _coronal_head(canvas, tissue, rng, _BACK_BRAIN, -0.12)
    draw_cortex(canvas, tissue, brain, rng)
    falx = canvas.stroke([(0, -0.66), (0, -0.1)], 0.01)
    canvas.fill(falx - 0.012, tissue["csf"], share=0.8)
    canvas.fill(falx, tissue["vessel"], share=rng.uniform(0.2, 0.8))
    wide, bias = rng.lognormal(0, 0.35) * (1 + 0.2 * depth), rng.normal(0, 0.15)
    canvas.fill(pair(canvas, 0.13, -0.15, 0.03 * wide, 0.075, -0.5, bias), tissue["csf"])
    if rng.random() < 0.5:
        canvas.fill(
            pair(canvas, 0.13, -0.13, 0.018, 0.025, 0, rng.normal(0, 0.3)), tissue["vessel"] * rng.uniform(0.6, 1)
        )
    cerebellum = canvas.ellipse(0, 0.22, 0.37, 0.19)
    draw_cerebellum(canvas, tissue, np.maximum(cerebellum, brain + 0.02), 0.2, rng)
    tentorium = canvas.stroke([(-0.42, 0.16), (-0.2, 0.06), (0, 0.0), (0.2, 0.06), (0.42, 0.16)], 0.014)
    canvas.fill(tentorium, tissue["vessel"], share=rng.uniform(0.3, 0.9))
    canvas.fill(canvas.ellipse(0, 0.24, 0.045 * rng.uniform(0.6, 1.6), 0.035), tissue["csf"])
    canvas.fill(canvas.ellipse(0, outline.point(-np.pi / 2)[1], 0.035, 0.03), tissue["vessel"])
    canvas.fill(canvas.stroke([(0, 0.42), (0, 1.2)], 0.09), tissue["white"])
    for side in (-1, 1):
        canvas.fill(canvas.ellipse(side * 0.43, 0.12, 0.035, 0.03), tissue["vessel"])
        canvas.fill(canvas.stroke([(side * 0.08, 0.5), (side * 0.1, 1.2)], 0.03), tissue["bone"])
    folds = [(0.0, float(y), side) for y in (-0.58, -0.45, -0.3) for side in (0.0, np.pi)]
    folds += [(side * x, 0.01 + 0.35 * x, way) for side in (-1, 1) for x in (0.1, 0.3) for way in (-1.57, 1.57)]
    return Head(outline, brain, (-np.pi - 0.9, 0.9), folds)


def _sagittal_head(canvas: Canvas, tissue: dict[str, float], rng: np.random.Generator) -> tuple[Outline, np.ndarray]:
    """Head in profile, nose to the left: soft tissue, vault, and a brain within its outline."""
    head = canvas.inside(Outline((0.05, -0.1), _PROFILE, rng=rng, jitter=0.012))
    draw_soft_tissue(canvas, tissue, head, rng)
    outline = Outline((0.08, -0.22), _PROFILE_BRAIN, rng=rng)
    brain = canvas.inside(outline)
    _mottle(canvas, tissue, np.maximum(head + 0.06, 0.25 - 0.3 * (canvas.x < -0.3) - canvas.y))
    draw_vault(canvas, tissue, brain, rng)
    return outline, brain


def _sagittal_midline(canvas: Canvas, tissue: dict[str, float], rng: np.random.Generator, depth: float) -> Head:
    outline, brain = _sagittal_head(canvas, tissue, rng)
    draw_cortex(canvas, tissue, brain, rng)
    # Corpus callosum over the lateral ventricle, thalamus, brainstem and cord, cerebellum.
    wide = rng.lognormal(0, 0.35) * (1 + 0.3 * depth)
    arch = [(-0.2, -0.14), (-0.23, -0.22), (-0.16, -0.31), (0.0, -0.36), (0.16, -0.34), (0.27, -0.26), (0.29, -0.18)]
    ventricle = canvas.stroke([(x * 0.8 + 0.01, y * 0.85 + 0.02) for x, y in arch[1:6]], 0.05 * wide)
    canvas.fill(ventricle, tissue["csf"], share=0.9)
    canvas.fill(canvas.stroke(arch, 0.05), tissue["white"] * 1.12)
    canvas.fill(canvas.ellipse(0.05, -0.12, 0.12, 0.075), tissue["grey"])
    canvas.fill(canvas.ellipse(-0.03, 0.03, 0.13, 0.05), tissue["csf"], share=0.8)
    cerebellum = np.maximum(canvas.ellipse(0.4, 0.14, 0.22, 0.19), brain + 0.01)
    draw_cerebellum(canvas, tissue, cerebellum, 0.15, rng)
    stem = [(0.1, -0.05), (0.14, 0.1), (0.2, 0.3)]
    canvas.fill(canvas.stroke(stem, 0.2), tissue["csf"])
    canvas.fill(canvas.stroke(stem, 0.13), tissue["white"])
    canvas.fill(canvas.ellipse(0.1, 0.1, 0.08, 0.1), tissue["white"])
    canvas.fill(canvas.ellipse(0.23, 0.14, 0.035, 0.05 * rng.uniform(0.6, 1.5)), tissue["csf"])
    canvas.fill(canvas.stroke([(0.2, 0.3), (0.26, 0.6), (0.27, 1.3)], 0.12), tissue["csf"])
    canvas.fill(canvas.stroke([(0.2, 0.3), (0.26, 0.6), (0.27, 1.3)], 0.085), tissue["white"])
    tentorium = canvas.stroke([(0.25, -0.08), (0.45, -0.06), (0.63, 0.04)], 0.014)
    canvas.fill(tentorium, tissue["vessel"], share=rng.uniform(0.3, 0.9))
    canvas.paint(canvas.mask(np.abs(brain + 0.005) - 0.012) * (canvas.y < -0.2) * 0.6, tissue["vessel"])
    # Face: clivus marrow, sphenoid sinus, nasal cavity, palate, tongue, airway, vertebrae.
    canvas.fill(canvas.stroke([(-0.05, 0.12), (0.08, 0.34)], 0.07), tissue["marrow"] * 1.4)
    for level in range(4):
        canvas.fill(canvas.ellipse(0.1 + 0.01 * level, 0.5 + 0.17 * level, 0.055, 0.065), tissue["marrow"] * 1.2)
    canvas.fill(canvas.stroke([(-0.06, 0.32), (-0.05, 0.7), (-0.02, 1.2)], 0.035), 0.0)
    canvas.fill(canvas.ellipse(-0.44, 0.19, 0.17, 0.08, 0.15), tissue["bone"], share=0.85, blur=0.05)
    turbinate = canvas.stroke([(-0.58, 0.22), (-0.3, 0.2)], 0.05)
    canvas.fill(turbinate, tissue["mucosa"], share=rng.uniform(0.4, 1))
    canvas.fill(canvas.stroke([(-0.56, 0.32), (-0.22, 0.31)], 0.025), tissue["bone"], share=0.7)
    canvas.fill(canvas.ellipse(-0.38, 0.48, 0.24, 0.11), tissue["muscle"])
    sella = (rng.normal(-0.13, 0.012), 0.055)
    sinus = (-0.2 + rng.normal(0, 0.02), 0.14)
    canvas.fill(canvas.ellipse(*sinus, 0.13, 0.07), tissue["bone"] + 0.25 * tissue["marrow"])
    canvas.fill(canvas.ellipse(*sinus, rng.uniform(0.06, 0.11), 0.05), 0.0)
    draw_gland(canvas, tissue, sella, rng)
    canvas.fill(canvas.stroke([(-0.11, 0.04), (-0.07, -0.03)], 0.016), tissue["gland"], share=0.8)
    folds = [
        (-0.3, -0.02, -1.3),
        (-0.18, 0.0, -1.4),
        (-0.4, -0.06, -1.2),
        (0.45, -0.06, -1.57),
        (0.45, -0.06, 1.57),
        (0.03, 0.18, 0.4),
    ]
    return Head(outline, brain, (np.pi - 0.2, 2 * np.pi + 0.9), folds, sella)


def _sagittal_side(canvas: Canvas, tissue: dict[str, float], rng: np.random.Generator, depth: float) -> Head:
    outline, brain = _sagittal_head(canvas, tissue, rng)
    draw_cortex(canvas, tissue, brain, rng)
    # Lateral ventricle, Sylvian fissure above the temporal lobe, cerebellar hemisphere.
    wide = rng.lognormal(0, 0.4) * (1 + 0.3 * depth)
    body = canvas.stroke([(-0.15, -0.24), (0.0, -0.29), (0.17, -0.26), (0.26, -0.15), (0.18, -0.05)], 0.055 * wide)
    if rng.random() < 0.6:
        canvas.fill(body, tissue["csf"])
        if rng.random() < 0.5:
            canvas.fill(canvas.ellipse(0.24, -0.17, 0.035, 0.03), tissue["vessel"] * rng.uniform(0.6, 1))
    canvas.fill(canvas.ellipse(0.0, -0.17, 0.14, 0.07), tissue["grey"], share=0.7, blur=0.06)
    canvas.fill(canvas.stroke([(-0.3, -0.04), (-0.1, -0.08), (0.1, -0.06)], 0.03), tissue["csf"], share=0.8)
    cerebellum = np.maximum(canvas.ellipse(0.38, 0.16, 0.23, 0.18), brain + 0.01)
    draw_cerebellum(canvas, tissue, cerebellum, 0.15, rng)
    tentorium = canvas.stroke([(0.15, 0.0), (0.4, -0.05), (0.62, 0.03)], 0.014)
    canvas.fill(tentorium, tissue["vessel"], share=rng.uniform(0.3, 0.9))
    canvas.fill(canvas.stroke([(0.02, 0.2), (0.14, 0.36)], 0.1), tissue["bone"] + 0.1 * tissue["fat"])
    # Face: orbit with the globe, air in the maxillary sinus, muscle and fat.
    eye = rng.uniform(0.09, 0.12)
    canvas.fill(canvas.ellipse(-0.42, 0.06, 0.17, 0.1, -0.1), tissue["fat"] * 0.9)
    canvas.fill(canvas.stroke([(-0.5, 0.05), (-0.26, 0.07)], 0.03), tissue["muscle"])
    globe = canvas.ellipse(-0.55, 0.05, eye, eye)
    canvas.fill(globe, tissue["muscle"] * 1.3)
    canvas.fill(globe + 0.022, tissue["eye"])
    sinus = canvas.ellipse(-0.42, 0.28, rng.uniform(0.1, 0.16), rng.uniform(0.06, 0.1), -0.2)
    canvas.fill(sinus - 0.015, tissue["mucosa"])
    canvas.fill(sinus, 0.0)
    canvas.fill(canvas.stroke([(-0.1, 0.2), (-0.2, 0.6)], 0.1), tissue["muscle"])
    canvas.fill(canvas.stroke([(-0.55, 0.5), (-0.2, 0.5)], 0.05), tissue["marrow"])
    folds = [(-0.3, -0.02, -1.3), (-0.4, -0.06, -1.2), (0.45, -0.04, -1.57), (0.45, -0.04, 1.57), (0.1, 0.12, -1.0)]
    return Head(outline, brain, (np.pi - 0.2, 2 * np.pi + 0.9), folds)


View = Callable[[Canvas, dict[str, float], np.random.Generator, float], Head]
VIEWS: dict[str, View] = {
    "axial_high": _axial_high,
    "axial_middle": _axial_middle,
    "axial_base": _axial_base,
    "coronal_sella": _coronal_sella,
    "coronal_back": _coronal_back,
    "sagittal_midline": _sagittal_midline,
    "sagittal_side": _sagittal_side,
}
