"""From the bytes of one file to images of the data set, or the reason why not."""

from __future__ import annotations

import io
import warnings
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from raysynth.data.cropping import Crop, Fit, border_box, fit_picture, fit_volume, head_box
from raysynth.data.thumbnails import thumbnail
from raysynth.data.windowing import Window

if TYPE_CHECKING:
    from raysynth.data.nifti import Axis

MAX_PIXELS = 100_000_000
# By content, never by name. Formats that run another program (EPS) stay out.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000")
WITH_ALPHA = frozenset({"RGBA", "RGBa", "LA", "La", "PA"})
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
NIFTI_SUFFIXES = (".nii", ".nii.gz")
NIFTI_HEADER_BYTES = 352

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
class Frame:
    """One picture, slice or volume as a reader hands it over: 8 bits, windowed, upright, of its original size.

    `pixels` is (H, W) or (H, W, 3) uint8, or (D, H, W) uint8 for a whole volume. `group` names the patient or the
    volume without identifying a person, None if unknown; `index` is the number of the frame or slice in the file.
    """

    pixels: np.ndarray
    group: str | None
    format: str
    index: int = 0


@dataclass(frozen=True, kw_only=True)
class Target:
    """What every image becomes, and how: size x size pixels (or size^3 voxels) with 1 or 3 channels.

    First the border is dropped, then the head cut out, then the rest fitted. `axis`, `every` and `volumes` are for
    NIfTI, `window` is for DICOM.
    """

    size: int
    channels: int = 1
    fit: Fit = "stretch"
    crop: Crop = "none"
    drop_border: bool = False
    axis: Axis = "axial"
    every: int = 1
    volumes: bool = False
    window: Window = "auto"

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, size, size), of volumes (C, size, size, size)."""
        return (self.channels, *(self.size,) * (3 if self.volumes else 2))


@dataclass(frozen=True)
class Decoded:
    """An image (C, size, size) or (C, size, size, size) uint8 and facts about its original.

    `thumbnail` is the grey (64, 64) original before any cropping (of a volume: three slices and a mean). `width` and
    `height` are in pixels, upright; `format` is that of the content, whatever the file is called. `is_headless`
    tells that a head should have been cut out and none was found.
    """

    image: np.ndarray
    thumbnail: np.ndarray
    width: int
    height: int
    format: str
    group: str | None
    index: int
    has_more_frames: bool
    is_headless: bool


def decode(data: bytes, target: Target, *, name: str = "", medical_only: bool = False) -> list[Decoded]:
    """The images that a file holds: one, or as many as a DICOM file has frames and a NIfTI volume has slices.

    What a file is, its content says; `name` helps where DICOM and NIfTI have no magic number, and is the group of the
    slices of a volume. Transparency is laid over black; of an animation or a stack of pages the first frame is taken.
    More than 8 bits are scaled by `to_8_bits`. With `medical_only` ordinary pictures are rejected.
    Raises RejectedImage with the reason, and UserError where a library is missing.
    """
    if not data:
        raise RejectedImage("the file is empty")
    has_more_frames = False
    if is_nifti(data, name):
        from raysynth.data.nifti import read_nifti

        frames = read_nifti(data, axis=target.axis, every=target.every, volumes=target.volumes, group=name)
    elif target.volumes:
        raise RejectedImage("not a NIfTI volume, and --volumes takes nothing else")
    elif is_dicom(data, name):
        from raysynth.data.dicom import read_dicom

        frames = read_dicom(data, window=target.window)
    elif medical_only:
        raise RejectedImage("in a folder below the class folder, where only DICOM and NIfTI are taken")
    else:
        frame, has_more_frames = read_picture(data, target.channels)
        frames = [frame]
    if not frames:
        raise RejectedImage("nothing but background")
    return [_to_image(frame, target, has_more_frames) for frame in frames]


def is_dicom(data: bytes, name: str) -> bool:
    """Whether to read a file as DICOM: by its magic number, or by its name where it lacks the preamble."""
    return data[128:132] == b"DICM" or name.casefold().endswith(DICOM_SUFFIXES)


def is_nifti(data: bytes, name: str) -> bool:
    """Whether to read a file, compressed or not, as NIfTI: by its magic number, or by its name."""
    if name.casefold().endswith(NIFTI_SUFFIXES):
        return True
    header = data[:NIFTI_HEADER_BYTES]
    if data[:2] == b"\x1f\x8b":
        try:
            header = zlib.decompressobj(wbits=31).decompress(data, NIFTI_HEADER_BYTES)
        except zlib.error:
            return False
    return header[344:348] == b"n+1\0" or header[4:8] == b"n+2\0"


def read_picture(data: bytes, channels: int) -> tuple[Frame, bool]:
    """An ordinary picture of 8 bits, upright, grey or, with 3 channels, RGB; and whether its file holds more frames."""
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
                picture = _to_grey_or_rgb(_turn_upright(opened))
                pixels = np.asarray(picture.convert("L") if channels == 1 else picture)
        except RejectedImage:
            raise
        except UnidentifiedImageError as error:
            raise RejectedImage(f"not an image in a format that is read ({', '.join(FORMATS)})") from error
        except Image.DecompressionBombError as error:
            raise RejectedImage(_too_large("far more pixels")) from error
        except Exception as error:  # Pillow's decoders raise nearly anything on broken files; the import goes on
            raise RejectedImage(f"corrupt or truncated: {error or type(error).__name__}") from error
    return Frame(pixels, None, source_format), has_more_frames


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


def _to_image(frame: Frame, target: Target, has_more_frames: bool) -> Decoded:
    pixels = frame.pixels
    is_volume, is_rgb = target.volumes, not target.volumes and pixels.ndim == 3
    grey = np.asarray(Image.fromarray(pixels).convert("L")) if is_rgb else pixels
    small = thumbnail(grey[None])  # of the original: cropping must not hide a copy
    height, width = grey.shape[-2:]
    if target.channels == 1:
        pixels = grey
    if target.drop_border:
        box = border_box(grey)
        pixels, grey = pixels[box], grey[box]
    is_headless = False
    if target.crop == "head":
        head = head_box(grey)
        is_headless = head is None
        if head is not None:
            pixels = pixels[head]
    if is_volume:
        image = np.repeat(fit_volume(pixels, target.size, target.fit)[None], target.channels, axis=0)
    else:
        picture = Image.fromarray(pixels)
        fitted = fit_picture(picture if target.channels == 1 else picture.convert("RGB"), target.size, target.fit)
        image = np.atleast_3d(np.asarray(fitted)).transpose(2, 0, 1).copy()
    return Decoded(
        image=image,
        thumbnail=small,
        width=width,
        height=height,
        format=frame.format,
        group=frame.group,
        index=frame.index,
        has_more_frames=has_more_frames,
        is_headless=is_headless,
    )


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
