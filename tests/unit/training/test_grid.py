from __future__ import annotations

import numpy as np

from raysynth.training.grid import PADDING, draw_grid


def test_images_stand_row_by_row():
    images = np.stack([np.full((1, 4, 4), value, np.uint8) for value in (10, 20, 30)])
    grid = draw_grid(images, num_columns=2)
    assert grid.shape == (2 * (4 + PADDING) + PADDING, 2 * (4 + PADDING) + PADDING, 3)
    assert (grid[2:6, 2:6] == 10).all()
    assert (grid[2:6, 8:12] == 20).all()
    assert (grid[8:12, 2:6] == 30).all()
    assert (grid[8:12, 8:12] == 0).all()


def test_colours_and_volumes():
    colour = np.zeros((1, 3, 4, 4), np.uint8)
    colour[0, 2] = 7
    assert draw_grid(colour, num_columns=1)[3, 3].tolist() == [0, 0, 7]
    volumes = np.zeros((2, 1, 4, 4, 4), np.uint8)
    volumes[1, 0, 2] = 9
    grid = draw_grid(volumes, num_columns=1)
    assert grid.shape == (2 * (4 + PADDING) + PADDING, 3 * 4 + 2 * PADDING, 3)
    axial, coronal, sagittal = np.split(grid[2 * PADDING + 4 : -PADDING, PADDING:-PADDING, 0], 3, axis=1)
    assert (axial == 9).all()
    assert (coronal == sagittal).all()
    assert coronal.sum(axis=1).tolist() == [0, 36, 0, 0]  # the second slice from above
