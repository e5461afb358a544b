"""What the phantom of volumes is drawn with: the canvas of three dimensions.

x runs from the patient's right to the left, y from anterior to posterior and z from inferior to superior: the axes W,
H and D of a volume. Without pose the space reaches from -1 to 1 each way. As on the canvas, a signed distance is
negative inside a shape; a mask is 1 inside, 0 outside and changes over about one voxel.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

TILE_SIZE = 64  # cells
TILE_WAVELENGTH = 8  # cells
Point = tuple[float, float, float]


class Space:
    """A volume (D, H, W) float under work; `x`, `y` and `z` are the head coordinates of its voxels."""

    def __init__(self, x: np.ndarray, y: np.ndarray, z: np.ndarray, *, voxel: float, rng: np.random.Generator) -> None:
        self.x, self.y, self.z = x, y, z
        self.voxel = voxel
        self.value = np.zeros_like(x)
        turned = np.linalg.qr(rng.standard_normal((3, 3)))[0].astype(np.float32)
        self._along = [row[0] * x + row[1] * y + row[2] * z for row in turned]
        self._start = rng.uniform(2 * TILE_SIZE, 3 * TILE_SIZE, 3)

    def texture(self, *, scale: float = 1.0, offset: float = 0.0) -> np.ndarray:
        """Winding noise (D, H, W) of mean 0 and spread 1 that belongs to the head: the same in every pose.

        At `scale` 1 a ridge and a furrow are 0.3 wide together. Calls with another `offset` are unrelated.
        """
        cells = np.float32(TILE_WAVELENGTH / 0.3 / scale)
        index = tuple(
            (along * cells + np.float32(start + 17.3 * (axis + 1) * offset)).astype(np.int32) % TILE_SIZE
            for axis, (along, start) in enumerate(zip(self._along, self._start, strict=True))
        )
        return _tile()[index]

    def ellipsoid(self, centre: Point, radii: Point | float) -> np.ndarray:
        """Signed distance (first order) from an ellipsoid along the axes, or from a ball."""
        rx, ry, rz = (radii, radii, radii) if isinstance(radii, float) else radii
        u, v, w = (self.x - centre[0]) / rx, (self.y - centre[1]) / ry, (self.z - centre[2]) / rz
        level = np.sqrt(u * u + v * v + w * w)
        slope = np.sqrt((u / rx) ** 2 + (v / ry) ** 2 + (w / rz) ** 2)
        return (level - 1) * level / (slope + 1e-6)

    def mirrored(self, centre: Point, radii: Point | float, bias: float = 0.0) -> np.ndarray:
        """Signed distance from an ellipsoid and its mirror image; the left one is larger by the share `bias`."""
        rx, ry, rz = (radii, radii, radii) if isinstance(radii, float) else radii
        larger, smaller = 1 + bias, 1 - bias
        left = self.ellipsoid(centre, (rx * larger, ry * larger, rz * larger))
        right = self.ellipsoid((-centre[0], *centre[1:]), (rx * smaller, ry * smaller, rz * smaller))
        return np.minimum(left, right)

    def blob(self, centre: Point, radius: float, bumps: Sequence[tuple[Point, float]], stretch: Point) -> np.ndarray:
        """Signed distance from a ball, stretched along the axes, with bumps: directions (unit vectors) and heights.

        A height is a share of the radius; between a bump and the opposite point there is a dent as deep.
        """
        dx, dy, dz = (
            (part - at) / factor for part, at, factor in zip((self.x, self.y, self.z), centre, stretch, strict=True)
        )
        length = np.sqrt(dx * dx + dy * dy + dz * dz) + 1e-6
        edge = np.ones_like(length)
        for (bx, by, bz), height in bumps:
            towards = (dx * np.float32(bx) + dy * np.float32(by) + dz * np.float32(bz)) / length
            edge += np.float32(height) * towards * np.abs(towards)
        return length - np.float32(radius) * edge

    def mask(self, distance: np.ndarray, blur: float = 0.0) -> np.ndarray:
        """1 inside, 0 outside; the edge is one voxel wide, or `blur` where that is more."""
        return np.clip(0.5 - distance / max(1.2 * self.voxel, blur), 0, 1)

    def paint(self, mask: np.ndarray, value: float | np.ndarray) -> None:
        """Cover the volume with `value` where `mask` is 1."""
        self.value += mask * (value - self.value)

    def fill(self, distance: np.ndarray, value: float, *, share: float = 1.0, blur: float = 0.0) -> None:
        """Paint the inside of a signed distance; with a `share` below 1 what is there shines through."""
        self.paint(float(share) * self.mask(distance, blur), float(value))


@lru_cache(maxsize=1)
def _tile() -> np.ndarray:
    """Noise of about one wavelength in all directions, periodic: what `texture` cuts its pieces from."""
    noise = np.random.default_rng(0).standard_normal((TILE_SIZE,) * 3)
    line = np.fft.fftfreq(TILE_SIZE) * TILE_WAVELENGTH
    radius = np.sqrt(line[:, None, None] ** 2 + line[:, None] ** 2 + line**2)
    tile = np.fft.ifftn(np.fft.fftn(noise) * np.exp(-(((radius - 1) / 0.35) ** 2))).real
    return (tile / tile.std()).astype(np.float32)
