"""Transfer CVAE: a conditional autoencoder that begins with the layers of one pre-trained on other images."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from torch import nn

from raysynth.errors import UserError
from raysynth.models.context import Context
from raysynth.models.denoising_vae import DenoisingVAE, StackedFamily
from raysynth.models.family import Phase
from raysynth.models.registry import register
from raysynth.models.stacks import Block

FROZEN, UNFROZEN = "frozen", "unfrozen"


@register
class TransferCVAE(StackedFamily):
    """The study's transfer: the architecture of the run `pretrained` of `denoising_vae`, but for the layers that take
    the label or another number of channels. Every tensor of the same name and shape is loaded. In the first phase the
    convolutional blocks that were loaded stay as they are, their normalisation too; in the second, at a lower rate,
    all learn.
    """

    summary = "CVAE on the layers of a pre-trained denoising_vae (--set pretrained=RUN): frozen, then unfrozen"
    labelled = True

    class Config(StackedFamily.Config):
        pretrained: str = Field(default="", description="run folder of a trained denoising_vae")
        frozen_share: float = Field(
            default=0.75, gt=0, lt=1, description="share of the epochs with frozen convolutions; the study's: 30 of 40"
        )
        unfrozen_rate: float = Field(
            default=0.1, gt=0, le=1, description="learning rate of the unfrozen phase, as a share of the first's"
        )

    config: Config

    def __init__(self, config: Config, *, shape: tuple[int, ...], num_classes: int, context: Context) -> None:
        from raysynth.training.pretrained import load_pretrained

        source = load_pretrained(config.pretrained, context)
        if not isinstance(source, DenoisingVAE):
            raise UserError(f"--set pretrained={config.pretrained}: a run of {source.name}; want one of denoising_vae")
        if source.shape[1:] != shape[1:]:
            raise UserError(
                f"--set pretrained={config.pretrained}: trained on {source.shape[-1]} pixels a side, --data have "
                f"{shape[-1]}; import one of them again with the other's --size"
            )
        self.stack, self.phase = source.config, ""
        super().__init__(config, shape=shape, num_classes=num_classes, context=context)
        self.loaded = self._take(source.average.network)
        self.average.network.load_state_dict(self.network.state_dict())

    def _take(self, source: nn.Module) -> list[str]:
        """Load what fits of a network; the names of what did."""
        own, theirs = self.network.state_dict(), source.state_dict()
        fits = {name: value for name, value in theirs.items() if name in own and own[name].shape == value.shape}
        self.network.load_state_dict({**own, **fits})
        return list(fits)

    def notes(self) -> list[str]:
        own = self.network.state_dict()
        fresh = [name for name in own if name not in self.loaded]
        numbers = sum(own[name].numel() for name in self.loaded) / sum(value.numel() for value in own.values())
        return [
            f"loaded from {self.config.pretrained}: {len(self.loaded)} of {len(own)} tensors, {numbers:.0%} of all "
            f"numbers: {_ranges(self.loaded)}",
            f"new: {', '.join(fresh) or 'nothing'}",
        ]

    def phases(self, num_epochs: int) -> list[Phase]:
        if num_epochs < 2:
            raise UserError(f"--epochs {num_epochs}: {self.name} has two phases; want 2 or more, e.g. the study's 40")
        num_frozen = min(max(1, round(self.config.frozen_share * num_epochs)), num_epochs - 1)
        return [Phase(FROZEN, num_frozen), Phase(UNFROZEN, num_epochs - num_frozen)]

    def start_phase(self, phase: Phase) -> None:
        self.phase = phase.name
        frozen = phase.name == FROZEN
        for name, module in self.network.named_modules():
            # A block that could not be loaded, for its images have other channels, has to learn from the start.
            if isinstance(module, Block) and all(f"{name}.{key}" in self.loaded for key in module.state_dict()):
                module.train(not frozen).requires_grad_(not frozen)
        self.encoder.forget()
        self.decoder.forget()
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * (1.0 if frozen else self.config.unfrozen_rate)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "phase": self.phase}


def _ranges(names: list[str]) -> str:
    """The parts that tensors belong to, e.g. `encoder.stages, decoder.to_image`."""
    return ", ".join(dict.fromkeys(".".join(name.split(".")[:2]) for name in names)) or "nothing"
