"""One thing that `raysynth doctor` looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "wrong"]


@dataclass(frozen=True)
class Check:
    """On which node, what was found, and what to do where it is not `ok`."""

    subject: str
    node: str
    state: State
    found: str
    remedy: str = ""
