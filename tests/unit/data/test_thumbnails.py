"""The small grey pictures in which copies are looked for."""

import numpy as np

from raysynth.data.thumbnails import hash_pixels, thumbnail

RANDOM = np.random.default_rng(0)


def test_a_thumbnail_is_grey_and_64_pixels_wide():
    grey = RANDOM.integers(0, 256, (1, 64, 64), dtype=np.uint8)
    np.testing.assert_array_equal(thumbnail(grey), grey[0])
    np.testing.assert_array_equal(thumbnail(np.repeat(grey, 3, axis=0)), grey[0])
    assert thumbnail(np.zeros((3, 20, 30), dtype=np.uint8)).shape == (64, 64)


def test_the_thumbnail_of_a_volume_shows_three_slices_and_a_mean():
    volume = np.full((1, 32, 32, 32), 100, dtype=np.uint8)
    volume[0, 16] = 200
    small = thumbnail(volume)
    assert small.shape == thumbnail(np.zeros((3, 5, 20, 30), dtype=np.uint8)).shape == (64, 64)
    axial, coronal, sagittal, mean = small[:32, :32], small[:32, 32:], small[32:, :32], small[32:, 32:]
    assert (axial == 200).all()
    assert (mean == 100 + 100 // 32).all()
    assert (coronal[15] == 200).all()  # the 17th slice from below is the 16th from above
    np.testing.assert_array_equal(coronal, sagittal)
    other = volume.copy()
    other[0, :8, :8, :8] = 0  # in none of the slices
    assert hash_pixels(thumbnail(other)) != hash_pixels(small)
