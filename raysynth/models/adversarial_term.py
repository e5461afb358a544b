"""A critic that tells an image from its reconstruction, so that a decoder draws what errors of pixels let blur."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from raysynth.models.blocks import lay_out
from raysynth.models.context import Context, hash_seed
from raysynth.models.losses import relativistic_critic_loss, relativistic_generator_loss, zero_centred_penalty
from raysynth.models.optimizers import Adam
from raysynth.models.residual import ResidualCritic

WIDTH, LEARNING_RATE, PENALTY_WEIGHT, PENALTY_EVERY = 16, 1e-3, 0.5, 8  # as `r3gan` has them


class AdversarialTerm:
    """The relativistic loss of image and reconstruction, a natural pair, with R1 and R2 as in `r3gan`.

    Whoever uses it lets it come to count slowly: at first reconstructions are told at a glance.
    """

    def __init__(self, *, shape: tuple[int, ...], num_classes: int, context: Context) -> None:
        self.context = context
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(hash_seed(context.seed, "critic"))
            critic = ResidualCritic(num_classes=num_classes, shape=shape, width=WIDTH, num_blocks=1)
        self.critic = lay_out(critic.to(context.device), len(shape) - 1)
        self.optimizer = Adam(self.critic.parameters(), lr=LEARNING_RATE, betas=(0.0, 0.99), fused=True)
        self.num_steps = 0

    def learn(self, images: Tensor, reconstructions: Tensor, labels: Tensor) -> Tensor:
        """One step of the critic; its loss. Images (N, C, H, W) in [-1, 1]."""
        self.critic.requires_grad_(True)
        for group in self.optimizer.param_groups:
            group["lr"] = LEARNING_RATE * (1 - 0.9 * self.context.progress)
        with_penalty = self.num_steps % PENALTY_EVERY == 0
        seen = torch.cat([images, reconstructions.detach()]).requires_grad_(with_penalty)
        scores = self.critic(seen, torch.cat([labels, labels]))[0]
        self.real_scores, scores_of_drawn = scores.chunk(2)
        loss = relativistic_critic_loss(self.real_scores, scores_of_drawn)
        total = loss
        if with_penalty:
            total = loss + PENALTY_WEIGHT * PENALTY_EVERY * zero_centred_penalty(scores, seen)
        # The auxiliary classifier's weights belong to another family: here they get no gradient.
        self.context.step_optimizer(total, self.optimizer)
        self.real_scores = self.real_scores.detach()
        self.num_steps += 1
        return loss.detach()

    def loss(self, reconstructions: Tensor, labels: Tensor) -> Tensor:
        """What the decoder minimises, a mean, after `learn` of the same images."""
        self.critic.requires_grad_(False)
        scores = self.critic(reconstructions, labels)[0]
        return relativistic_generator_loss(self.real_scores, scores)

    def state_dict(self) -> dict[str, Any]:
        return {
            "critic": self.critic.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "num_steps": self.num_steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.critic.load_state_dict(state["critic"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.num_steps = state["num_steps"]
