"""How a copy was made, in words and numbers, from the map between the frames."""

import numpy as np
import pytest

from raysynth.data.audit.appearance import NUM_ORIENTATIONS, orientation_maps
from raysynth.data.audit.relations import ORIENTATIONS, RELATIONS, describe


def linear_map(orientation: int, *, angle_degrees: float = 0.0, scale=(1.0, 1.0)) -> np.ndarray:
    cos, sin = np.cos(np.radians(angle_degrees)), np.sin(np.radians(angle_degrees))
    turn = np.array([[cos, -sin], [sin, cos]])
    return np.concatenate([np.diag(scale) @ turn @ orientation_maps()[orientation].numpy(), np.zeros((2, 1))], 1)[None]


@pytest.mark.parametrize("orientation", range(NUM_ORIENTATIONS))
@pytest.mark.parametrize("angle_degrees", [-25.0, 0.0, 12.0])
def test_a_map_is_an_orientation_and_a_small_rotation(orientation, angle_degrees):
    maps = linear_map(orientation, angle_degrees=angle_degrees, scale=(0.8, 0.8))
    found = describe(maps, np.array([0.9]))
    assert found["orientation"][0] == ORIENTATIONS[orientation]
    assert found["angle_degrees"][0] == pytest.approx(angle_degrees, abs=0.1)
    assert found["scale_x"][0] == found["scale_y"][0] == 0.8


@pytest.mark.parametrize(
    ("orientation", "words", "relation"),
    [
        (0, "upright", "near"),
        (1, "left-right", "mirrored"),
        (2, "quarter turn", "rotated"),
        (3, "quarter turn and mirrored", "mirrored"),
        (4, "half turn", "rotated"),
        (5, "up-down", "mirrored"),
        (6, "quarter turn", "rotated"),
        (7, "quarter turn and mirrored", "mirrored"),
    ],
)
def test_the_relation_follows_from_the_orientation(orientation, words, relation):
    found = describe(linear_map(orientation), np.array([0.9]))
    assert (found["orientation"][0], found["relation"][0]) == (words, relation)
    assert relation in RELATIONS


def test_scales_are_those_along_the_axes_of_the_other_image():
    for orientation in range(NUM_ORIENTATIONS):
        found = describe(linear_map(orientation, scale=(1.2, 0.7)), np.array([0.9]))
        assert (found["scale_x"][0], found["scale_y"][0]) == (1.2, 0.7)


def test_a_negative_score_is_an_inverted_copy_whatever_its_orientation():
    found = describe(np.concatenate([linear_map(0), linear_map(1), linear_map(1)]), np.array([-0.95, -0.9, 0.9]))
    assert list(found["relation"]) == ["inverted", "inverted", "mirrored"]
    assert list(found["is_inverted"]) == [True, True, False]
    assert list(found["orientation"]) == ["upright", "left-right", "left-right"]
    assert list(found["score"]) == [0.95, 0.9, 0.9]


def test_nothing_is_described_as_nothing():
    assert all(len(column) == 0 for column in describe(np.zeros((0, 2, 3)), np.zeros(0)).values())
