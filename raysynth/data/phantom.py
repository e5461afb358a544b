"""The phantom: a drawn data set of head slices, or of whole heads, there wherever no real images are.

Four classes as in the brain tumour set of the study, with about its shares. One patient gives one to three slices
(one or two volumes) of the same anatomy and lesion; a patient is a group, which no split separates. What tells the
classes apart is the lesion alone: views, contrasts and harmless finds occur in all of them, only the sella must be in
the slice for a pituitary tumour, so its views are fewer.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter

from raysynth.data.anatomy import SEQUENCE_SHARES, SEQUENCES
from raysynth.data.canvas import Canvas
from raysynth.data.dataset import Dataset
from raysynth.data.dataset_writer import write_dataset
from raysynth.data.lesions import LESIONS, paint_finds
from raysynth.data.locations import Location
from raysynth.data.new_folder import refuse_existing
from raysynth.data.phantom_volumes import SIZES, draw_volume
from raysynth.data.splits import grouped
from raysynth.data.views import VIEWS
from raysynth.errors import UserError

CLASSES = ("glioma", "meningioma", "no_tumor", "pituitary")
CLASS_SHARES = (0.28, 0.29, 0.15, 0.28)
SLICES_PER_PATIENT = {1: 0.4, 2: 0.35, 3: 0.25}
VOLUMES_PER_PATIENT = {1: 0.7, 2: 0.3}
NUM_SLICES, NUM_VOLUMES = 1200, 240  # where nothing is said
SLICE_SIZE, VOLUME_SIZE = 64, 32
PROGRESS_EVERY, PROGRESS_EVERY_VOLUMES = 1000, 100
MIN_IMAGES, MAX_IMAGES, MAX_VOLUMES = 40, 1_000_000, 20_000
MIN_SIZE, MAX_SIZE = 16, 256

# Axial, coronal and sagittal slices are about a third each in every class.
VIEW_SHARES = {
    "axial_high": 0.08,
    "axial_middle": 0.12,
    "axial_base": 0.14,
    "coronal_sella": 0.18,
    "coronal_back": 0.15,
    "sagittal_midline": 0.20,
    "sagittal_side": 0.13,
}
PITUITARY_VIEW_SHARES = {"axial_base": 0.34, "coronal_sella": 0.33, "sagittal_midline": 0.33}


def phantom(
    out: Location | str,
    *,
    num_images: int | None = None,
    size: int | None = None,
    volumes: bool = False,
    seed: int = 0,
    say: Callable[[str], None] = lambda line: None,
) -> Dataset:
    """Draw `num_images` slices (1, size, size), or with `volumes` heads (1, size, size, size), as a data set.

    1200 slices of 64 pixels, or 240 volumes of 32 voxels a side, unless told otherwise; `say` is given progress lines.
    The same arguments give the same pixels and splits. Raises UserError for a number of images or a size out of
    range, and when `out` holds something already.
    """
    if num_images is None:
        num_images = NUM_VOLUMES if volumes else NUM_SLICES
    if size is None:
        size = VOLUME_SIZE if volumes else SLICE_SIZE
    _check(num_images, size, volumes, seed)
    refuse_existing(out)
    draw, dimensions, every, things = (
        (draw_volume, 3, PROGRESS_EVERY_VOLUMES, "volumes") if volumes else (draw_slice, 2, PROGRESS_EVERY, "images")
    )
    per_patient = VOLUMES_PER_PATIENT if volumes else SLICES_PER_PATIENT
    labels, patients = _draw_patients(num_images, per_patient, np.random.default_rng([seed, 0]))
    groups = [f"patient-{patient:06d}" for patient in patients]
    images = np.empty((num_images, 1, *[size] * dimensions), dtype=np.uint8)
    for index, (label, patient) in enumerate(zip(labels, patients, strict=True)):
        images[index, 0] = draw(
            CLASSES[label],
            size,
            patient=np.random.default_rng([seed, 1, patient]),
            rng=np.random.default_rng([seed, 2, index]),
        )
        if (index + 1) % every == 0:
            say(f"{index + 1} of {num_images} {things} drawn")
    return write_dataset(
        out,
        name="phantom_volumes" if volumes else "phantom",
        kind="real",
        classes=CLASSES,
        images=images,
        columns={
            "id": [f"phantom-{index:06d}" for index in range(num_images)],
            "label": labels,
            "split": grouped(groups, labels, test=0.1, validation=0.1, seed=seed),
            "group": groups,
        },
        source={
            "phantom": {"num_images": num_images, "size": size, "seed": seed} | ({"volumes": True} if volumes else {})
        },
    )


def _check(num_images: int, size: int, volumes: bool, seed: int) -> None:
    most = MAX_VOLUMES if volumes else MAX_IMAGES
    if not MIN_IMAGES <= num_images <= most:
        raise UserError(f"--images {num_images}: want {MIN_IMAGES} to {most}, so that each split has each class")
    if volumes and size not in SIZES:
        sizes = ", ".join(map(str, SIZES[:-1]))
        raise UserError(f"--size {size}: want {sizes} or {SIZES[-1]} voxels with --volumes")
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise UserError(f"--size {size}: want {MIN_SIZE} to {MAX_SIZE} pixels")
    if seed < 0:
        raise UserError(f"--seed {seed}: want 0 or more")


def _draw_patients(
    num_images: int, per_patient: dict[int, float], rng: np.random.Generator
) -> tuple[list[int], list[int]]:
    """Class and patient of each image, in shuffled order."""
    exact = np.asarray(CLASS_SHARES) * num_images
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: num_images - counts.sum()]] += 1
    rows: list[tuple[int, int]] = []
    num_patients = 0
    for label, count in enumerate(counts.tolist()):
        left = count
        while left:
            num_taken = int(rng.choice(list(per_patient), p=list(per_patient.values())))
            num_taken = min(num_taken, left, max(1, count // 3))  # three patients at least: one a split
            rows += [(label, num_patients)] * num_taken
            num_patients += 1
            left -= num_taken
    order = rng.permutation(num_images)
    return [rows[row][0] for row in order], [rows[row][1] for row in order]


def draw_slice(class_name: str, size: int, *, patient: np.random.Generator, rng: np.random.Generator) -> np.ndarray:
    """One slice (size, size) uint8.

    Anatomy, lesion and contrast come from the generator `patient`; pose, depth of the slice and the way it was
    taken from `rng`. Two slices drawn with equal `patient` generators show one patient.
    """
    shares = PITUITARY_VIEW_SHARES if class_name == "pituitary" else VIEW_SHARES
    view = str(patient.choice(list(shares), p=list(shares.values())))
    sequence = SEQUENCES[str(patient.choice(list(SEQUENCE_SHARES), p=list(SEQUENCE_SHARES.values())))]
    tissue = {name: value * float(patient.normal(1, 0.06)) for name, value in sequence.items()}
    depth = float(rng.uniform(-1, 1))
    canvas = _posed_canvas(size, patient, rng)
    head = VIEWS[view](canvas, tissue, patient, depth)
    paint_finds(canvas, tissue, head, patient)
    LESIONS[class_name](canvas, tissue, head, patient, 1 - 0.15 * abs(depth))
    return _acquire(canvas, view, rng)


def _posed_canvas(size: int, patient: np.random.Generator, rng: np.random.Generator) -> Canvas:
    """An empty canvas: pose of the head from `rng`, the bent of its shape from `patient`."""
    line = ((np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1).astype(np.float32)
    x, y = np.meshgrid(line, line)
    turn, shear = rng.normal(0, 0.09), rng.normal(0, 0.03)
    zoom = np.clip(rng.normal(1.0, 0.07), 0.8, 1.15) * patient.uniform(0.92, 1.08)
    stretch = patient.normal(1, 0.035) * rng.normal(1, 0.015)
    x, y = x - np.float32(rng.normal(0, 0.04)), y - np.float32(rng.normal(0, 0.04))
    cos, sin = np.float32(np.cos(turn) / zoom), np.float32(np.sin(turn) / zoom)
    head_x = (x * cos + y * sin + np.float32(shear) * y) * np.float32(stretch)
    head_y = (y * cos - x * sin) / np.float32(stretch)
    for _ in range(2):
        kx, ky, phase, way = (np.float32(value) for value in patient.uniform([-3, -3, 0, 0], [3, 3, 6.3, 6.3]))
        wave = np.float32(0.02) * np.sin(kx * head_x + ky * head_y + phase)
        head_x, head_y = head_x + wave * np.cos(way), head_y + wave * np.sin(way)
    return Canvas(head_x, head_y, pixel=2 / size / float(zoom), rng=patient)


def _acquire(canvas: Canvas, view: str, rng: np.random.Generator) -> np.ndarray:
    """The picture as a scanner shows it: coil shading, blur, Rician noise, window and contrast, uint8."""
    size = len(canvas.value)
    line = np.linspace(-1, 1, size, dtype=np.float32)
    a, b, c, d = (np.float32(value) for value in rng.normal(0, [0.12, 0.12, 0.1, 0.1]))
    shade = np.exp(a * line[None] + b * line[:, None] + c * line[None] ** 2 + d * line[:, None] ** 2)
    value = canvas.value * shade
    if not view.startswith("axial"):  # the signal fades where the coil ends, below the chin
        end = np.float32(rng.uniform(0.75, 1.3))
        value = value * np.clip((end - line[:, None]) / np.float32(0.25), 0, 1)
    sigma = rng.uniform(0.0, 0.6) * size / 64
    if sigma > 0.25:
        value = gaussian_filter(value, sigma, truncate=3)
    gain, gamma = rng.lognormal(-0.1, 0.22), rng.lognormal(0.08, 0.15)
    lift = rng.uniform(0, 0.06) if rng.random() < 0.3 else 0.0
    # The noise comes last: so a picture of another size shows the same slice.
    noise = np.float32(rng.uniform(0.005, 0.025)) * rng.standard_normal((2, size, size), dtype=np.float32)
    value = np.sqrt((value + noise[0]) ** 2 + noise[1] ** 2)
    value = lift + gain * value**gamma
    return np.clip(np.rint(value * 255), 0, 255).astype(np.uint8)
