"""Fit one classifier with the training loop that every family uses, and keep its weights in a file.

There are two: `cnn`, small and trained from nothing, and `transfer`, pre-trained on ImageNet.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from raysynth.data.batches import Batches, in_order
from raysynth.data.buckets import BucketPath
from raysynth.data.locations import Location
from raysynth.files import replacing
from raysynth.models.blocks import lay_out
from raysynth.models.classifier import Classifier, ClassifierNetwork
from raysynth.models.context import Context, hash_seed
from raysynth.models.transfer_classifier import TransferClassifier, TransferNetwork
from raysynth.training.loop import Recorder, run_epochs, validate

FILE_FORMAT = 2
CLASSIFIERS: dict[str, type[Classifier] | type[TransferClassifier]] = {
    "cnn": Classifier,
    "transfer": TransferClassifier,
}
AnyClassifier = Classifier | TransferClassifier
AnyNetwork = ClassifierNetwork | TransferNetwork
SCORING_BATCH_SIZE = 256  # images, or as many volumes of 16 voxels a side
SCORING_VOXELS = 2**20  # of the volumes in a batch, which would fill the memory otherwise


@dataclass(frozen=True)
class Fitted:
    """A fitted classifier; `validation_accuracy` is None where no validation images were given."""

    model: AnyClassifier
    seconds: float
    validation_accuracy: float | None


class FixedSteps(Batches):
    """Batches that end after `total_steps` steps in all, in the middle of the last epoch if need be."""

    def __init__(
        self, images: np.ndarray, labels: np.ndarray, *, total_steps: int, batch_size: int, context: Context
    ) -> None:
        super().__init__(images, labels, batch_size=batch_size, context=context)
        self.total_steps = total_steps

    @property
    def num_epochs(self) -> int:
        """Epochs, the last one perhaps shorter than the others."""
        return -(-self.total_steps // self.num_steps)

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        return islice(super().epoch(epoch), self.total_steps - (epoch - 1) * self.num_steps)


class SoftLabels(FixedSteps):
    """Batches whose labels are drawn from probabilities (N, K), anew each time an image is seen.

    The mean of the loss over the draws is the cross-entropy with the probabilities themselves: distillation (Hinton et
    al. 2015, at temperature 1) without another loss.
    """

    def __init__(
        self, images: np.ndarray, probabilities: np.ndarray, *, total_steps: int, batch_size: int, context: Context
    ) -> None:
        places = np.arange(len(images))
        super().__init__(images, places, total_steps=total_steps, batch_size=batch_size, context=context)
        self.probabilities = torch.from_numpy(probabilities).double()

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(hash_seed(self.context.seed, epoch, "soft labels"))
        for images, places in super().epoch(epoch):
            drawn = torch.multinomial(self.probabilities[places.cpu()], 1, generator=generator)[:, 0]
            yield images, drawn.to(images.device)


def fit_classifier(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    config: Classifier.Config | TransferClassifier.Config,
    num_classes: int,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    device: str = "cpu",
    recorder: Recorder | None = None,
) -> Fitted:
    """Train for `config.num_steps` steps on images (N, C, H, W), or volumes (N, C, D, H, W), uint8 with labels (N,), or
    with soft ones, probabilities (N, num_classes).

    The config says which classifier; `recorder` keeps checkpoints, from which a stopped training goes on. Raises
    TrainingStopped when the loss is not finite, and UserError for images that the classifier cannot take.
    """
    started = time.perf_counter()
    context = Context(seed=config.seed, device=torch.device(device))
    model = CLASSIFIERS[
        classifier_of(config)
    ](
        config,  # type: ignore[arg-type]
        shape=images.shape[1:],
        num_classes=num_classes,
        context=context,
    )
    kind = SoftLabels if labels.ndim == 2 else FixedSteps
    batches = kind(images, labels, total_steps=config.num_steps, batch_size=config.batch_size, context=context)
    run_epochs(model, batches, context=context, num_epochs=batches.num_epochs, recorder=recorder)
    accuracy = None
    if validation is not None and len(validation[0]):
        # Once, after the last epoch: nothing is chosen by it while training.
        found = validate(model, validation, batch_size=scoring_batch_size(images.shape[1:]), context=context)
        accuracy = found["validation_accuracy"]
    return Fitted(model, time.perf_counter() - started, accuracy)


def classifier_of(config: Classifier.Config | TransferClassifier.Config) -> str:
    """The name of the classifier that a config belongs to."""
    return next(name for name, kind in CLASSIFIERS.items() if type(config) is kind.Config)


def save_classifier(
    path: Location, model: AnyClassifier, classes: Sequence[str], results: dict[str, float | None] | None = None
) -> None:
    """Write weights and what is needed to build the network again, with `results` of the training if there are any.

    The file appears complete or not at all.
    """
    content = {
        "format": FILE_FORMAT,
        "classifier": classifier_of(model.config),
        "config": model.config.model_dump(mode="json"),
        "shape": list(model.shape),
        "classes": list(classes),
        "network": {name: tensor.cpu() for name, tensor in model.network.state_dict().items()},
        "results": results or {},
    }
    if isinstance(path, Path):
        with replacing(path) as file:
            torch.save(content, file)
    else:
        stream = io.BytesIO()
        torch.save(content, stream)
        path.write_bytes(stream.getvalue())


def load_network(path: Location, device: str = "cpu") -> AnyNetwork:
    """The network of a file of `save_classifier`, ready for predictions.

    Raises ValueError for another format, and whatever torch raises for a broken file.
    """
    content = read_classifier(path, device)
    shape, num_classes = tuple(content["shape"]), len(content["classes"])
    config = CLASSIFIERS[content["classifier"]].Config(**content["config"])
    network: AnyNetwork
    if isinstance(config, TransferClassifier.Config):
        network = TransferNetwork(config, num_classes, pretrained=False)
    else:
        network = ClassifierNetwork(shape, num_classes, tuple(config.widths), config.dropout)
    network.load_state_dict(content["network"])
    return lay_out(network.to(device), len(shape) - 1).eval().requires_grad_(False)


def read_classifier(path: Location, device: str = "cpu") -> dict[str, Any]:
    """The content of a file of `save_classifier`; raises what `load_network` does."""
    source = io.BytesIO(path.read_bytes()) if isinstance(path, BucketPath) else path
    content: dict[str, Any] = torch.load(source, map_location=device, weights_only=True)
    if content.get("format") != FILE_FORMAT:
        raise ValueError(f"classifier format {content.get('format')}, this version reads {FILE_FORMAT}")
    return content


@torch.no_grad()
def predict_probabilities(network: AnyNetwork, images: np.ndarray) -> np.ndarray:
    """Probabilities (N, num_classes) float32 of images (N, C, H, W), or volumes (N, C, D, H, W), uint8."""
    device = next(network.parameters()).device
    labels, batch_size = np.zeros(len(images), np.int64), scoring_batch_size(images.shape[1:])
    parts = [
        network(batch).float().softmax(dim=1).cpu().numpy()
        for batch, _ in in_order(images, labels, batch_size=batch_size, device=device)
    ]
    return np.concatenate([np.zeros((0, network.head.out_features), np.float32), *parts])


def scoring_batch_size(shape: tuple[int, ...]) -> int:
    """Images (C, H, W), or volumes (C, D, H, W), that are scored at a time."""
    return (
        SCORING_BATCH_SIZE if len(shape) == 3 else max(1, min(SCORING_BATCH_SIZE, SCORING_VOXELS // math.prod(shape)))
    )


@contextmanager
def limited_threads(num_threads: int | None) -> Iterator[None]:
    """Let torch use so many CPU threads inside; None changes nothing."""
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
