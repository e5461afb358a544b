"""NIfTI volumes as 8-bit slices or whole, of cubic voxels, the patient lying the same way in each.

However a volume is stored, it is turned to RAS+ (voxel indices grow towards the patient's right, anterior and superior
side) by its own affine: flips and swaps of axes, no rotation by less than 90 degrees. Pictures follow the convention of
radiology, the viewer at the patient's feet, face or left side: axial slices have anterior up, coronal and sagittal ones
superior up; the patient's right is on the left of axial and coronal slices, anterior on the left of sagittal ones.
Slices count from inferior (axial), posterior (coronal) or left (sagittal).
"""

from __future__ import annotations

import gzip
import io
import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from raysynth.data.decode import Frame, RejectedImage
from raysynth.data.windowing import percentile_window, stretch, to_uint8
from raysynth.errors import UserError

if TYPE_CHECKING:
    from nibabel import Nifti1Header

Axis = Literal["axial", "coronal", "sagittal"]
AXES: tuple[Axis, ...] = ("axial", "coronal", "sagittal")

MAX_BYTES = 2 * 2**30  # of a volume as float32, of what is unpacked to get at it, and of what is made of it
MAX_SIDE = 512  # of a whole volume, in voxels
MAX_HEADER_BYTES = 540  # NIfTI-2; NIfTI-1 has 348
GZIP = b"\x1f\x8b"
# The axes of a RAS+ volume that become slices, rows and columns; rows and columns then run backwards.
PICTURE_AXES = {"axial": (2, 1, 0), "coronal": (1, 2, 0), "sagittal": (0, 2, 1)}


def require_nibabel() -> None:
    """Raises UserError where nibabel is not installed."""
    try:
        import nibabel  # noqa: F401
    except ImportError as error:
        raise UserError("SRC: NIfTI needs nibabel; pip install 'raysynth[medical]'") from error


def read_nifti(data: bytes, *, axis: Axis, every: int, volumes: bool, group: str) -> list[Frame]:
    """Every `every`-th slice along `axis` of a .nii or .nii.gz, or, with `volumes`, the whole volume as one frame.

    Values are scaled by the header's slope and intercept, then by one window for the whole volume: the 1st to 99th
    percentile of the voxels that are not background (see `find_background`), which is black. Slices (H, W) of unequal
    spacing are stretched to square pixels of the finer one; slices of background alone or of one grey value are left
    out, and `index` is the number of the slice in the volume. A volume (D, H, W) has cubic voxels of the finest
    spacing, no more than 512 a side, unpadded; its first axis counts the slices along `axis`. Of several volumes
    in one file (4-D) the first is taken. Raises RejectedImage with the reason, and UserError where nibabel is missing.
    """
    require_nibabel()
    from nibabel.imageglobals import LoggingOutputSuppressor

    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"), LoggingOutputSuppressor():
            warnings.simplefilter("ignore")
            voxels, spacing = _load(data, axis)
            background = find_background(voxels)
            window = percentile_window(voxels[~background])
            step = 1 if volumes else every
            numbers = [number for number in range(0, len(voxels), step) if volumes or not background[number].all()]
            where = "" if step == 1 else f" (--every {step})"
            if background.all() or not numbers:
                raise RejectedImage(f"nothing but background{where}")
            # One by one: the whole volume as float64 would be gigabytes.
            planes = np.stack([to_uint8(np.where(background[i], 0.0, stretch(voxels[i], *window))) for i in numbers])
            varies = np.ptp(planes) > 0 if volumes else np.ptp(planes, axis=(1, 2)) > 0
            if not varies.any():
                raise RejectedImage(f"nothing but background and one value, as in a mask{where}")
            if volumes:
                return [Frame(_to_cubic_voxels(planes, spacing), group, "NIfTI", 0)]
            height, width = (
                round(num * size / min(spacing[1:])) for num, size in zip(planes.shape[1:], spacing[1:], strict=True)
            )
            pictures = resize_planes(planes[varies], height, width)
            kept = np.array(numbers)[varies].tolist()
            return [Frame(picture, group, "NIfTI", number) for number, picture in zip(kept, pictures, strict=True)]
    except RejectedImage:
        raise
    except Exception as error:  # broken files raise nearly anything; the import goes on
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise RejectedImage(f"corrupt or truncated NIfTI ({text})") from error


def find_background(voxels: np.ndarray) -> np.ndarray:
    """True in (D, H, W) where nothing was measured: NaN, infinite, and the value most of the six faces consist of.

    That value is 0 around a head without its skull, or what a CT writes outside of its circle. Without such a
    majority (noise around a head, a volume cut out of the middle) every number counts as measured.
    """
    background = ~np.isfinite(voxels)
    faces = np.concatenate([np.moveaxis(voxels, axis, 0)[[0, -1]].ravel() for axis in range(3)])
    faces = faces[np.isfinite(faces)]
    if faces.size:
        value = np.median(faces)  # a value with a majority is the median
        if np.mean(faces == value) > 0.5:
            background |= voxels == value
    return background


def resize_planes(planes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Planes (N, H, W) uint8 as (N, height, width): linear between pixels, averaged where they become fewer."""
    if planes.shape[1:] == (height, width):
        return planes
    if len(planes) * height * width > MAX_BYTES:
        raise RejectedImage("voxels of so unequal sides that slices of square pixels are more than 2 GiB")
    bilinear = Image.Resampling.BILINEAR  # sharper filters overshoot beside the black background
    return np.stack([np.asarray(Image.fromarray(plane).resize((width, height), bilinear)) for plane in planes])


def _to_cubic_voxels(volume: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """(D, H, W) uint8 with cubic voxels of the finest spacing, at most MAX_SIDE of them a side."""
    extents = [num * size for num, size in zip(volume.shape, spacing, strict=True)]
    voxel_size = max(min(spacing), max(extents) / MAX_SIDE)
    depth, height, width = (max(1, round(extent / voxel_size)) for extent in extents)
    volume = resize_planes(volume, height, width)
    return np.ascontiguousarray(resize_planes(volume.swapaxes(0, 1), depth, width).swapaxes(0, 1))


def _load(data: bytes, axis: Axis) -> tuple[np.ndarray, tuple[float, ...]]:
    """The first volume as float32 (slices, rows, columns) along `axis`, and the spacing (in mm) in that order."""
    import nibabel
    from nibabel.affines import voxel_sizes

    voxels, affine = _read_voxels(data)
    if not (np.isfinite(affine).all() and voxel_sizes(affine).all()):
        raise RejectedImage("the header's affine gives voxels without size or place")
    image = nibabel.as_closest_canonical(nibabel.Nifti2Image(voxels, affine))
    axes = PICTURE_AXES[axis]
    spacing = tuple(float(size) for size in voxel_sizes(image.affine)[list(axes)])
    return image.get_fdata(dtype=np.float32).transpose(axes)[:, ::-1, ::-1], spacing


def _read_voxels(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """The first volume as stored, (I, J, K) float32, and its affine (4, 4).

    Not left to nibabel, which would unpack whatever the file claims to hold: no more than the header and the first
    volume is read.
    """
    from nibabel import Nifti1Header, Nifti2Header

    stream = gzip.GzipFile(fileobj=io.BytesIO(data)) if data.startswith(GZIP) else io.BytesIO(data)
    start = stream.read(MAX_HEADER_BYTES)
    for kind in (Nifti1Header, Nifti2Header):
        if kind.may_contain_header(start):
            header = kind(start[: kind.sizeof_hdr], check=False)
            shape, dtype, offset = _check(header)
            num_missing = offset + math.prod(shape) * dtype.itemsize - len(start)
            stored = np.frombuffer(start + stream.read(max(0, num_missing)), dtype, math.prod(shape), offset)
            voxels = stored.reshape(shape, order="F").astype(np.float32)
            slope, intercept = header.get_slope_inter()
            if slope is not None:
                voxels = voxels * slope + intercept
            return voxels, header.get_best_affine()
    raise RejectedImage("not NIfTI")


def _check(header: Nifti1Header) -> tuple[tuple[int, ...], np.dtype, int]:
    """Shape and type of the first volume, and where it starts. Raises RejectedImage for what is no scan."""
    shape, dtype, offset = header.get_data_shape(), header.get_data_dtype(), int(header["vox_offset"])
    if bytes(header["magic"])[:2] == b"ni":
        raise RejectedImage("a NIfTI header whose voxels are in another file (.img); store both in one .nii")
    if len(shape) < 3 or min(shape) < 1:
        raise RejectedImage(f"not a volume but of shape {tuple(map(int, shape))}")
    if dtype.kind not in "iuf":
        raise RejectedImage(f"voxels of type {header.get_value_label('datatype')}, not plain numbers")
    shape = tuple(map(int, shape[:3]))
    if offset + math.prod(shape) * max(dtype.itemsize, np.dtype(np.float32).itemsize) > MAX_BYTES:
        raise RejectedImage(f"{' x '.join(map(str, shape))} voxels are more than 2 GiB")
    return shape, dtype, offset
