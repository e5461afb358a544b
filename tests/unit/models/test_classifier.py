from __future__ import annotations

import pytest
import torch

from raysynth.models.augment import augment_lightly
from raysynth.models.classifier import Classifier, ClassifierNetwork
from raysynth.models.context import Context


@pytest.mark.parametrize(
    "shape", [(1, 16, 16), (3, 64, 64), (1, 50, 40), (1, 16, 16, 16), (2, 32, 32, 32), (1, 5, 20, 17)]
)
def test_logits_and_features_of_any_size(shape):
    network = ClassifierNetwork(shape, 5, (4, 8, 16), 0.0).eval()
    images = torch.rand(2, *shape)
    assert network(images).shape == (2, 5)
    assert network.features(images).shape == (2, 16)


@pytest.mark.parametrize("shape", [(1, 16, 16), (1, 16, 16, 16)])
def test_it_learns_a_bright_side(shape):
    context = Context()
    config = Classifier.Config(num_steps=60, widths=(4, 8), learning_rate=1e-2, augment=False)
    classifier = Classifier(config, shape=shape, num_classes=2, context=context)
    labels = torch.arange(32) % 2
    images = torch.rand(32, *shape, generator=torch.Generator().manual_seed(0)) - 1
    images[labels == 1, ..., 8:] += 0.8
    for step in range(60):
        context.at(1, step)
        classifier.train_step(images, labels)
    assert float(classifier.validate(images, labels)["validation_accuracy"]) == 1.0


@pytest.mark.parametrize("shape", [(1, 16, 16), (1, 16, 16, 16)])
def test_augmentation_stays_in_range_and_is_seeded(shape):
    context = Context()
    context.at(1, 0)
    images = torch.rand(8, *shape) * 2 - 1
    first = augment_lightly(images, context)
    assert first.shape == images.shape
    assert first.abs().max() <= 1
    assert torch.equal(first, augment_lightly(images, context))
    context.at(1, 1)
    assert not torch.equal(first, augment_lightly(images, context))


@pytest.mark.parametrize("dimensions", [2, 3])
def test_augmentation_moves_a_picture_but_keeps_it(dimensions):
    """A centred disc or ball stays near the centre: shifts, turns and scalings are small."""
    context = Context()
    context.at(1, 0)
    axes = torch.meshgrid(*[torch.linspace(-1, 1, 32)] * dimensions, indexing="ij")
    disc = (sum(axis**2 for axis in axes) < 0.25).float() * 2 - 1
    moved = (augment_lightly(disc.expand(64, 1, *disc.shape), context) + 1) / 2
    weight = moved.flatten(1).sum(1)
    for axis in axes:
        assert ((moved.squeeze(1) * axis).flatten(1).sum(1) / weight).abs().max() < 0.2
    assert not torch.allclose(moved[0], moved[1])


def test_a_volume_is_turned_about_every_axis():
    """A rod along an axis leaves that axis' line in both planes that hold it, in one of many draws."""
    context = Context()
    context.at(1, 0)
    for axis in range(3):
        rod = torch.full((1, 1, 24, 24, 24), -1.0)
        rod[(0, 0, *[slice(None) if other == axis else slice(11, 13) for other in range(3)])] = 1.0
        moved = augment_lightly(rod.expand(32, 1, 24, 24, 24), context) + 1
        place = torch.linspace(-1, 1, 24)
        for other in {0, 1, 2} - {axis}:
            third = ({0, 1, 2} - {axis, other}).pop()
            plane = moved.sum(2 + third).squeeze(1)  # (N, two axes in their order)
            plane = plane if axis < other else plane.transpose(1, 2)
            ends = [(plane[:, at] * place).sum(1) / plane[:, at].sum(1) for at in (3, 20)]
            assert (ends[0] - ends[1]).abs().max() > 0.08


@pytest.mark.parametrize("num_steps", range(1, 9))
def test_few_steps_are_steps(num_steps):
    context = Context(seed=0)
    model = Classifier(Classifier.Config(num_steps=num_steps), shape=(1, 16, 16), num_classes=2, context=context)
    for step in range(num_steps):
        context.at(1, step)
        loss = model.train_step(torch.zeros(4, 1, 16, 16), torch.arange(4) % 2)["loss"]
        assert torch.isfinite(loss)
