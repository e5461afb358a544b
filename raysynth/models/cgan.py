"""cGAN: a conditional GAN with binary cross-entropy, as unstable as the study found it."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from raysynth.models.convolutional import ConvolutionalFamily
from raysynth.models.discriminators import Normalisation
from raysynth.models.family import Metrics
from raysynth.models.losses import cross_entropy_of_generated, cross_entropy_of_scores
from raysynth.models.registry import register


@register
class CGAN(ConvolutionalFamily):
    """Mirza & Osindero 2014 in the form of DCGAN (Radford et al. 2016), with the non-saturating loss.

    The critic is a discriminator: its scores are logits of "real". Its accuracy on real and on generated images is
    logged, the study's picture of a training that does not converge: both near 1, it has won and teaches nothing.
    """

    summary = "conditional GAN with binary cross-entropy (DCGAN-like), its discriminator's accuracy logged"
    metrics = (*ConvolutionalFamily.metrics, "accuracy_real", "accuracy_generated")
    critic_gap = ("accuracy_real", "accuracy_generated")
    curves = (
        ("accuracy", "Accuracy of the discriminator", ["accuracy_real", "accuracy_generated"],
         "Share of real and of generated training images that it told right. At equilibrium it guesses: 0.5. Near 1 it "
         "has won and the generator learns little; swings are the failure to converge. Label smoothing makes it less "
         "sure of real images, and so moves the balance of the two."),
        *ConvolutionalFamily.curves,
    )  # fmt: skip

    class Config(ConvolutionalFamily.Config):
        critic: Normalisation = Field(default="dropout", description="what follows the critic's convolutions")
        spectral_norm: bool = Field(default=False, description="spectral normalisation of the critic's weights")
        label_smoothing: float = Field(
            default=0.0, ge=0, lt=0.5, description="taken off the target 1 of real images, not added to generated ones'"
        )
        n_critic: int = Field(default=1, gt=0, description="critic steps to one generator step")
        generator_learning_rate: float = Field(default=2e-4, gt=0, description="Adam's, for the generator")
        critic_learning_rate: float = Field(default=2e-4, gt=0, description="Adam's, for the critic")
        beta2: float = Field(default=0.999, ge=0, lt=1, description="Adam's second moment")

    config: Config

    def build(self) -> tuple[nn.Module, nn.Module]:
        return self.build_pair(self.num_classes, spectral_norm=self.config.spectral_norm)

    def critic_loss(self, images: Tensor, generated: Tensor, labels: Tensor) -> tuple[Tensor, Metrics]:
        real_scores, generated_scores = self.score_both(images, generated, labels)
        loss = cross_entropy_of_scores(real_scores, generated_scores, real_target=1 - self.config.label_smoothing)
        return loss, {
            "d_loss": loss,
            "critic_real": real_scores.mean(),
            "critic_generated": generated_scores.mean(),
            "accuracy_real": (real_scores > 0).float().mean(),
            "accuracy_generated": (generated_scores < 0).float().mean(),
        }

    def generator_loss(self, generated: Tensor, labels: Tensor) -> tuple[Tensor, Metrics]:
        return cross_entropy_of_generated(self.score(generated, labels)), {}
