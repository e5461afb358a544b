"""What the tasks of one pipeline need and is costly to make, made once in each of Ray's processes.

Actors would do the same; but each pool of them starts processes of its own, where torch alone takes seconds to import,
while tasks run in processes that earlier ones have left.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Made = TypeVar("Made")
_made: tuple[str, Any] = ("", None)  # of the newest pipeline only: it may fill much memory


def made_once(pipeline: str, make: Callable[[], Made]) -> Made:
    """What `make` has made for this pipeline in this process; what was made for another one is let go first."""
    global _made
    if _made[0] != pipeline:
        _made = ("", None)
        _made = (pipeline, make())
    made: Made = _made[1]
    return made
