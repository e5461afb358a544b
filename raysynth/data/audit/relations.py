"""In words: how one image of a pair came from the other, read from the alignment."""

from __future__ import annotations

from typing import Any

import numpy as np

from raysynth.data.audit.appearance import orientation_maps

RELATIONS = ("exact", "near", "mirrored", "rotated", "inverted")
# By orientation number, see `appearance.orient`.
ORIENTATIONS = (
    "upright",
    "left-right",
    "quarter turn",
    "quarter turn and mirrored",
    "half turn",
    "up-down",
    "quarter turn",
    "quarter turn and mirrored",
)
MIN_ANGLE_DEGREES = 2.0
MIN_SCALE_CHANGE = 0.04


def describe(maps: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    """Columns for alignments `maps` (N, 2, 3) from the frame of `a` to that of `b` with signed scores (N,).

    relation; score (0 to 1); orientation (in words); scale_x, scale_y (the share of `b`'s frame that `a`'s frame spans:
    under 1 where `a` is the crop); angle_degrees (what remains after the orientation); is_inverted.
    """
    linear = maps[:, :, :2]
    turns = orientation_maps().numpy()
    norm = np.linalg.norm(linear, axis=(1, 2)).clip(1e-6)
    orientation = (np.einsum("nij,oij->no", linear, turns) / norm[:, None]).argmax(1)
    rest = np.einsum("nij,nkj->nik", linear, turns[orientation])  # the turn is undone: R D D^T
    angle = np.degrees(np.arctan2(rest[:, 1, 0] - rest[:, 0, 1], rest[:, 0, 0] + rest[:, 1, 1]))
    is_inverted = scores < 0.0
    mirrored = np.isin(orientation, np.flatnonzero([np.linalg.det(turn) < 0 for turn in turns]))
    relation = np.select(
        [is_inverted, mirrored, orientation > 0], ["inverted", "mirrored", "rotated"], default="near"
    ).astype(object)
    return {
        "relation": relation,
        "score": np.abs(scores).round(4),
        "orientation": np.array(ORIENTATIONS, dtype=object)[orientation],
        "scale_x": np.linalg.norm(rest[:, 0], axis=1).round(3),
        "scale_y": np.linalg.norm(rest[:, 1], axis=1).round(3),
        "angle_degrees": angle.round(1),
        "is_inverted": is_inverted,
    }
