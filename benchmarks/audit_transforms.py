"""What the audit's detector is tried on: pictures, known transformations of them, and a perceptual hash as a peer."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps
from scipy.fft import dctn

from raysynth.data.audit.appearance import NUM_ORIENTATIONS, orient
from raysynth.data.dataset import tensor_column
from raysynth.data.decode import RejectedImage, read_picture
from raysynth.data.phantom import phantom
from raysynth.data.readers import Reader
from raysynth.data.sources import find_images
from raysynth.data.thumbnails import thumbnail


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("L")


def curve(image: Image.Image, function: Callable[[np.ndarray], np.ndarray]) -> Image.Image:
    """Grey values, as fractions, through a function."""
    values = function(np.arange(256) / 255.0).clip(0.0, 1.0)
    return image.point(np.round(values * 255.0).astype(int).tolist())


def local_equalise(image: Image.Image, *, tiles: int = 8, limit: float = 2.0) -> Image.Image:
    """CLAHE (Zuiderveld, Graphics Gems IV, 1994): equalisation by tiles, clipped, with the curves interpolated."""
    pixels = np.asarray(image)
    curves = np.empty((tiles, tiles, 256), dtype=np.float32)
    for i, band in enumerate(np.array_split(pixels, tiles, axis=0)):
        for j, tile in enumerate(np.array_split(band, tiles, axis=1)):
            counts = np.bincount(tile.ravel(), minlength=256) / tile.size
            clipped = counts.clip(max=limit / 256)
            curves[i, j] = np.cumsum(clipped + (1.0 - clipped.sum()) / 256) * 255.0
    y, x = (((np.arange(n) + 0.5) / n * tiles - 0.5).clip(0, tiles - 1).astype(np.float32) for n in pixels.shape)
    i, j = (np.minimum(at.astype(int), tiles - 2) for at in (y, x))
    down, right = (y - i)[:, None], (x - j)[None]
    i, j = i[:, None], j[None]
    upper = curves[i, j, pixels] * (1 - right) + curves[i, j + 1, pixels] * right
    lower = curves[i + 1, j, pixels] * (1 - right) + curves[i + 1, j + 1, pixels] * right
    return Image.fromarray((upper * (1 - down) + lower * down).astype(np.uint8))


def noisy(image: Image.Image, rng: np.random.Generator, deviation: float) -> Image.Image:
    noise = rng.standard_normal((image.height, image.width), dtype=np.float32) * deviation
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def head_crop(image: Image.Image) -> Image.Image:
    """The box of what is not background; found otherwise than in the audit, so that both do not err alike."""
    pixels = np.asarray(image.resize((128, 128))).astype(np.float32)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    differs = np.abs(pixels - np.median(border)) > 25
    rows, columns = (np.flatnonzero(differs.mean(axis) > 0.04) for axis in (1, 0))
    if len(rows) < 20 or len(columns) < 20:
        return image
    box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) / 128 * np.tile(image.size, 2)
    return image.crop(tuple(box.astype(int).tolist()))


def random_crop(image: Image.Image, rng: np.random.Generator, most: float) -> Image.Image:
    """Up to `most` of the width or height off each side."""
    left, top, right, bottom = rng.uniform(0.0, most, 4) * np.tile(image.size, 2)
    return image.crop((int(left), int(top), int(image.width - right), int(image.height - bottom)))


def pad(image: Image.Image, share: float) -> Image.Image:
    """Wider by a black border of half `share` on the left and on the right."""
    wide = Image.new("L", (int(image.width * (1 + share)), image.height))
    wide.paste(image, (int(image.width * share / 2), 0))
    return wide


def label(image: Image.Image) -> Image.Image:
    """White text in two corners, as viewers write it."""
    image, size = image.copy(), max(10, image.width // 20)
    draw = ImageDraw.Draw(image)
    draw.text((5, 5), "R  12:40 TE 90", fill=255, font_size=size)
    draw.text((image.width - image.width // 4, image.height - image.height // 12), "SE 3/20", fill=255, font_size=size)
    return image


def shift(image: Image.Image, right: float, down: float) -> Image.Image:
    by = (1, 0, -right * image.width, 0, 1, -down * image.height)
    return image.transform(image.size, Image.Transform.AFFINE, by)


Picture = Image.Image
Generator = np.random.Generator
TRANSFORMS: dict[str, tuple[str, Callable[[Picture, Generator], Picture]]] = {  # name -> (relation, function)
    "JPEG, quality 40": ("near", lambda image, rng: jpeg(image, 40)),
    "JPEG, quality 10": ("near", lambda image, rng: jpeg(image, 10)),
    "resized to 128 x 128": ("near", lambda image, rng: image.resize((128, 128))),
    "resized to 96 x 96, JPEG 50": ("near", lambda image, rng: jpeg(image.resize((96, 96)), 50)),
    "window x 1.5, clipped": ("near", lambda image, rng: curve(image, lambda x: (x - 0.15) * 1.5)),
    "window x 0.6": ("near", lambda image, rng: curve(image, lambda x: x * 0.6 + 0.1)),
    "gamma 0.5": ("near", lambda image, rng: curve(image, np.sqrt)),
    "gamma 2": ("near", lambda image, rng: curve(image, np.square)),
    "equalised": ("near", lambda image, rng: ImageOps.equalize(image)),
    "equalised locally (CLAHE)": ("near", lambda image, rng: local_equalise(image)),
    "noise, deviation 12": ("near", lambda image, rng: noisy(image, rng, 12)),
    "blur, sigma 0.6 % of the width": (
        "near",
        lambda image, rng: image.filter(ImageFilter.GaussianBlur(0.006 * image.width)),
    ),
    "mirrored left-right": ("mirrored", lambda image, rng: ImageOps.mirror(image)),
    "mirrored up-down": ("mirrored", lambda image, rng: ImageOps.flip(image)),
    "half turn": ("rotated", lambda image, rng: image.transpose(Image.Transpose.ROTATE_180)),
    "quarter turn": ("rotated", lambda image, rng: image.transpose(Image.Transpose.ROTATE_90)),
    "quarter turn, mirrored": ("mirrored", lambda image, rng: image.transpose(Image.Transpose.TRANSPOSE)),
    "head crop": ("near", lambda image, rng: head_crop(image)),
    "crop, up to 5 % a side": ("near", lambda image, rng: random_crop(image, rng, 0.05)),
    "crop, up to 12 % a side": ("near", lambda image, rng: random_crop(image, rng, 0.12)),
    "padded, 30 % wider": ("near", lambda image, rng: pad(image, 0.3)),
    "text in two corners": ("near", lambda image, rng: label(image)),
    "rotated 3 degrees": ("near", lambda image, rng: image.rotate(3, Image.Resampling.BILINEAR)),
    "rotated 8 degrees": ("near", lambda image, rng: image.rotate(8, Image.Resampling.BILINEAR)),
    "rotated 15 degrees": ("near", lambda image, rng: image.rotate(15, Image.Resampling.BILINEAR)),
    "shifted 6 % and 4 %": ("near", lambda image, rng: shift(image, -0.06, 0.04)),
    "inverted": ("inverted", lambda image, rng: ImageOps.invert(image)),
    "inverted, mirrored": ("inverted", lambda image, rng: ImageOps.mirror(ImageOps.invert(image))),
    "head crop, mirrored, gamma 0.7, 200 px, JPEG 50": (
        "mirrored",
        lambda image, rng: jpeg(
            curve(ImageOps.mirror(head_crop(image)), lambda x: x**0.7).resize((200, 200)),
            50,
        ),
    ),
    "crop 12 %, window x 1.3, 160 px": (
        "near",
        lambda image, rng: curve(random_crop(image, rng, 0.12), lambda x: (x - 0.1) * 1.3).resize((160, 160)),
    ),
}


@dataclass(frozen=True)
class Original:
    """A picture to be rendered: pixels (H, W) uint8, or a file of a source."""

    name: str
    class_name: str
    patient: str | None = None  # None if unknown
    pixels: np.ndarray | None = None
    reader: Reader | None = None
    locator: str = ""

    def load(self) -> Image.Image:
        if self.pixels is not None:
            return Image.fromarray(self.pixels)
        assert self.reader is not None
        return Image.fromarray(read_picture(self.reader.read(self.locator), 1)[0].pixels)


@dataclass(frozen=True)
class Rendered:
    """What the detector and the hash see: `thumbnail` (64, 64) uint8 and `hashes` (8,) uint64 of all orientations."""

    thumbnail: np.ndarray
    hashes: np.ndarray


def perceptual_hash(image: Image.Image) -> np.ndarray:
    """64-bit DCT hashes of the 8 orientations, (8,) uint64; upright it is bit for bit `imagehash.phash`."""
    small = np.asarray(image.resize((32, 32), Image.Resampling.LANCZOS), dtype=np.float64)
    bits = []
    for orientation in range(NUM_ORIENTATIONS):
        low = dctn(orient(small, orientation))[:8, :8]
        bits.append((low > np.median(low)).ravel())
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def render(original: Original, number: int, names: Sequence[str], seed: int) -> list[Rendered | None]:
    """A picture, and the named transforms of it, None for one that changed nothing: some heads fill their frame.

    The list is empty for a file that is no picture.
    """
    try:
        image = original.load()
    except RejectedImage:
        return []
    done: list[Rendered | None] = [Rendered(thumbnail(np.asarray(image)[None]), perceptual_hash(image))]
    for place, name in enumerate(names):
        changed = TRANSFORMS[name][1](image, np.random.default_rng([seed, number, place]))
        is_same = changed.size == image.size and changed.tobytes() == image.tobytes()
        done.append(None if is_same else Rendered(thumbnail(np.asarray(changed)[None]), perceptual_hash(changed)))
    return done


def read_originals(path: Path, num_images: int, rng: np.random.Generator) -> list[Original]:
    """Pictures of a folder or zip, drawn at random, some more than asked for: identical ones will go."""
    source = find_images(path)
    order = rng.permutation(len(source.members))[: 2 * num_images]
    members = [source.members[number] for number in order]
    return [Original(m.path, m.class_name, m.group, reader=source.reader, locator=m.locator) for m in members]


def draw_phantoms(num_images: int, size: int, seed: int) -> list[Original]:
    """Phantoms with their patients."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = phantom(Path(folder) / "phantom", num_images=num_images, size=size, seed=seed)
        table = dataset.read(["id", "image", "label", "group"])
    images = tensor_column(table, "image")
    return [
        Original(f"{group}/{name}", dataset.classes[number], str(group), pixels=image[0])
        for name, image, number, group in zip(
            table["id"].to_pylist(), images, table["label"].to_pylist(), table["group"].to_pylist(), strict=True
        )
    ]
