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


def test_colours_and_middle_slices():
    colour = np.zeros((1, 3, 4, 4), np.uint8)
    colour[0, 2] = 7
    assert draw_grid(colour, num_columns=1)[3, 3].tolist() == [0, 0, 7]
    volume = np.zeros((1, 1, 5, 4, 4), np.uint8)
    volume[0, 0, 2] = 9
    assert draw_grid(volume, num_columns=1)[3, 3].tolist() == [9, 9, 9]
