"""The figures that compare weight clipping with the gradient penalty."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from raysynth.models.critic_figures import draw_critic, gradient_norms
from raysynth.models.discriminators import Critic
from raysynth.models.per_class import PerClass
from raysynth.training.checkpoints import save_checkpoint


def make_critic() -> Critic:
    return Critic(num_classes=None, shape=(1, 16, 16), width=4, normalisation="layernorm", dropout=0.0).eval()


def test_the_last_block_gradient_is_the_weight_of_the_dense_layer():
    """The score is w . h + b for the last block's output h, so its gradient there is w, whatever the image."""
    torch.manual_seed(0)
    critic = make_critic()
    norms = gradient_norms(critic, torch.rand(3, 1, 16, 16), torch.zeros(3, dtype=torch.long))
    assert list(norms) == ["critic_gradient_1", "critic_gradient_2"]
    assert float(norms["critic_gradient_2"]) == pytest.approx(float(critic.score.weight.detach().norm()), rel=1e-5)
    assert all(parameter.grad is None for parameter in critic.parameters())


def test_norms_of_classes_are_averaged_over_the_rows():
    torch.manual_seed(0)
    critics = [make_critic(), make_critic()]
    images, labels = torch.rand(5, 1, 16, 16), torch.tensor([1, 0, 1, 1, 0])
    together = gradient_norms(PerClass(critics), images, labels)
    for key, value in together.items():
        apart = [float(gradient_norms(critics[k], images[labels == k], labels)[key]) for k in (0, 1)]
        assert float(value) == pytest.approx((2 * apart[0] + 3 * apart[1]) / 5, rel=1e-5)


def test_a_run_shows_its_weights_and_its_gradients_on_a_log_scale(tmp_path):
    assert draw_critic(tmp_path) == []
    (tmp_path / "checkpoints").mkdir()
    critic = {"blocks.0.0.weight": torch.full((2, 1, 4, 4), 0.01), "blocks.0.0.bias": torch.full((2,), 9.0)}
    save_checkpoint(tmp_path / "checkpoints", 3, {"model": {"critic": critic}})
    table = {"epoch": [1, 2, 3], **{f"critic_gradient_{level}": [1e-4, 1e-2, 10.0**level] for level in range(1, 12)}}
    pd.DataFrame(table).to_csv(tmp_path / "metrics.csv", index=False)
    weights, gradients = draw_critic(tmp_path)
    assert weights.title.endswith("epoch 3")
    low, high = weights.figure.axes[0].get_xlim()
    assert low < 0.01 < high < 1  # a bias is no weight
    axes = gradients.figure.axes[0]
    assert axes.get_yscale() == "log"
    assert list(axes.lines[-1].get_xdata()) == list(range(1, 12))
    assert list(axes.lines[-1].get_ydata()) == pytest.approx([10.0**level for level in range(1, 12)])
    assert gradients.same_scale
