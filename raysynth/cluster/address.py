"""Which cluster a verb is meant for: `--address`, or what the environment says."""

from __future__ import annotations

import os
import re

from raysynth.errors import UserError

VARIABLES = ("RAYSYNTH_ADDRESS", "RAY_API_SERVER_ADDRESS")  # the first that is set counts
JOIN = "auto"  # a running cluster of which this machine is a node
LOCAL = "local"  # this machine, whatever the environment says


def find_address(given: str | None) -> str | None:
    """`auto`, the http(s) address of a cluster's head, or None: this machine.

    `given` is `--address`, before which the environment counts for nothing. Raises UserError, naming where it came
    from, for anything else.
    """
    origin, address = next(
        (
            (name, value)
            for name, value in (("--address", given), *((v, os.environ.get(v)) for v in VARIABLES))
            if value
        ),
        ("", None),
    )
    if address in (None, LOCAL):
        return None
    if address == JOIN or re.fullmatch(r"https?://[^/?#\s]+/*", address):
        return address.rstrip("/")
    raise UserError(
        f"{origin} {address}: want http://HEAD:8265 (a cluster's head, or a tunnel to it), {JOIN} on a cluster's node, "
        f"or {LOCAL}"
    )


def needed_address(given: str | None) -> str:
    """The http(s) address where there must be one. Raises UserError without."""
    address = find_address(given)
    if address in (None, JOIN):
        raise UserError(f"--address: {address or 'not given'}; want http://HEAD:8265, here or in {VARIABLES[0]}")
    return address
