"""The clusters of `cluster.yaml`: as it stands, and with one of its commented blocks in the place of the first."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

CLUSTER_YAML = Path(__file__).parents[1] / "cluster.yaml"
AWS, GCP, OWN_MACHINES = "AWS", "GCP", "Machines of your own"


def cluster_config(variant: str) -> dict[str, Any]:
    """What `ray up` reads once a user has put `variant` in: its lines are taken out and uncommented as told there."""
    shared, *parts = re.split(r"^# ==== (.+) ====\n", CLUSTER_YAML.read_text(), flags=re.MULTILINE)
    blocks = dict(zip(parts[::2], parts[1::2], strict=True))
    assert list(blocks) == [AWS, GCP, OWN_MACHINES]
    block = blocks[variant]
    if variant != AWS:
        assert all(line.startswith("#") for line in block.splitlines() if line)
        block = re.sub(r"^# ?", "", block, flags=re.MULTILINE)
    assert not set(yaml.safe_load(shared)) & set(yaml.safe_load(block))
    config: dict[str, Any] = yaml.safe_load(shared + block)
    return config
