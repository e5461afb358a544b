import numpy as np
import pytest
import torch

from raysynth.errors import UserError
from raysynth.evaluation.fit import (
    fit_classifier,
    limited_threads,
    load_network,
    predict_probabilities,
    save_classifier,
)
from raysynth.models.context import Context
from raysynth.models.transfer_classifier import FINE_TUNING, HEAD, TransferClassifier

SHAPE = (1, 24, 24)


@pytest.fixture(scope="module")
def data():
    """Stripes along and across."""
    rng = np.random.default_rng(0)
    labels = np.arange(32) % 2
    images = rng.integers(0, 120, (32, *SHAPE), dtype=np.uint8)
    images[labels == 0, :, ::4] += 120
    images[labels == 1, :, :, ::4] += 120
    return images, labels


def build(**options) -> TransferClassifier:
    context = Context(seed=0, num_epochs=4, steps_per_epoch=2)
    config = TransferClassifier.Config(**{"input_size": 64, "batch_size": 8, "head_share": 0.5, **options})
    return TransferClassifier(config, shape=SHAPE, num_classes=2, context=context)


def test_the_head_learns_first_and_then_all_at_a_lower_rate():
    model = build()
    phases = model.phases(4)
    assert [(phase.name, phase.num_epochs) for phase in phases] == [(HEAD, 2), (FINE_TUNING, 2)]
    images, labels = torch.rand(8, *SHAPE) * 2 - 1, torch.arange(8) % 2

    def step(epoch: int) -> tuple[dict, dict]:
        before = {name: value.clone() for name, value in model.network.state_dict().items()}
        model.context.at(epoch, 1)
        model.train_step(images, labels)
        return before, model.network.state_dict()

    model.start_phase(phases[0])
    before, after = step(1)
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert changed == {"head.weight", "head.bias"}
    rate = model.optimizer.param_groups[0]["lr"]

    model.start_phase(phases[1])
    before, after = step(3)
    assert not torch.equal(before["backbone.body._conv_stem.weight"], after["backbone.body._conv_stem.weight"])
    assert 0 < model.optimizer.param_groups[0]["lr"] < rate


def test_normalisation_soon_goes_by_the_images_at_hand():
    """After twenty steps little is left of the pre-training's statistics, as a network that is to be judged needs."""
    model = build(learning_rate=1e-12, head_rate=1e-12, augment=False, weight_decay=0.0)
    model.start_phase(model.phases(4)[1])
    images, labels = torch.rand(8, *SHAPE) * 2 - 1, torch.arange(8) % 2
    norm = model.network.backbone.body._bn0
    seen: list[torch.Tensor] = []
    norm.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].detach().mean((0, 2, 3))))
    before = norm.running_mean.clone()
    for step in range(20):
        model.context.at(3, step)
        model.train_step(images, labels)
    assert (norm.running_mean - seen[-1]).norm() < 0.15 * (before - seen[-1]).norm()


def test_features_of_the_head_are_computed_once(monkeypatch):
    model = build()
    model.start_phase(model.phases(4)[0])
    seen: list[int] = []
    features = model.network.features
    monkeypatch.setattr(model.network, "features", lambda images: seen.append(len(images)) or features(images))
    images, labels = torch.rand(8, *SHAPE) * 2 - 1, torch.arange(8) % 2
    for epoch, rows in ((1, slice(0, 6)), (2, slice(2, 8))):
        model.context.at(epoch, 0)
        model.train_step(images[rows], labels[rows])
    assert seen == [6, 2]


def test_it_learns_and_survives_its_file(data, tmp_path):
    images, labels = data
    config = TransferClassifier.Config(input_size=64, batch_size=16, num_steps=16, head_share=0.5, seed=1)
    with limited_threads(1):
        fitted = fit_classifier(images, labels, config=config, num_classes=2, validation=(images, labels))
        assert fitted.validation_accuracy > 0.9
        save_classifier(tmp_path / "w.pt", fitted.model, ["a", "b"], {"seconds": 1.0})
        fitted.model.network.eval()
        wanted = predict_probabilities(fitted.model.network, images)
        found = predict_probabilities(load_network(tmp_path / "w.pt"), images)
    assert np.allclose(found, wanted, atol=1e-6)


def test_what_it_cannot_take_is_named():
    config = TransferClassifier.Config(input_size=64)
    for shape in ((2, 24, 24), (1, 8, 8, 8)):
        with pytest.raises(UserError, match="--classifier transfer: takes grey or colour images"):
            TransferClassifier(config, shape=shape, num_classes=2, context=Context())
    with pytest.raises(UserError, match="--epochs 1: --classifier transfer has two phases"):
        build().phases(1)
