"""What counts as background: dark, and connected with the border."""

import numpy as np
import pytest

from raysynth.evaluation.background import background_level, border_mask, find_foreground, otsu_threshold


def heads(num_images: int = 40, *, channels: int = 1, side: int = 24, noise: int = 12) -> np.ndarray:
    """Noisy dark surroundings, a bright ring, tissue inside, and a black hole in its middle."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, noise, (num_images, channels, side, side))
    images[..., 4:-4, 4:-4] = rng.integers(150, 250, (num_images, channels, side - 8, side - 8))
    images[..., 6:-6, 6:-6] = rng.integers(60, 140, (num_images, channels, side - 12, side - 12))
    images[..., 10:-10, 10:-10] = 0
    return images.astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_surroundings_are_background_and_dark_places_inside_are_not(channels):
    images = heads(channels=channels)
    level = background_level(images)
    assert level is not None
    assert 8 <= level < 60
    foreground = find_foreground(images, 12)
    wanted = np.zeros((24, 24), dtype=bool)
    wanted[4:-4, 4:-4] = True
    assert np.array_equal(foreground, np.tile(wanted, (len(images), 1, 1)))


def test_a_volume_is_background_where_its_surroundings_reach_in_three_dimensions():
    volume = np.full((1, 1, 8, 8, 8), 200, dtype=np.uint8)
    volume[..., 3:5, 3:5, 3:5] = 0  # closed in
    assert find_foreground(volume, 10).all()
    volume[..., :5, 3, 3] = 0  # a channel to the border
    assert (~find_foreground(volume, 10)).sum() == 8 + 3
    assert border_mask((8, 8, 8)).sum() == 8**3 - 6**3


def test_corners_do_not_connect():
    image = np.full((1, 1, 6, 6), 200, dtype=np.uint8)
    image[0, 0, 0, 0] = image[0, 0, 1, 1] = 0
    assert (~find_foreground(image, 5)).sum() == 1


def test_images_filled_to_the_border_have_no_background():
    rng = np.random.default_rng(0)
    assert background_level(rng.integers(0, 256, (20, 1, 16, 16), dtype=np.uint8)) is None
    assert background_level(255 - heads()) is None
    assert background_level(np.full((5, 1, 8, 8), 7, dtype=np.uint8)) is None


def test_brighter_images_are_all_foreground_and_black_ones_have_none():
    assert find_foreground(np.full((1, 1, 8, 8), 90, dtype=np.uint8), 10).all()
    assert not find_foreground(np.zeros((1, 1, 8, 8), dtype=np.uint8), 10).any()


def test_otsu_parts_two_groups_of_intensities_between_them():
    counts = np.zeros(256, dtype=int)
    counts[10:20], counts[180:200] = 30, 5
    assert 19 <= otsu_threshold(counts) < 180
    by_variance = [_variance_within(counts, threshold) for threshold in range(255)]
    assert by_variance[otsu_threshold(counts)] == pytest.approx(min(by_variance))


def _variance_within(counts: np.ndarray, threshold: int) -> float:
    pixels = np.repeat(np.arange(256), counts)
    return sum(
        part.var() * len(part) for part in (pixels[pixels <= threshold], pixels[pixels > threshold]) if len(part)
    )
