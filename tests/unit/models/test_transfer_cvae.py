"""What a transfer loads, freezes and lets learn."""

from __future__ import annotations

import pytest
import torch
from pretrained_runs import pretrained_overrides, pretrained_run

from raysynth.errors import UserError
from raysynth.models.context import Context
from raysynth.models.family import Phase
from raysynth.models.stacks import Block
from raysynth.models.transfer_cvae import TransferCVAE
from raysynth.training.pretrained import load_pretrained

SHAPE = (1, 16, 16)


def build(shape=SHAPE, of=SHAPE, **options) -> TransferCVAE:
    config = TransferCVAE.Config(**pretrained_overrides("transfer_cvae", of), **options)
    return TransferCVAE(config, shape=shape, num_classes=3, context=Context(num_epochs=4, steps_per_epoch=1))


def step(family: TransferCVAE) -> dict[str, bool]:
    """Whether a step changes each parameter and statistic."""
    before = {name: value.clone() for name, value in family.network.state_dict().items()}
    images = torch.rand(6, *family.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    family.context.at(1, 0)
    family.train_step(images, torch.arange(6) % 3)
    return {name: not torch.equal(value, before[name]) for name, value in family.network.state_dict().items()}


def in_blocks(family: TransferCVAE) -> set[str]:
    names = [name for name, module in family.network.named_modules() if isinstance(module, Block)]
    return {key for key in family.network.state_dict() if key.rsplit(".", 2)[0] in names}


def test_every_tensor_that_fits_is_loaded_and_the_rest_is_said_to_be_new():
    family = build()
    source = load_pretrained(family.config.pretrained, Context()).average.network.state_dict()
    own = family.network.state_dict()
    assert family.loaded
    assert all(torch.equal(own[name], source[name]) for name in family.loaded)
    fresh = set(own) - set(family.loaded)
    assert fresh == {"encoder.dense.weight", "decoder.dense.weight"}  # they take the label too
    assert own["encoder.dense.weight"].shape[1] == source["encoder.dense.weight"].shape[1] + 3
    loaded, new = family.notes()
    assert f"{len(family.loaded)} of {len(own)} tensors" in loaded
    assert "encoder.dense.weight" in new


def test_other_channels_make_new_inputs():
    family = build((3, 16, 16), SHAPE)
    assert {name for name in family.network.state_dict() if name not in family.loaded} == {
        "encoder.stages.0.0.convolution.weight",
        "encoder.dense.weight",
        "decoder.dense.weight",
        "decoder.to_image.weight",
        "decoder.to_image.bias",
    }


def test_frozen_convolutions_stay_and_unfrozen_ones_learn_more_slowly():
    family = build(learning_rate=0.01, unfrozen_rate=0.1)
    frozen, unfrozen = family.phases(40)
    family.start_phase(frozen)
    moved = step(family)
    assert in_blocks(family)
    assert not [name for name in in_blocks(family) if moved[name]]  # statistics of normalisation neither
    assert moved["encoder.dense.weight"]
    assert moved["decoder.to_image.weight"]
    assert family.optimizer.param_groups[0]["lr"] == 0.01
    assert family.state_dict()["phase"] == "frozen"
    family.start_phase(unfrozen)
    moved = step(family)
    assert all(moved[name] for name in in_blocks(family))
    assert family.optimizer.param_groups[0]["lr"] == pytest.approx(0.001)
    assert family.state_dict()["phase"] == "unfrozen"


def test_a_block_that_could_not_be_loaded_learns_from_the_start():
    family = build((3, 16, 16), SHAPE)
    family.start_phase(family.phases(4)[0])
    moved = step(family)
    first = {name for name in in_blocks(family) if name.startswith("encoder.stages.0.0.")}
    assert all(moved[name] for name in first)
    assert not [name for name in in_blocks(family) - first if moved[name]]


@pytest.mark.parametrize(("epochs", "wanted"), [(40, (30, 10)), (20, (15, 5)), (4, (3, 1)), (3, (2, 1)), (2, (1, 1))])
def test_phases_scale_with_the_epochs(epochs, wanted):
    assert build().phases(epochs) == [Phase("frozen", wanted[0]), Phase("unfrozen", wanted[1])]


def test_one_epoch_is_too_few():
    with pytest.raises(UserError, match=r"--epochs 1: .*two phases"):
        build().phases(1)


def test_what_cannot_be_started_from_is_refused():
    of_cvae = str(pretrained_run("latent_flow", SHAPE, 3))
    for run, problem in (
        ("", "missing"),
        ("/nowhere", "not a run"),
        (of_cvae, "a run of cvae; want one of denoising_vae"),
    ):
        config = TransferCVAE.Config(pretrained=run)
        with pytest.raises(UserError, match=problem):
            TransferCVAE(config, shape=SHAPE, num_classes=3, context=Context())
    with pytest.raises(UserError, match="16 pixels a side, --data have 32"):
        build((1, 32, 32), SHAPE)
