"""What all adversarial families share: a generator, a critic, and the two steps in which they learn from each other."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from raysynth.models.blocks import BatchNorm, lay_out
from raysynth.models.context import Context, seeded_normal
from raysynth.models.ema import MovingAverage
from raysynth.models.family import Curve, Family, Metrics
from raysynth.models.optimizers import Adam


class AdversarialFamily(Family):
    """A generator and a critic. A subclass builds both and says what each minimises; nothing else is needed.

    Every step the critic learns from one batch; after every `n_critic`-th critic step the generator learns too, from
    fresh latents. Samples are drawn from an average of the generator's weights.
    """

    metrics = (*Family.metrics, "d_loss", "g_loss", "critic_real", "critic_generated", "critic_validation")
    critic_gap = ("critic_real", "critic_generated")
    curves: ClassVar[tuple[Curve, ...]] = (
        ("losses", "Losses of critic and generator", ["d_loss", "g_loss"],
         "Mean per epoch. Neither tells how good the images are: they are shown to see a training diverge."),
        ("scores", "Critic's scores", ["critic_real", "critic_generated", "critic_validation"],
         "Validation images scored ever further below training images: the critic knows those by heart. Training "
         "scores are means over the epoch of what the critic saw (augmented, in a batch): levels alone mean little."),
    )  # fmt: skip

    class Config(Family.Config):
        """The options of every adversarial family."""

        batch_size: int = Field(default=32, gt=0, description="images in a step, over all workers")
        latent_dim: int = Field(default=64, gt=0, description="numbers in a latent vector")
        width: int = Field(default=16, gt=0, description="channels at the largest side; doubled at each halving")
        n_critic: int = Field(default=5, gt=0, description="critic steps to one generator step")
        generator_learning_rate: float = Field(default=1e-3, gt=0, description="Adam's, for the generator")
        critic_learning_rate: float = Field(default=1e-3, gt=0, description="Adam's, for the critic")
        beta1: float = Field(default=0.5, ge=0, lt=1, description="Adam's first moment")
        beta2: float = Field(default=0.9, ge=0, lt=1, description="Adam's second moment")
        ema_decay: float = Field(default=0.995, ge=0, lt=1, description="of the generator's average, per update")

    config: Config

    def __init__(self, config: Config, *, shape: tuple[int, ...], num_classes: int, context: Context) -> None:
        super().__init__(config, shape=shape, num_classes=num_classes, context=context)
        torch.manual_seed(context.seed)  # the same initial weights on every worker
        generator, critic = self.build()
        self.generator, self.critic = (
            lay_out(network.to(context.device), self.num_dims) for network in (generator, critic)
        )
        self.generator_optimizer, self.critic_optimizer = self.build_optimizers()
        self.average = MovingAverage(self.generator, config.ema_decay)
        self.num_critic_steps = 0
        self._critic_mixes_rows = any(isinstance(module, BatchNorm) for module in self.critic.modules())

    @abstractmethod
    def build(self) -> tuple[nn.Module, nn.Module]:
        """A generator and a critic.

        They map (latents (N, latent_dim), labels (N,)) to images, which samples clip to [-1, 1], and (images, labels
        (N,)) to scores (N,).
        """

    @abstractmethod
    def critic_loss(self, images: Tensor, generated: Tensor, labels: Tensor) -> tuple[Tensor, Metrics]:
        """What the critic minimises, a mean over this worker's rows, and what to log of it.

        `generated` are images of the same labels as the real `images`, without a gradient.
        """

    @abstractmethod
    def generator_loss(self, generated: Tensor, labels: Tensor) -> tuple[Tensor, Metrics]:
        """What the generator minimises, a mean over this worker's rows, and what to log besides `g_loss`.

        `generated` carries the generator's gradient; the critic's parameters have none here.
        """

    def build_optimizers(self) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
        """The generator's and the critic's: Adam unless a family says otherwise (fused: 1.05 times the images/s)."""
        config, betas = self.config, (self.config.beta1, self.config.beta2)
        return (
            Adam(self.generator.parameters(), lr=config.generator_learning_rate, betas=betas, fused=True),
            Adam(self.critic.parameters(), lr=config.critic_learning_rate, betas=betas, fused=True),
        )

    def start_step(self) -> None:
        """Called before each step: schedules, as functions of `context.progress`, live here."""

    def after_critic_step(self) -> Metrics:
        """Called when the critic has moved; what to log of it."""
        return {}

    def train_step(self, images: Tensor, labels: Tensor) -> Metrics:
        self.start_step()
        metrics = self._critic_step(images, labels)
        self.num_critic_steps += 1
        if self.num_critic_steps % self.config.n_critic == 0:
            metrics |= self._generator_step(labels)
        return {name: torch.as_tensor(value).detach() for name, value in metrics.items()}

    def _critic_step(self, images: Tensor, labels: Tensor) -> Metrics:
        with torch.no_grad():
            generated = self.generate("critic latents", labels)
        loss, metrics = self.critic_loss(images, generated, labels)
        self.context.step_optimizer(loss, self.critic_optimizer)
        return metrics | self.after_critic_step()

    def _generator_step(self, labels: Tensor) -> Metrics:
        self.critic.requires_grad_(False)  # its gradients would be computed and thrown away
        generated = self.generate("generator latents", labels)
        loss, metrics = self.generator_loss(generated, labels)
        self.context.step_optimizer(loss, self.generator_optimizer)
        self.critic.requires_grad_(True)
        self.average.update(self.generator)
        return {"g_loss": loss, **metrics}

    def generate(self, name: str, labels: Tensor) -> Tensor:
        """Images of `labels` from fresh latents, drawn under `name`, by the generator that learns."""
        latents = self.context.normal(name, len(labels), self.config.latent_dim)
        with self.context.autocast():
            images: Tensor = self.generator(latents, labels)
        return images.float()

    def score(self, images: Tensor, labels: Tensor) -> Tensor:
        """The critic's scores (N,), float32."""
        with self.context.autocast():
            scores: Tensor = self.critic(images, labels)
        return scores.float()

    def score_both(self, images: Tensor, generated: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (N,) of real and of generated images of the same labels.

        In one pass, which is quicker, unless the critic normalises over the batch: real and generated images must
        not share their statistics there.
        """
        if self._critic_mixes_rows:
            return self.score(images, labels), self.score(generated, labels)
        real, fake = self.score(torch.cat([images, generated]), torch.cat([labels, labels])).chunk(2)
        return real, fake

    @torch.no_grad()
    def validate(self, images: Tensor, labels: Tensor) -> Metrics:
        """The critic's score of validation images; far below that of training images, it has learnt them by heart."""
        self.critic.eval()
        scores = self.score(images, labels)
        self.critic.train()
        return {"critic_validation": scores.mean()}

    @torch.no_grad()
    def sample(self, labels: Tensor, seeds: Tensor) -> Tensor:
        latents = seeded_normal(seeds, self.config.latent_dim).to(self.context.device)
        images: Tensor = self.average.network(latents, labels.to(self.context.device))
        return images.clamp(-1, 1)

    def state_dict(self) -> dict[str, Any]:
        return {
            "generator": self.generator.state_dict(),
            "critic": self.critic.state_dict(),
            "average": self.average.state_dict(),
            "generator_optimizer": self.generator_optimizer.state_dict(),
            "critic_optimizer": self.critic_optimizer.state_dict(),
            "num_critic_steps": self.num_critic_steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.generator.load_state_dict(state["generator"])
        self.critic.load_state_dict(state["critic"])
        self.average.load_state_dict(state["average"])
        self.generator_optimizer.load_state_dict(state["generator_optimizer"])
        self.critic_optimizer.load_state_dict(state["critic_optimizer"])
        self.num_critic_steps = state["num_critic_steps"]
