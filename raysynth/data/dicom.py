"""DICOM files as 8-bit images: modality values, window, colour, frames, and who must not be told apart.

Of what a file says about a person nothing is kept but a hash of the patient's number (see `group_of`), and the reasons
for turning a file away quote nothing from it. Text burned into the pixels stays in the pixels, whatever the file's
own flag (0028,0301) says about it; look at the pictures. Pixels stay in the order they are stored in.
"""

from __future__ import annotations

import hashlib
import io
import math
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from raysynth.data.decode import MAX_PIXELS, Frame, RejectedImage
from raysynth.data.windowing import Window, linear, linear_exact, percentile_window, sigmoid, stretch, to_uint8
from raysynth.errors import UserError

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.uid import UID

MAX_BYTES = 2 * 2**30  # of all frames as stored, once decompressed
NUM_GROUP_DIGITS = 12

OTHER_DECODER = "pip install python-gdcm, or store it uncompressed"
GREY = ("MONOCHROME1", "MONOCHROME2")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
WINDOW_FUNCTIONS = {"LINEAR": linear, "LINEAR_EXACT": linear_exact, "SIGMOID": sigmoid}
# Where enhanced multi-frame files keep what single-frame files have at the top level.
TRANSFORM_SEQUENCES = ("PixelValueTransformationSequence", "FrameVOILUTSequence")
TRANSFORM_KEYWORDS = (
    "ModalityLUTSequence",
    "RescaleSlope",
    "RescaleIntercept",
    "VOILUTSequence",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
)


def require_pydicom() -> None:
    """Raises UserError where pydicom is not installed."""
    try:
        import pydicom  # noqa: F401
    except ImportError as error:
        raise UserError("SRC: DICOM needs pydicom; pip install 'raysynth[medical]'") from error


def read_dicom(data: bytes, *, window: Window) -> list[Frame]:
    """The frames of one DICOM file, (H, W) or, in colour, (H, W, 3).

    Grey: stored values through the modality LUT or rescale slope and intercept, then a window, then MONOCHROME1
    turned round so that more is brighter; padding is black. Window "auto": the file's VOI LUT, else the first of its
    windows, else, and with "percentile" always, the 1st to 99th percentile of the values in all frames of this file
    that are not padding. Frames of one grey value or colour, such as the empty slices at the ends of a volume, are
    left out. Raises RejectedImage with the reason, also where no frame remains, and UserError where pydicom is missing.
    """
    require_pydicom()
    import pydicom
    import pydicom.config

    try:
        with warnings.catch_warnings(), pydicom.config.disable_value_validation():
            warnings.simplefilter("ignore")
            _refuse_to_inflate_without_end(data)
            file = pydicom.dcmread(io.BytesIO(data), force=True)
            frames = [(index, pixels) for index, pixels in enumerate(_read_frames(file, window)) if _varies(pixels)]
            if not frames:
                is_hidden = window == "auto" and any(_varies(pixels) for pixels in _read_frames(file, "percentile"))
                where = "in the file's own window; --window percentile shows more" if is_hidden else "all over"
                raise RejectedImage(f"one grey value {where}")
            # Whoever it is, the frames of one file show the same person.
            group = group_of(file) or (_pseudonym("file", data) if len(frames) > 1 else None)
            return [Frame(pixels, group, "DICOM", index) for index, pixels in frames]
    except RejectedImage:
        raise
    except Exception as error:  # broken files raise nearly anything; the text might quote the patient's data
        raise RejectedImage("corrupt or truncated DICOM") from error


def group_of(file: Dataset) -> str | None:
    """`patient-` and 12 hex digits of a hash of PatientID, without one `study-` of StudyInstanceUID, else None.

    The same number gives the same group in every import. The hash hides the number from a reader of the data set, not
    from somebody who has a list of the numbers: they can hash theirs and compare.
    """
    for prefix, keyword in (("patient", "PatientID"), ("study", "StudyInstanceUID")):
        if identity := str(file.get(keyword) or "").strip():
            return _pseudonym(prefix, identity.encode("utf-8", "surrogateescape"))
    return None


def _pseudonym(prefix: str, identity: bytes) -> str:
    return f"{prefix}-{hashlib.blake2b(identity).hexdigest()[:NUM_GROUP_DIGITS]}"


def _read_frames(file: Dataset, window: Window) -> Iterator[np.ndarray]:
    """Frames (H, W) or (H, W, 3) uint8."""
    stored = _decode(file, _check(file))
    colours = file.PhotometricInterpretation
    if colours in GREY:
        yield from _show_grey(file, stored, window)
    elif colours == "PALETTE COLOR":
        for pixels in stored:
            yield _through_palette(file, pixels)
    else:  # pydicom has made RGB of it
        white = 2.0**file.BitsStored - 1
        for pixels in stored:
            yield to_uint8(np.clip(pixels / white, 0.0, 1.0))


def _varies(pixels: np.ndarray) -> bool:
    """Whether there is anything to see in a picture (H, W) or (H, W, 3)."""
    return bool(np.ptp(pixels, axis=(0, 1)).any())


def _through_palette(file: Dataset, pixels: np.ndarray) -> np.ndarray:
    tables = [f"{colour}PaletteColorLookupTable" for colour in ("Red", "Green", "Blue")]
    if f"{tables[0]}Data" in file:
        planes = [_look_up(pixels, file[f"{name}Descriptor"].value, file[f"{name}Data"].value) for name in tables]
        return to_uint8(np.stack([entries / white for entries, white in planes], axis=-1))
    from pydicom.pixels import apply_color_lut  # knows segmented tables

    colours = apply_color_lut(pixels, file)[..., :3]
    return to_uint8(colours / np.iinfo(colours.dtype).max)


def _decode(file: Dataset, num_frames: int) -> list[np.ndarray]:
    """The frames as stored, (H, W) or (H, W, 3), YBR turned to RGB; no more of them than the header owns up to."""
    from pydicom.pixels import iter_pixels

    try:
        return list(islice(iter_pixels(file), num_frames))
    except Exception as error:  # every decoder has its own
        syntax = file.file_meta.TransferSyntaxUID
        if not syntax.is_compressed:
            raise RejectedImage("corrupt or truncated pixel data") from error
        raise RejectedImage(
            f"pixel data ({syntax.name}) that are corrupt, or that the installed decoder cannot read; {OTHER_DECODER}"
        ) from error


def _show_grey(file: Dataset, stored: list[np.ndarray], window: Window) -> Iterator[np.ndarray]:
    transforms = [_transform_of_frame(file, index) for index in range(len(stored))]
    common: tuple[float, float] | None = None  # one for all frames: they are often the slices of one volume
    for pixels, transform in zip(stored, transforms, strict=True):
        values = _to_modality(pixels, transform)
        grey = _through_own_window(values, transform) if window == "auto" else None
        if grey is None:
            common = common or _common_window(file, stored, transforms)
            grey = stretch(values, *common)
        if file.PhotometricInterpretation == "MONOCHROME1":
            grey = 1.0 - grey
        yield to_uint8(np.where(_is_inside(pixels, file), grey, 0.0))


def _common_window(
    file: Dataset, stored: list[np.ndarray], transforms: Sequence[Mapping[str, Any]]
) -> tuple[float, float]:
    inside = [
        _to_modality(pixels, transform)[_is_inside(pixels, file)].astype(np.float32)
        for pixels, transform in zip(stored, transforms, strict=True)
    ]
    return percentile_window(np.concatenate(inside))


def _transform_of_frame(file: Dataset, index: int) -> dict[str, Any]:
    """Keyword -> value of what turns stored values into grey: the file's, its shared groups', the frame's own."""
    places = [file]
    for groups, row in (("SharedFunctionalGroupsSequence", 0), ("PerFrameFunctionalGroupsSequence", index)):
        for item in list(file.get(groups) or [])[row : row + 1]:
            places += [part for name in TRANSFORM_SEQUENCES for part in list(item.get(name) or [])[:1]]
    return {keyword: place.get(keyword) for place in places for keyword in TRANSFORM_KEYWORDS if keyword in place}


def _to_modality(pixels: np.ndarray, transform: Mapping[str, Any]) -> np.ndarray:
    """Stored values as what was measured, e.g. Hounsfield units (PS3.3 C.11.1)."""
    if table := transform.get("ModalityLUTSequence"):
        return _look_up(pixels, table[0].LUTDescriptor, table[0].LUTData)[0]
    slope, intercept = _number(transform.get("RescaleSlope")), _number(transform.get("RescaleIntercept"))
    return pixels.astype(np.float64) * (1.0 if slope is None else slope) + (intercept or 0.0)


def _through_own_window(values: np.ndarray, transform: Mapping[str, Any]) -> np.ndarray | None:
    """Grey from 0 to 1 by the file's VOI LUT or window; None if it has neither, or one that the standard forbids."""
    if table := transform.get("VOILUTSequence"):
        entries, white = _look_up(values, table[0].LUTDescriptor, table[0].LUTData)
        return np.clip(entries / white, 0.0, 1.0)
    centre, width = _number(transform.get("WindowCenter")), _number(transform.get("WindowWidth"))
    function = WINDOW_FUNCTIONS.get(str(transform.get("VOILUTFunction")), linear)
    if centre is None or width is None or width <= 0 or (function is linear and width < 1):
        return None
    return function(values, centre, width)


def _look_up(values: np.ndarray, descriptor: Sequence[int], data: bytes | Sequence[int]) -> tuple[np.ndarray, float]:
    """Entries of a look-up table (float64), and the largest that there can be; values beyond an end get its entry."""
    num_entries, first, num_bits = descriptor
    num_entries = num_entries or 2**16
    if isinstance(data, bytes):
        num_bytes = 1 if len(data) < 2 * num_entries else 2  # whatever the descriptor says
        data = np.frombuffer(data, f"<u{num_bytes}").tolist()
        num_bits = min(num_bits, 8 * num_bytes)
    entries = np.array(data, dtype=np.float64)[:num_entries]
    rows = np.clip(np.round(values.astype(np.float64)) - first, 0, len(entries) - 1).astype(np.intp)
    return entries[rows], 2.0**num_bits - 1


def _is_inside(pixels: np.ndarray, file: Dataset) -> np.ndarray:
    """Where stored values (H, W) are neither padding nor NaN; PixelPaddingRangeLimit is the other end of a range."""
    inside = np.isfinite(pixels)
    kind = {"f4": "Float", "f8": "DoubleFloat"}.get(pixels.dtype.str[1:], "")
    if (padding := file.get(f"{kind}PixelPaddingValue")) is not None:
        limit = file.get(f"{kind}PixelPaddingRangeLimit")
        # Writers confuse 63536 with -2000: the stored type decides.
        ends = np.array([padding, padding if limit is None else limit]).astype(pixels.dtype)
        inside &= (pixels < ends.min()) | (pixels > ends.max())
    return inside


def _number(value: Any) -> float | None:
    """The first of one or several values; None if there is none that is a number."""
    try:
        number = float(value if isinstance(value, str | float | int) else value[0])
    except (TypeError, ValueError, IndexError):
        return None
    return number if math.isfinite(number) else None


def _check(file: Dataset) -> int:
    """The number of frames. Raises RejectedImage for what is not a picture, too large, or cannot be decompressed."""
    from pydicom.uid import (
        UID,
        ExplicitVRBigEndian,
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        SegmentationStorage,
    )

    kind = UID(str(file.get("SOPClassUID") or file.file_meta.get("MediaStorageSOPClassUID") or ""))
    if not any(keyword in file for keyword in PIXEL_KEYWORDS):
        if "Rows" in file:
            raise RejectedImage("truncated DICOM: it describes an image, but has no pixel data")
        if kind:
            raise RejectedImage(f"no pixel data ({kind.name if kind.name != kind else 'a private kind of DICOM'})")
        raise RejectedImage("not DICOM, or cut off in the header")
    if kind == SegmentationStorage:
        raise RejectedImage("a segmentation, not an image")
    if "TransferSyntaxUID" not in file.file_meta:  # a file without preamble and header
        is_implicit, is_little = file.original_encoding
        explicit = ExplicitVRLittleEndian if is_little else ExplicitVRBigEndian
        file.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if is_implicit else explicit
    if file.PhotometricInterpretation not in (*GREY, *COLOUR, "PALETTE COLOR"):
        raise RejectedImage("colours that are not read; MONOCHROME, PALETTE COLOR, RGB and YBR are")

    num_frames = max(1, int(file.get("NumberOfFrames") or 1))
    num_pixels = file.Rows * file.Columns
    if num_pixels == 0:
        raise RejectedImage("an image without pixels")
    if num_pixels > MAX_PIXELS:
        raise RejectedImage(f"{file.Columns} x {file.Rows} pixels, more than {MAX_PIXELS // 10**6} million")
    if num_frames * num_pixels * file.SamplesPerPixel * file.BitsAllocated / 8 > MAX_BYTES:
        raise RejectedImage(f"{num_frames} frames of {file.Columns} x {file.Rows} pixels are more than 2 GiB")
    _refuse_unknown_compression(file.file_meta.TransferSyntaxUID)
    return num_frames


def _refuse_unknown_compression(syntax: UID) -> None:
    from pydicom.pixels import get_decoder

    try:
        is_available = get_decoder(syntax).is_available
    except NotImplementedError:
        is_available = False
    if not is_available:
        name = syntax.name if syntax.name != syntax else "a private way"
        raise RejectedImage(f"no decoder is installed for {name}; {OTHER_DECODER}")


def _refuse_to_inflate_without_end(data: bytes) -> None:
    """Raises RejectedImage if the whole file is deflated (a transfer syntax that pydicom unpacks at once) and huge."""
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    # The length of the header stands in its first element, in bytes 140 to 143, and counts from the next byte.
    start = 144 + int.from_bytes(data[140:144], "little")
    if DeflatedExplicitVRLittleEndian.encode() not in data[:start]:
        return
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    with suppress(zlib.error):  # pydicom will find that too
        inflater.decompress(data[start:], MAX_BYTES)
        if inflater.unconsumed_tail:
            raise RejectedImage("a deflated file of more than 2 GiB")
