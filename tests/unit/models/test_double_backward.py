"""The layers of critics give torch's own numbers: outputs, gradients, and gradients of gradients."""

import pytest
import torch
from torch import nn

from raysynth.models.double_backward import Conv2d, LeakyReLU, leaky_relu
from raysynth.models.losses import gradient_penalty, zero_centred_penalty


def values(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("kernel_size", "stride", "padding"), [(4, 2, 1), (3, 1, 1), (1, 1, 0)])
def test_a_convolution_is_right_to_the_second_derivative(kernel_size, stride, padding, bias):
    layer = Conv2d(2, 3, kernel_size, stride, padding, bias=bias).double()
    images = values(2, 2, 6, 6).requires_grad_()

    def convolve(images, *parameters):
        named = dict(zip(("weight", "bias"), parameters, strict=False))
        return torch.func.functional_call(layer, named, (images,))

    inputs = (images, *layer.parameters())
    assert torch.autograd.gradcheck(convolve, inputs)
    assert torch.autograd.gradgradcheck(convolve, inputs)


def test_leaky_relu_is_right_to_the_second_derivative():
    assert torch.equal(leaky_relu(torch.tensor([-5.0, 0.0, 2.0])), torch.tensor([-1.0, 0.0, 2.0]))
    features = values(4, 5).requires_grad_()
    assert torch.autograd.gradcheck(leaky_relu, (features,))
    assert torch.autograd.gradgradcheck(leaky_relu, (features,))


def critic(convolution: type[nn.Conv2d], activation: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [convolution(1, 4, 4, 2, 1), activation, convolution(4, 4, 3, 1, 1, bias=False), activation]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 1), nn.Flatten(0)).double()


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("kind", ["gradient penalty", "R1"])
def test_a_penalty_has_the_gradients_of_torchs_own_layers(kind, memory_format):
    gradients = []
    for convolution, activation in ((nn.Conv2d, nn.LeakyReLU(0.2)), (Conv2d, LeakyReLU())):
        network = critic(convolution, activation).to(memory_format=memory_format)
        real, generated = values(3, 1, 8, 8).requires_grad_(), values(1, 3, 8, 8).transpose(0, 1)
        scores = network(real)
        if kind == "R1":
            penalty = zero_centred_penalty(scores, real)
        else:
            penalty = gradient_penalty(network, real, generated, torch.tensor([0.1, 0.5, 0.8]).double())
        (penalty + scores.mean()).backward()
        gradients.append([real.grad, *(parameter.grad for parameter in network.parameters())])
    for expected, ours in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, expected)


def test_the_penalty_sends_nothing_back_before_an_activation():
    """torch's own sends zeros there: the time that these layers save."""
    images, visited = values(2, 1, 8, 8).requires_grad_(), []
    network = critic(Conv2d, LeakyReLU())
    hidden = network[0](images)
    hidden.register_hook(lambda gradient: visited.append(gradient))
    (gradient,) = torch.autograd.grad(network[1:](hidden).sum(), images, create_graph=True)
    assert len(visited) == 1
    gradient.square().sum().backward()
    assert len(visited) == 1
    assert network[0].weight.grad.abs().sum() > 0


def test_a_frozen_convolution_passes_its_input_gradient_on():
    layer, images = Conv2d(1, 2, 3, 1, 1).double().requires_grad_(False), values(1, 1, 4, 4).requires_grad_()
    layer(images).square().sum().backward()
    assert images.grad.abs().sum() > 0
    assert layer.weight.grad is None
    assert torch.autograd.gradgradcheck(lambda images: leaky_relu(layer(images)).square(), (images,))


def test_autocast_reaches_the_convolution():
    layer, images = Conv2d(1, 2, 3, 1, 1), torch.randn(1, 1, 4, 4, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(images)
    assert out.dtype == torch.bfloat16
    out.float().sum().backward()
    assert layer.weight.grad.dtype == images.grad.dtype == torch.float32
