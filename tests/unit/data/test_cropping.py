"""Borders, heads and shapes: what is cut away, what is kept, and how the rest becomes a square or a cube."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from raysynth.data.cropping import border_box, fit_picture, fit_volume, head_box


def head(
    shape: tuple[int, int] = (200, 240), centre: tuple[float, float] = (0.5, 0.5), radii: tuple[float, float] = (60, 45)
) -> np.ndarray:
    """A bright skull, a dark gap of bone, and a textured brain on black; radii in pixels (rows, columns)."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    radius = np.hypot((rows + 0.5 - centre[0] * shape[0]) / radii[0], (columns + 0.5 - centre[1] * shape[1]) / radii[1])
    brain = 90 + 40 * np.sin(columns / 7) * np.cos(rows / 9)
    return np.select([radius < 0.86, radius < 0.92, radius < 1], [brain, 5, 200], 0).astype(np.uint8)


def expected_box(shape=(200, 240), centre=(0.5, 0.5), radii=(60, 45)) -> np.ndarray:
    middle = np.multiply(shape, centre)
    return np.stack([middle - radii, middle + radii], axis=1)


def edges(box) -> np.ndarray:
    assert box is not None
    return np.array([[part.start, part.stop] for part in box])


def assert_near(box, expected, within: float = 2 * 240 / 128) -> None:
    np.testing.assert_allclose(edges(box), expected, atol=within)


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("centre", [(0.5, 0.5), (0.36, 0.7)])
def test_the_head_is_found_wherever_it_is(centre, invert):
    grey = head(centre=centre)
    assert_near(head_box(255 - grey if invert else grey), expected_box(centre=centre))


@pytest.mark.parametrize("invert", [False, True])
def test_noise_and_labels_do_not_move_the_box(invert):
    picture = Image.fromarray(head())
    draw = ImageDraw.Draw(picture)
    for position in ((4, 4), (180, 4), (4, 180), (190, 184)):
        draw.text(position, "R 12:30", fill=255)
    noise = np.random.default_rng(0).normal(0, 8, (200, 240))
    grey = np.clip(np.asarray(picture) + np.abs(noise), 0, 255).astype(np.uint8)
    assert_near(head_box(255 - grey if invert else grey), expected_box())


def test_a_line_around_the_picture_is_no_head():
    grey = head()
    for edge in (grey[:2], grey[-2:], grey[:, :2], grey[:, -2:]):
        edge[:] = 220
    assert_near(head_box(grey), expected_box())


def test_a_head_that_fills_the_picture_is_kept_whole():
    box = head_box(head(shape=(120, 90), radii=(60, 45)))
    np.testing.assert_allclose(edges(box), [[0, 120], [0, 90]], atol=1)


def test_a_head_that_is_cut_off_below_reaches_the_edge():
    box = head_box(head(centre=(0.9, 0.5)))
    assert_near(box, [[120, 200], [75, 165]])


def test_where_there_is_no_head_none_is_found():
    rng = np.random.default_rng(0)
    assert head_box(np.full((50, 60), 70, dtype=np.uint8)) is None
    assert head_box(rng.normal(100, 5, (200, 200)).clip(0, 255).astype(np.uint8)) is None
    speck = np.zeros((200, 200), dtype=np.uint8)
    speck[100:110, 100:110] = 255
    assert head_box(speck) is None


def test_the_head_of_a_volume_is_found_in_three_dimensions():
    z, y, x = np.mgrid[:40, :50, :60]
    ball = (np.hypot(np.hypot((z - 20) / 12, (y - 25) / 15), (x - 22) / 18) < 1) * np.uint8(150)
    np.testing.assert_allclose(edges(head_box(ball)), [[9, 32], [11, 40], [5, 40]], atol=1)


@given(
    widths=st.tuples(*[st.integers(0, 9)] * 4),
    levels=st.tuples(*[st.integers(0, 255)] * 4),
    jitter=st.integers(0, 8),
    seed=st.integers(0, 99),
)
def test_uniform_borders_of_any_width_and_grey_are_dropped(widths, levels, jitter, seed):
    """Black, white or almost uniform as lossy formats leave them, and a different one on each side."""
    rng = np.random.default_rng(seed)
    inner = rng.integers(0, 256, (20, 30), dtype=np.uint8)
    inner[[0, -1], 15] = inner[10, [0, -1]] = 0
    inner[[0, -1], 16] = inner[11, [0, -1]] = 255  # no outer row is uniform by chance
    top, bottom, left, right = widths
    grey = inner
    for axis, before, after, low, high in ((0, top, bottom, *levels[:2]), (1, left, right, *levels[2:])):
        pads = [(before, after) if a == axis else (0, 0) for a in (0, 1)]
        edge = [(low, high) if a == axis else (0, 0) for a in (0, 1)]
        grey = np.pad(grey.astype(int), pads, constant_values=edge)
    outside = np.ones(grey.shape, dtype=bool)
    outside[top : top + 20, left : left + 30] = False
    room = np.where(grey > 255 - jitter, -1, 1)  # stay within 0 to 255
    grey = (grey + outside * room * rng.integers(0, jitter // 2 + 1, grey.shape)).astype(np.uint8)
    np.testing.assert_array_equal(edges(border_box(grey)), [[top, top + 20], [left, left + 30]])


def test_a_uniform_picture_has_no_border():
    assert border_box(np.full((7, 9), 3, dtype=np.uint8)) == (slice(0, 7), slice(0, 9))


def test_the_border_of_a_volume_is_dropped_on_six_sides():
    volume = np.zeros((12, 14, 16), dtype=np.uint8)
    volume[3:9, 2:11, 5:15] = np.random.default_rng(0).integers(50, 256, (6, 9, 10))
    assert border_box(volume) == (slice(3, 9), slice(2, 11), slice(5, 15))


@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
def test_a_volume_is_fitted_as_its_slices_are(fit):
    """A volume that is the same everywhere along one axis is, in the other two, the picture."""
    picture = Image.fromarray(head(shape=(40, 40), radii=(15, 11)))
    volume = np.repeat(np.asarray(picture)[None], 40, axis=0)
    expected = np.asarray(fit_picture(picture, 24, fit)).astype(int)
    for axis in range(3):
        fitted = fit_volume(np.moveaxis(volume, 0, axis), 24, fit)
        assert fitted.shape == (24, 24, 24)
        assert np.abs(np.moveaxis(fitted, axis, 0)[12] - expected).max() <= 2


def test_a_long_volume_is_padded_cropped_or_stretched():
    volume = np.full((10, 20, 40), 100, dtype=np.uint8)
    pad, crop, stretch = (fit_volume(volume, 20, fit) for fit in ("pad", "crop", "stretch"))
    filled = np.argwhere(pad == 100)
    assert (filled.min(axis=0).tolist(), filled.max(axis=0).tolist()) == ([7, 5, 0], [11, 14, 19])
    assert (crop == 100).all()
    assert (stretch == 100).all()


def test_a_cube_of_the_right_size_is_kept():
    cube = np.random.default_rng(0).integers(0, 256, (8, 8, 8), dtype=np.uint8)
    for fit in ("stretch", "pad", "crop"):
        np.testing.assert_array_equal(fit_volume(cube, 8, fit), cube)
