"""The three slices of a volume stand side by side, each the way round that radiologists expect."""

import numpy as np
import pytest

from raysynth.data.slices import as_pictures, middle_slices, picture_size


def test_images_stay_as_they_are():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 7), dtype=np.uint8)
    assert as_pictures(images) is images
    assert picture_size(images.shape[1:]) == (5, 7)


def test_a_cube_shows_axial_coronal_and_sagittal():
    volume = np.zeros((1, 1, 8, 8, 8), np.uint8)
    volume[0, 0, 4, 1, 2] = 10  # in the axial middle slice: anterior, on the patient's right
    volume[0, 0, 7, 4, 2] = 20  # in the coronal one: at the top
    volume[0, 0, 7, 1, 4] = 30  # in the sagittal one: at the top, anterior
    (picture,) = as_pictures(volume)[:, 0]
    assert picture.shape == picture_size((1, 8, 8, 8)) == (8, 24)
    assert (picture[1, 2], picture[0, 8 + 2], picture[0, 16 + 1]) == (10, 20, 30)
    assert np.count_nonzero(picture) == 3


@pytest.mark.parametrize("shape", [(2, 4, 9, 6), (1, 11, 4, 4)])
def test_unequal_sides_are_framed_in_black(shape):
    _, depth, height, width = shape
    (picture,) = as_pictures(np.full((1, *shape), 200, np.uint8))
    assert picture.shape == (shape[0], *picture_size(shape))
    lit = (picture[0] > 0).sum(axis=0)
    assert lit.tolist() == [height] * width + [depth] * (width + height)


def test_slices_of_many_volumes_at_once():
    volumes = np.random.default_rng(0).integers(0, 256, (3, 2, 4, 6, 8), dtype=np.uint8)
    axial, coronal, sagittal = middle_slices(volumes)
    assert (axial.shape, coronal.shape, sagittal.shape) == ((3, 2, 6, 8), (3, 2, 4, 8), (3, 2, 4, 6))
    np.testing.assert_array_equal(axial[:, :, 3, 4], sagittal[:, :, 1, 3])  # D: 2 of 4 from below is 1 from above
