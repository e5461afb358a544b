from __future__ import annotations

import pytest
import torch

from raysynth.models.context import Context
from raysynth.models.diff_augment import diff_augment

KINDS = ("translation", "cutout", "brightness", "contrast")


def images(num_images: int = 64) -> torch.Tensor:
    return torch.rand(num_images, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 1.8 - 0.9


def test_nothing_is_changed_at_strength_zero() -> None:
    assert torch.equal(diff_augment(images(), Context(), "real", kinds=KINDS, strength=0.0), images())


@pytest.mark.parametrize("kind", KINDS)
def test_about_as_many_images_change_as_the_strength_says(kind: str) -> None:
    before = images(400)
    after = diff_augment(before, Context(), "real", kinds=[kind], strength=0.5)  # type: ignore[list-item]
    changed = (after != before).flatten(1).any(1).float().mean()
    assert 0.35 < changed < 0.6  # a shift by nothing, a hole outside the image leave an image as it was


def test_a_translated_image_is_the_same_pixels_elsewhere_and_black() -> None:
    before = images()
    after = diff_augment(before, Context(), "real", kinds=["translation"], strength=1.0)
    for old, new in zip(before[:, 0], after[:, 0], strict=True):
        found = [
            (down, right)
            for down in range(-2, 3)
            for right in range(-2, 3)
            if torch.equal(
                new[max(0, -down) : 16 - max(0, down), max(0, -right) : 16 - max(0, right)],
                old[max(0, down) : 16 + min(0, down), max(0, right) : 16 + min(0, right)],
            )
        ]
        assert len(found) == 1
        down, right = found[0]
        assert int((new == -1).sum()) == 256 - (16 - abs(down)) * (16 - abs(right))


def test_a_hole_is_grey_and_no_larger_than_half_the_side() -> None:
    before = images()
    after = diff_augment(before, Context(), "real", kinds=["cutout"], strength=1.0)
    holes = (after != before)[:, 0]
    assert bool((after[:, 0][holes] == 0).all())
    assert int(holes.flatten(1).sum(1).max()) == 64
    assert int(holes.any(1).sum(1).max()) <= 8


def test_contrast_keeps_the_mean_and_brightness_the_differences() -> None:
    before = images()
    stretched = diff_augment(before, Context(), "real", kinds=["contrast"], strength=1.0)
    assert torch.allclose(stretched.mean((1, 2, 3)), before.mean((1, 2, 3)), atol=1e-6)
    brightened = diff_augment(before, Context(), "real", kinds=["brightness"], strength=1.0)
    shift = brightened - before
    assert torch.allclose(shift, shift.mean((1, 2, 3), keepdim=True).expand_as(shift), atol=1e-6)
    assert float(shift.abs().max()) <= 0.25


def test_draws_depend_on_the_name_and_gradients_flow() -> None:
    before = images().requires_grad_()
    real = diff_augment(before, Context(), "real", kinds=KINDS, strength=0.8)
    assert torch.equal(real, diff_augment(before, Context(), "real", kinds=KINDS, strength=0.8))
    assert not torch.equal(real, diff_augment(before, Context(), "generated", kinds=KINDS, strength=0.8))
    (gradient,) = torch.autograd.grad(real.square().sum(), before)
    assert bool((gradient.flatten(1).abs().sum(1) > 0).all())
