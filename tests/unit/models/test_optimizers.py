"""They are torch's to the bit, and leave its compiler where it is."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from raysynth.models import optimizers


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Adam", {"betas": (0.0, 0.9), "fused": True}),
        ("AdamW", {"weight_decay": 0.1, "fused": True}),
        ("RMSprop", {"alpha": 0.9}),
    ],
)
def test_they_are_torchs(name, options):
    """Stopped, saved and gone on with in the middle."""
    ends = []
    for module in (torch.optim, optimizers):
        weight = torch.nn.Parameter(torch.linspace(-1, 1, 7))
        optimizer = getattr(module, name)([weight], lr=0.1, **options)
        for step in range(6):
            if step == 3:
                state = optimizer.state_dict()
                optimizer = getattr(module, name)([weight], lr=0.5, **options)
                optimizer.load_state_dict(state)
            optimizer.zero_grad(set_to_none=True)
            (weight.sin().sum() * (step + 1)).backward()
            optimizer.step()
        ends.append(weight.detach())
        assert isinstance(optimizer, torch.optim.Optimizer)
    assert torch.equal(*ends)


def test_the_compiler_is_not_loaded():
    code = """
import sys, torch
from raysynth.models.optimizers import Adam
weight = torch.nn.Parameter(torch.ones(2))
optimizer = Adam([weight], fused=True)
for _ in range(2):
    optimizer.zero_grad()
    weight.sum().backward()
    optimizer.step()
optimizer.load_state_dict(optimizer.state_dict())
print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
