"""What the phantom is drawn with: smooth shapes by signed distance, in the coordinates of a head.

x runs to the right and y downwards; without pose the canvas reaches from -1 to 1 both ways. A signed distance is
negative inside a shape; a mask is 1 inside, 0 outside and changes over about one pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.interpolate import CubicSpline

TEXTURE_CELLS = 40
OUTLINE_ANGLES = 128


class Outline:
    """A closed smooth curve around `centre` that every ray from there meets once.

    `points` are (x, y) on the curve, in the order of their angle. `jitter` is the relative spread of the radii.
    """

    def __init__(
        self,
        centre: tuple[float, float],
        points: Sequence[tuple[float, float]],
        *,
        rng: np.random.Generator,
        jitter: float = 0.02,
    ) -> None:
        self.centre = centre
        offsets = np.asarray(points, dtype=np.float64) - centre
        angles = np.arctan2(offsets[:, 1], offsets[:, 0])
        radii = np.hypot(offsets[:, 0], offsets[:, 1]) * (1 + jitter * rng.standard_normal(len(offsets)))
        order = np.argsort(angles)
        angles, radii = angles[order], radii[order]
        curve = CubicSpline(np.append(angles, angles[0] + 2 * np.pi), np.append(radii, radii[0]), bc_type="periodic")
        self.angles = np.linspace(-np.pi, np.pi, OUTLINE_ANGLES + 1)
        self.radii = np.maximum(curve(self.angles), 0.05)
        slopes = np.gradient(self.radii, self.angles) / self.radii
        self.flatness = 1 / np.sqrt(1 + slopes**2)

    def radius(self, angle: float) -> float:
        """Distance of the curve from the centre in the direction `angle` (radians)."""
        return float(np.interp(np.angle(np.exp(1j * angle)), self.angles, self.radii))

    def point(self, angle: float, *, fraction: float = 1.0, inset: float = 0.0) -> tuple[float, float]:
        """The point at `fraction` of the way from the centre to the curve, `inset` nearer to the centre."""
        radius = fraction * self.radius(angle) - inset
        return self.centre[0] + radius * np.cos(angle), self.centre[1] + radius * np.sin(angle)


class Canvas:
    """An image (H, W) float under work; `x` and `y` are the head coordinates of its pixels."""

    def __init__(self, x: np.ndarray, y: np.ndarray, *, pixel: float, rng: np.random.Generator) -> None:
        self.x, self.y = x, y
        self.pixel = pixel
        self.value = np.zeros_like(x)
        self._cells = _smooth_cells(rng)

    def texture(self, *, scale: float = 1.0, offset: float = 0.0) -> np.ndarray:
        """Smooth noise (H, W) of mean 0 and spread 1 that belongs to the head: the same in every pose.

        At `scale` 1 its structures are about 0.1 wide. Calls with another `offset` are unrelated.
        """
        cells = self._cells
        column = (self.x * (9 / scale) + (200.0 + 7.3 * offset)) % TEXTURE_CELLS
        row = (self.y * (9 / scale) + (200.0 + 17.9 * offset)) % TEXTURE_CELLS
        left, top = column.astype(np.int32), row.astype(np.int32)
        dx, dy = column - left, row - top
        left, top = left % TEXTURE_CELLS, top % TEXTURE_CELLS
        dx, dy = dx * dx * (3 - 2 * dx), dy * dy * (3 - 2 * dy)
        right, bottom = (left + 1) % TEXTURE_CELLS, (top + 1) % TEXTURE_CELLS
        upper = cells[top, left] * (1 - dx) + cells[top, right] * dx
        lower = cells[bottom, left] * (1 - dx) + cells[bottom, right] * dx
        return upper * (1 - dy) + lower * dy

    def ellipse(self, x: float, y: float, rx: float, ry: float, angle: float = 0.0) -> np.ndarray:
        """Signed distance (first order) from an ellipse turned by `angle` radians."""
        cos, sin = float(np.cos(angle)), float(np.sin(angle))
        u = ((self.x - x) * cos + (self.y - y) * sin) / rx
        v = ((self.y - y) * cos - (self.x - x) * sin) / ry
        level = np.sqrt(u * u + v * v)
        slope = np.sqrt((u / rx) ** 2 + (v / ry) ** 2)
        return (level - 1) * level / (slope + 1e-6)

    def stroke(self, points: Sequence[tuple[float, float]], width: float) -> np.ndarray:
        """Signed distance from a line through `points`, `width` wide."""
        distance: np.ndarray | None = None
        for (x0, y0), (x1, y1) in pairwise(points):
            dx, dy = x1 - x0, y1 - y0
            along = np.clip(((self.x - x0) * dx + (self.y - y0) * dy) / (dx * dx + dy * dy + 1e-9), 0, 1)
            squared = (self.x - x0 - along * dx) ** 2 + (self.y - y0 - along * dy) ** 2
            distance = squared if distance is None else np.minimum(distance, squared)
        assert distance is not None
        return np.sqrt(distance) - width / 2

    def blob(self, x: float, y: float, radius: float, waves: np.ndarray, aspect: float = 1.0) -> np.ndarray:
        """Signed distance from a bumpy disc; `waves` (K, 2) are amplitude and phase of 2, 3, ... bumps around."""
        dx, dy = (self.x - x) * aspect, (self.y - y) / aspect
        angle = np.arctan2(dy, dx)
        edge = np.ones_like(angle)
        for bumps, (amplitude, phase) in enumerate(waves, start=2):
            edge += float(amplitude) * np.cos(bumps * angle + float(phase))
        return np.sqrt(dx * dx + dy * dy) - radius * edge

    def inside(self, outline: Outline) -> np.ndarray:
        """Signed distance (first order) from an outline."""
        dx, dy = self.x - outline.centre[0], self.y - outline.centre[1]
        position = (np.arctan2(dy, dx) + np.float32(np.pi)) * np.float32(OUTLINE_ANGLES / (2 * np.pi))
        left = np.minimum(position.astype(np.int32), OUTLINE_ANGLES - 1)
        part = position - left
        radii, flatness = outline.radii.astype(np.float32), outline.flatness.astype(np.float32)
        radius = radii[left] * (1 - part) + radii[left + 1] * part
        return (np.sqrt(dx * dx + dy * dy) - radius) * flatness[left]

    def mask(self, distance: np.ndarray, blur: float = 0.0) -> np.ndarray:
        """1 inside, 0 outside; the edge is one pixel wide, or `blur` where that is more."""
        return np.clip(0.5 - distance / max(1.2 * self.pixel, blur), 0, 1)

    def paint(self, mask: np.ndarray, value: float | np.ndarray) -> None:
        """Cover the picture with `value` where `mask` is 1."""
        self.value += mask * (value - self.value)

    def fill(self, distance: np.ndarray, value: float | np.ndarray, blur: float = 0.0) -> None:
        """Paint the inside of a signed distance."""
        self.paint(self.mask(distance, blur), value)


def _smooth_cells(rng: np.random.Generator) -> np.ndarray:
    cells = rng.standard_normal((TEXTURE_CELLS, TEXTURE_CELLS)).astype(np.float32)
    return cells * np.float32(1.5)  # interpolation between the cells takes about a third of the spread
