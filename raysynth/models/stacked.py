"""What autoencoders of deep stacks share: the networks, and the number of their latents."""

from __future__ import annotations

from raysynth.models.autoencoding import EncoderDecoder
from raysynth.models.stacks import StackConfig, StackDecoder, StackEncoder, StackSizes
from raysynth.models.variational import VariationalFamily


class StackedFamily(VariationalFamily):
    """A variational autoencoder of two stacks. A subclass sets `stack` and `labelled` before it builds."""

    stack: StackConfig

    @property
    def num_latents(self) -> int:
        """Those that were asked for and, with skip links, what is handed over."""
        return self.stack.latent_dim + sum(StackSizes(self.stack, self.shape).num_skips)

    def build(self) -> EncoderDecoder:
        num_classes = self.num_classes if self.labelled else None
        return EncoderDecoder(
            StackEncoder(self.stack, shape=self.shape, num_classes=num_classes),
            StackDecoder(self.stack, shape=self.shape, num_classes=num_classes),
        )
