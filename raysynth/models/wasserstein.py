"""The Wasserstein loss over the study's convolutional networks: what `wgan`, `wgan_gp` and `wcgan_gp` share."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from raysynth.models.convolutional import ConvolutionalFamily
from raysynth.models.family import Figure, Metrics
from raysynth.models.losses import wasserstein_estimate
from raysynth.models.per_class import PerClass


class WassersteinFamily(ConvolutionalFamily):
    """The critic estimates the Wasserstein-1 distance and the generator lowers it (Arjovsky et al. 2017).

    The critic must be kept from growing steep: how, is a subclass's business. Networks are given the label here.
    """

    metrics = (*ConvolutionalFamily.metrics, "wasserstein")
    curves = (
        *ConvolutionalFamily.curves,
        ("critic", "Wasserstein estimate and gradient penalty", ["wasserstein", "penalty"],
         "The estimate should fall slowly; a penalty should stay near zero, where gradient norms are 1."),
    )  # fmt: skip

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
