"""What the network is told is what was done."""

from __future__ import annotations

import torch

from raysynth.models.context import Context
from raysynth.models.told_augmentation import NUM_CHANGES, augment_and_tell
from raysynth.models.unet import UNet


def test_nothing_is_done_and_nothing_told_at_probability_0():
    images = torch.rand(6, 1, 16, 16) * 2 - 1
    changed, changes = augment_and_tell(images, Context(seed=1), 0.0)
    assert torch.equal(changed, images)
    assert torch.equal(changes, torch.zeros(6, NUM_CHANGES))


def test_an_image_that_is_told_to_be_unchanged_is_so_to_the_last_bit():
    images = torch.rand(200, 1, 16, 16) * 2 - 1
    changed, changes = augment_and_tell(images, Context(seed=2), 0.3)
    same = (changes == 0).all(1)
    assert 0.1 < same.float().mean() < 0.4  # 0.7 ** 4 is 0.24
    assert torch.equal(changed[same], images[same])
    assert not any(torch.equal(a, b) for a, b in zip(changed[~same], images[~same], strict=True))


def test_a_mirrored_image_is_the_image_mirrored():
    images = torch.rand(400, 2, 16, 16) * 2 - 1
    changed, changes = augment_and_tell(images, Context(seed=3), 0.3)
    only_mirrored = (changes[:, 0] == 1) & (changes[:, 1:] == 0).all(1)
    assert only_mirrored.any()
    torch.testing.assert_close(changed[only_mirrored], images[only_mirrored].flip(3))


def test_a_shift_moves_the_image_by_what_is_told():
    """A bright spot's centre of mass moves against the grid."""
    images = torch.full((300, 1, 32, 32), -1.0)
    images[:, :, 14:18, 14:18] = 1.0
    changed, changes = augment_and_tell(images, Context(seed=4), 0.3)
    only_shifted = (changes[:, 3] != 0) & (changes[:, :3] == 0).all(1)
    weights = (changed[only_shifted, 0] + 1) / 2
    places = torch.arange(32.0) - 15.5
    right = (weights.sum(1) * places).sum(1) / weights.sum((1, 2))
    down = (weights.sum(2) * places).sum(1) / weights.sum((1, 2))
    expected = -changes[only_shifted, 3:] * 0.12 * 16
    torch.testing.assert_close(torch.stack([right, down], 1), expected, atol=0.02, rtol=0)


def test_an_image_is_turned_and_scaled_by_what_is_told():
    """A bright spot right of the middle: its angle and its distance from the middle, against the grid."""
    images = torch.full((400, 1, 32, 32), -1.0)
    images[:, :, 14:18, 24:28] = 1.0
    changed, changes = augment_and_tell(images, Context(seed=5), 0.3)
    for place, largest in ((1, 0.15), (2, 0.08)):
        only = (changes[:, place] != 0) & (changes[:, [0, *{1, 2} - {place}, 3, 4]] == 0).all(1)
        assert only.any()
        weights = (changed[only, 0] + 1) / 2
        places = torch.arange(32.0) - 15.5
        right = (weights.sum(1) * places).sum(1) / weights.sum((1, 2))
        down = (weights.sum(2) * places).sum(1) / weights.sum((1, 2))
        told = changes[only, place] * largest
        found = torch.atan2(down, right) if place == 1 else 10 / torch.hypot(right, down) - 1
        signs = torch.sign(found * told)
        assert (signs == signs[0]).all()
        torch.testing.assert_close(found.abs(), told.abs(), atol=0.02, rtol=0)


def test_the_network_listens_to_what_it_is_told():
    torch.manual_seed(0)
    network = UNet(shape=(1, 16, 16), num_classes=2, width=8, num_blocks=1, num_changes=NUM_CHANGES)
    for block in network.modules():  # blocks end in zeros at first, and conditions are not heard before they do not
        if hasattr(block, "conv2"):
            torch.nn.init.normal_(block.conv2.weight, 0, 0.1)
    images, times, labels = torch.randn(3, 1, 16, 16), torch.rand(3), torch.tensor([0, 1, 2])
    none = network(images, times, labels)
    torch.testing.assert_close(network(images, times, labels, torch.zeros(3, NUM_CHANGES)), none)
    assert not torch.allclose(network(images, times, labels, torch.ones(3, NUM_CHANGES)), none)
