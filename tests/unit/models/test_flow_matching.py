"""Flow matching against closed forms."""

from __future__ import annotations

import pytest
import torch

from raysynth.config import build_config
from raysynth.errors import UserError
from raysynth.models.context import Context
from raysynth.models.flow_matching import embed_times, integrate, training_errors, validation_errors
from raysynth.models.registry import get_family


def exact_velocity(mean: float, deviation: float):
    """The velocity of the lines from N(0, 1) to N(mean, deviation^2): linear in the point."""

    def velocity(points, times, labels):
        t = times.view(-1, 1)
        variance = (1 - t) ** 2 + t**2 * deviation**2
        slope = (t * deviation**2 - (1 - t)) / variance
        return mean + slope * (points - t * mean)

    return velocity


def test_the_exact_velocity_carries_noise_to_the_data():
    noise = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0))
    data = integrate(exact_velocity(3.0, 0.5), noise, torch.zeros(len(noise)), num_steps=40, guidance=1, unlabelled=1)
    assert data.mean().item() == pytest.approx(3.0, abs=0.02)
    assert data.std().item() == pytest.approx(0.5, rel=0.02)
    assert torch.allclose(data, 3 + 0.5 * noise, atol=0.02)  # between Gaussians the way keeps the order


def test_steps_of_half_the_length_have_a_quarter_of_the_error():
    noise = torch.linspace(-2, 2, 41).double()[:, None]

    def error(num_steps):
        velocity = exact_velocity(3.0, 0.5)
        data = integrate(velocity, noise, torch.zeros(41), num_steps=num_steps, guidance=1, unlabelled=1)
        return (data - (3 + 0.5 * noise)).abs().max().item()

    for num_steps in (40, 80):
        assert error(num_steps) / error(2 * num_steps) == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize("num_steps", [1, 2, 7])
def test_a_velocity_is_asked_for_once_a_step_and_never_of_what_is_clean(num_steps):
    asked: list[float] = []

    def velocity(points, times, labels):
        asked.append(times[0].item())
        return torch.ones_like(points)

    data = integrate(velocity, torch.zeros(2, 3), torch.zeros(2), num_steps=num_steps, guidance=1, unlabelled=1)
    assert torch.allclose(data, torch.ones(2, 3))
    assert len(asked) == num_steps + (num_steps > 1)
    assert max(asked) == pytest.approx((num_steps - 1) / num_steps)


def test_the_exact_velocity_has_the_least_error():
    generator = torch.Generator().manual_seed(0)
    data = 3 + 0.5 * torch.randn(20_000, 1, generator=generator)
    labels = torch.zeros(len(data), dtype=torch.long)

    def error(mean, deviation):
        velocity = exact_velocity(mean, deviation)
        return training_errors(velocity, data, labels, Context(), label_drop=0, unlabelled=1).mean().item()

    best = error(3.0, 0.5)
    assert all(error(*other) > best for other in ((2.8, 0.5), (3.2, 0.5), (3.0, 0.4), (3.0, 0.6)))


def test_guidance_goes_further_from_what_has_no_label():
    def velocity(points, times, labels):
        return torch.where(labels[:, None] == 1, 0.0, 1.0).expand_as(points)

    noise, labels = torch.zeros(2, 3), torch.zeros(2, dtype=torch.long)
    for guidance in (0.0, 1.0, 2.5):
        data = integrate(velocity, noise, labels, num_steps=4, guidance=guidance, unlabelled=1)
        assert torch.allclose(data, torch.full((2, 3), guidance))


def test_labels_are_dropped_as_often_as_asked():
    seen = []

    def velocity(points, times, labels):
        seen.append(labels)
        assert (times > 0).all()
        assert (times < 1).all()
        return points

    labels = torch.arange(10_000) % 3
    training_errors(velocity, torch.zeros(10_000, 2), labels, Context(), label_drop=0.2, unlabelled=3)
    assert (seen[0] == 3).float().mean().item() == pytest.approx(0.2, abs=0.02)
    assert ((seen[0] == 3) | (seen[0] == labels)).all()


def test_times_are_told_apart():
    embedded = embed_times(torch.linspace(0, 1, 11))
    assert embedded.shape == (11, 64)
    distances = torch.cdist(embedded, embedded) + 100 * torch.eye(11)
    assert distances.min() > 0.5


def test_errors_of_validation_depend_on_the_images_alone():
    data, labels, seeds = torch.randn(8, 3), torch.zeros(8, dtype=torch.long), torch.arange(8)
    velocity = exact_velocity(0.0, 1.0)
    errors = validation_errors(velocity, data, labels, seeds)
    torch.manual_seed(5)
    assert torch.allclose(validation_errors(velocity, data[3:5], labels[3:5], seeds[3:5]), errors[3:5])


@pytest.mark.parametrize("name", ["latent_flow", "pixel_diffusion"])
def test_guidance_without_dropped_labels_is_refused(name):
    config = get_family(name).Config
    with pytest.raises(UserError, match="label_drop"):
        build_config(config, {"label_drop": 0}, origin="--set")
    assert build_config(config, {"label_drop": 0, "guidance": 1}, origin="--set").label_drop == 0
