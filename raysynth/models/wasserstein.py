"""The Wasserstein loss over the study's convolutional networks: what `wgan`, `wgan_gp` and `wcgan_gp` share."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from torch import Tensor, nn

from raysynth.models.adversarial import AdversarialFamily
from raysynth.models.discriminators import Critic, Normalisation
from raysynth.models.family import Figure, Metrics
from raysynth.models.generators import Generator, Upsampling
from raysynth.models.losses import wasserstein_estimate
from raysynth.models.per_class import PerClass


class WassersteinFamily(AdversarialFamily):
    """The critic estimates the Wasserstein-1 distance and the generator lowers it (Arjovsky et al. 2017).

    The critic must be kept from growing steep: how, is a subclass's business. Networks are given the label here.
    """

    metrics = (*AdversarialFamily.metrics, "wasserstein")
    curves = (
        *AdversarialFamily.curves,
        ("critic", "Wasserstein estimate and gradient penalty", ["wasserstein", "penalty"],
         "The estimate should fall slowly; a penalty should stay near zero, where gradient norms are 1."),
    )  # fmt: skip

    class Config(AdversarialFamily.Config):
        generator: Upsampling = Field(default="transposed", description="how the generator doubles its side")
        critic: Normalisation = Field(default="layernorm", description="what follows the critic's convolutions")
        dropout: float = Field(default=0.25, ge=0, lt=1, description="of the critic `dropout`")

    config: Config

    def build(self) -> tuple[nn.Module, nn.Module]:
        return self.build_pair(self.num_classes)

    def build_pair(self, num_classes: int | None) -> tuple[nn.Module, nn.Module]:
        """One generator and one critic; `num_classes` None: they are given no label."""
        config = self.config
        generator = Generator(
            latent_dim=config.latent_dim,
            num_classes=num_classes,
            shape=self.shape,
            width=config.width,
            upsampling=config.generator,
        )
        critic = Critic(
            num_classes=num_classes,
            shape=self.shape,
            width=config.width,
            normalisation=config.critic,
            dropout=config.dropout,
        )
        return generator, critic

    def critic_loss(self, images: Tensor, generated: Tensor, labels: Tensor) -> tuple[Tensor, Metrics]:
        real_scores, generated_scores = self.score_both(images, generated, labels)
        wasserstein = wasserstein_estimate(real_scores, generated_scores)
        return -wasserstein, {
            "d_loss": -wasserstein,
            "wasserstein": wasserstein,
            "critic_real": real_scores.mean(),
            "critic_generated": generated_scores.mean(),
        }

    def generator_loss(self, generated: Tensor, labels: Tensor) -> tuple[Tensor, Metrics]:
        return -self.score(generated, labels).mean(), {}


class WassersteinPerClass(WassersteinFamily):
    """Networks without labels: one generator and one critic a class, all trained in one run.

    Logs the critics' gradient norms by depth, and draws them and the critics' weights.
    """

    def build(self) -> tuple[nn.Module, nn.Module]:
        generators, critics = zip(*[self.build_pair(None) for _ in range(self.num_classes)], strict=True)
        return PerClass(generators), PerClass(critics)

    def validate(self, images: Tensor, labels: Tensor) -> Metrics:
        from raysynth.models.critic_figures import gradient_norms

        metrics = super().validate(images, labels)
        self.critic.eval()
        metrics |= gradient_norms(self.critic, images, labels)
        self.critic.train()
        return metrics

    @classmethod
    def figures(cls, run: Path) -> list[Figure]:
        from raysynth.models.critic_figures import draw_critic

        return [*super().figures(run), *draw_critic(run)]
