"""What the phantom is drawn with: smooth shapes by signed distance, in the coordinates of a head.

x runs to the right and y downwards; without pose the canvas reaches from -1 to 1 both ways. A signed distance is
negative inside a shape; a mask is 1 inside, 0 outside and changes over about one pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from scipy.interpolate import CubicSpline

TILE_SIZE = 512  # cells
TILE_WAVELENGTH = 16  # cells
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
        turn = rng.uniform(0, 2 * np.pi)
        cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        self._u, self._v = x * cos + y * sin, y * cos - x * sin
        self._start = rng.uniform(2 * TILE_SIZE, 3 * TILE_SIZE, 2)

    def texture(self, *, scale: float = 1.0, offset: float = 0.0) -> np.ndarray:
        """Winding noise (H, W) of mean 0 and spread 1 that belongs to the head: the same in every pose.

        At `scale` 1 a ridge and a furrow are 0.2 wide together. Calls with another `offset` are unrelated.
        """
        cells = np.float32(TILE_WAVELENGTH / 0.2 / scale)
        column = (self._u * cells + np.float32(self._start[0] + 97.3 * offset)).astype(np.int32) % TILE_SIZE
        row = (self._v * cells + np.float32(self._start[1] + 61.7 * offset)).astype(np.int32) % TILE_SIZE
        return _tile()[row, column]

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

    def fill(self, distance: np.ndarray, value: float, *, share: float = 1.0, blur: float = 0.0) -> None:
        """Paint the inside of a signed distance; with a `share` below 1 what is there shines through."""
        self.paint(share * self.mask(distance, blur), value)


@lru_cache(maxsize=1)
def _tile() -> np.ndarray:
    """Noise of about one wavelength in all directions, periodic: what `texture` cuts its pieces from."""
    noise = np.random.default_rng(0).standard_normal((TILE_SIZE, TILE_SIZE))
    frequency = np.fft.fftfreq(TILE_SIZE) * TILE_WAVELENGTH
    radius = np.hypot(frequency[:, None], frequency[None])
    tile = np.fft.ifft2(np.fft.fft2(noise) * np.exp(-(((radius - 1) / 0.35) ** 2))).real
    return (tile / tile.std()).astype(np.float32)
