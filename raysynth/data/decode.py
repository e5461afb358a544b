"""From the bytes of one file to an image of the data set, or the reason why not."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from raysynth.data.dataset import thumbnail

Fit = Literal["stretch", "pad", "crop"]
FITS: tuple[Fit, ...] = ("stretch", "pad", "crop")
MAX_PIXELS = 100_000_000
# By content, never by name. Formats that run another program (EPS) stay out.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000")
WITH_ALPHA = frozenset({"RGBA", "RGBa", "LA", "La", "PA"})

ROTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class RejectedImage(ValueError):
    """A file that cannot become an image of the data set; the text is the reason."""


@dataclass(frozen=True)
class Decoded:
    """An image (C, size, size) uint8, the grey thumbnail (64, 64) of the original, and facts about the original.

    `width` and `height` are in pixels, upright; `format` is that of the content, whatever the file is called.
    """

    image: np.ndarray
    thumbnail: np.ndarray
    width: int
    height: int
    format: str
    has_more_frames: bool


def decode(data: bytes, *, size: int, channels: int, fit: Fit) -> Decoded:
    """Decode, turn upright, bring to 8 bits, fit to size x size pixels and to 1 (grey) or 3 (RGB) channels.

    Transparency is laid over black; of an animation or a stack of pages the first frame is taken. More than
    8 bits are scaled by `to_8_bits`. Raises RejectedImage with the reason.
    """
    if not data:
        raise RejectedImage("the file is empty")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Pillow warns of is decided here
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
                width, height = opened.size
                if width * height > MAX_PIXELS:
                    raise RejectedImage(_too_large(f"{width} x {height} pixels"))
                has_more_frames = bool(getattr(opened, "is_animated", False))
                source_format = opened.format or "unknown"
                opened.load()
                upright = _turn_upright(opened)
                picture = _to_grey_or_rgb(upright)
        except RejectedImage:
            raise
        except UnidentifiedImageError as error:
            raise RejectedImage(f"not an image in a format that is read ({', '.join(FORMATS)})") from error
        except Image.DecompressionBombError as error:
            raise RejectedImage(_too_large("far more pixels")) from error
        except Exception as error:  # Pillow's decoders raise nearly anything on broken files; the import goes on
            raise RejectedImage(f"corrupt or truncated: {error or type(error).__name__}") from error
    grey = picture.convert("L")
    fitted = _fit(grey if channels == 1 else picture.convert("RGB"), size, fit)
    pixels = np.asarray(fitted, dtype=np.uint8)
    return Decoded(
        image=pixels[None].copy() if channels == 1 else np.moveaxis(pixels, -1, 0).copy(),
        thumbnail=thumbnail(np.asarray(grey, dtype=np.uint8)[None]),
        width=picture.width,
        height=picture.height,
        format=source_format,
        has_more_frames=has_more_frames,
    )


def to_8_bits(pixels: np.ndarray) -> np.ndarray:
    """Grey pixels (H, W) of more than 8 bits or of floats as uint8.

    Whole numbers from 0 to 65535 are scaled by the bit depth that they were stored with, the smallest of 8, 12 and 16
    bits that holds the largest value: scanners store 12 bits in 16, and scaling by 65535 would leave those images
    black. No finer: two slices of one scanner must not differ by their brightest pixel. Black stays
    black. Other values (negative, larger, floats) have no natural range: the image's own is stretched.
    """
    if not np.all(np.isfinite(pixels)):
        raise RejectedImage("pixels that are not numbers (NaN or infinite)")
    lowest, highest = float(pixels.min()), float(pixels.max())
    if pixels.dtype.kind in "iu" and lowest >= 0 and highest <= 65535:
        lowest, highest = 0.0, next(float(limit) for limit in (255, 4095, 65535) if highest <= limit)
    scaled = (pixels.astype(np.float64) - lowest) * (255.0 / max(highest - lowest, 1e-12))
    return np.round(scaled).clip(0, 255).astype(np.uint8)


def _too_large(what: str) -> str:
    return f"{what}, more than {MAX_PIXELS // 1_000_000} million are not decoded"


def _turn_upright(image: Image.Image) -> Image.Image:
    """Apply the camera's orientation; broken EXIF data are no reason to lose an image."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # as many kinds of error as there are ways to break EXIF data
        orientation = 1
    return image.transpose(ROTATIONS[orientation]) if orientation in ROTATIONS else image


def _to_grey_or_rgb(image: Image.Image) -> Image.Image:
    """Any mode of Pillow as L or RGB."""
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return image.copy()
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(to_8_bits(np.asarray(image)))
    if image.mode in WITH_ALPHA or "transparency" in image.info:
        rgba = image.convert("RGBA")
        black = Image.new("RGBA", rgba.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, rgba).convert("RGB")
    return image.convert("L" if image.mode == "1" else "RGB")


def _fit(image: Image.Image, size: int, fit: Fit) -> Image.Image:
    """Resize with antialiasing: `stretch` to the square, `pad` with black, or `crop` the middle square."""
    if image.size == (size, size):
        return image
    lanczos = Image.Resampling.LANCZOS
    width, height = image.size
    if fit == "stretch":
        return image.resize((size, size), lanczos, reducing_gap=3.0)
    if fit == "crop":
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        square = image.crop((left, top, left + side, top + side))
        return square.resize((size, size), lanczos, reducing_gap=3.0)
    scale = size / max(width, height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    padded = Image.new(image.mode, (size, size))
    padded.paste(image.resize(inner, lanczos, reducing_gap=3.0), ((size - inner[0]) // 2, (size - inner[1]) // 2))
    return padded
