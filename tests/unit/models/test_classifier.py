from __future__ import annotations

import pytest
import torch

from raysynth.models.augment import augment_lightly
from raysynth.models.classifier import Classifier, ClassifierNetwork
from raysynth.models.context import Context


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 64, 64), (1, 50, 40)])
def test_logits_and_features_of_any_size(shape):
    network = ClassifierNetwork(shape[0], 5, (4, 8, 16), 0.0).eval()
    images = torch.rand(2, *shape)
    assert network(images).shape == (2, 5)
    assert network.features(images).shape == (2, 16)


def test_it_learns_a_bright_side():
    context = Context()
    config = Classifier.Config(num_steps=60, widths=(4, 8), learning_rate=1e-2, augment=False)
    classifier = Classifier(config, shape=(1, 16, 16), num_classes=2, context=context)
    labels = torch.arange(32) % 2
    images = torch.rand(32, 1, 16, 16, generator=torch.Generator().manual_seed(0)) - 1
    images[labels == 1, :, :, 8:] += 0.8
    for step in range(60):
        context.at(1, step)
        classifier.train_step(images, labels)
    assert float(classifier.validate(images, labels)["validation_accuracy"]) == 1.0


def test_augmentation_stays_in_range_and_is_seeded():
    context = Context()
    context.at(1, 0)
    images = torch.rand(8, 1, 16, 16) * 2 - 1
    first = augment_lightly(images, context)
    assert first.shape == images.shape
    assert first.abs().max() <= 1
    assert torch.equal(first, augment_lightly(images, context))
    context.at(1, 1)
    assert not torch.equal(first, augment_lightly(images, context))


def test_augmentation_moves_a_picture_but_keeps_it():
    """A centred disc stays near the centre: shifts, turns and scalings are small."""
    context = Context()
    context.at(1, 0)
    axis = torch.linspace(-1, 1, 32)
    disc = ((axis[:, None] ** 2 + axis**2) < 0.25).float() * 2 - 1
    moved = (augment_lightly(disc.expand(64, 1, 32, 32), context) + 1) / 2
    weight = moved.sum((1, 2, 3))
    centre = (moved.squeeze(1) * axis).sum((1, 2)) / weight
    assert centre.abs().max() < 0.2
    assert not torch.allclose(moved[0], moved[1])
