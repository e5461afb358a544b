"""Every kind of image and of broken file: pixels, or the reason why not."""

import gzip
import io
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from raysynth.data import dicom, nifti
from raysynth.data.decode import Decoded, Frame, RejectedImage, Target, decode, is_dicom, is_nifti, to_8_bits

RAMP = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))  # 64 x 64, dark on the left


def as_bytes(image: Image.Image, file_format: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def decoded(data: bytes, *, size: int = 64, channels: int = 1, fit="stretch") -> Decoded:
    (image,) = decode(data, Target(size=size, channels=channels, fit=fit))
    return image


def test_an_image_of_the_right_size_keeps_its_pixels():
    result = decoded(as_bytes(Image.fromarray(RAMP)))
    np.testing.assert_array_equal(result.image, RAMP[None])
    np.testing.assert_array_equal(result.thumbnail, RAMP)
    assert (result.width, result.height, result.format) == (64, 64, "PNG")


@pytest.mark.parametrize(("channels", "shape"), [(1, (1, 32, 32)), (3, (3, 32, 32))])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_every_mode_gives_the_asked_channels(mode, channels, shape):
    file_format = {"CMYK": "JPEG", "F": "TIFF", "I": "TIFF"}.get(mode, "PNG")
    image = Image.fromarray(RAMP).convert("L" if mode.startswith("I") else mode)
    if mode.startswith("I"):
        image = Image.fromarray((RAMP.astype(np.uint16) * 257) if mode == "I;16" else RAMP.astype(np.int32))
    result = decoded(as_bytes(image, file_format), size=32, channels=channels)
    assert result.image.shape == shape
    assert result.image.dtype == np.uint8
    assert result.image[:, :, -4:].mean() > result.image[:, :, :4].mean() + 100


def test_colour_is_kept_and_grey_is_its_brightness():
    data = as_bytes(Image.new("RGB", (40, 20), (255, 0, 0)))
    assert decoded(data, channels=3).image[:, 5, 5].tolist() == [255, 0, 0]
    assert decoded(data, channels=1).image[0, 5, 5] == 76


def test_grey_and_coloured_copies_are_the_same_grey_pixels():
    grey = decoded(as_bytes(Image.fromarray(RAMP)))
    colour = decoded(as_bytes(Image.fromarray(RAMP).convert("RGB")))
    np.testing.assert_array_equal(grey.thumbnail, colour.thumbnail)


def test_transparency_is_laid_over_black():
    clear = Image.new("RGBA", (8, 8), (255, 255, 255, 0))
    assert decoded(as_bytes(clear), size=8).image.max() == 0
    half = Image.new("LA", (8, 8), (200, 128))
    assert decoded(as_bytes(half), size=8).image.max() == pytest.approx(100, abs=1)
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 255, 255, 255])
    assert decoded(as_bytes(palette, transparency=1), size=8).image.max() == 0


@pytest.mark.parametrize(
    ("highest", "expected"),
    [
        (255, 255),
        (1023, round(1023 * 255 / 4095)),
        (4095, 255),
        (65535, 255),
        (200, 200),
        (2100, round(2100 * 255 / 4095)),
    ],
)
def test_16_bits_are_scaled_by_the_bit_depth_in_use(highest, expected):
    image = Image.fromarray(np.array([[0, highest]] * 2, dtype=np.uint16))
    result = decoded(as_bytes(image), size=8)
    assert result.image.min() == 0
    assert to_8_bits(np.array([[0, highest]], dtype=np.uint16)).tolist() == [[0, expected]]


def test_floats_are_stretched_and_nan_is_rejected():
    assert to_8_bits(np.array([[-1.0, 0.0, 1.0]])).tolist() == [[0, 128, 255]]
    assert to_8_bits(np.zeros((2, 2))).max() == 0
    nan = Image.fromarray(np.array([[np.nan, 1.0]], dtype=np.float32))
    with pytest.raises(RejectedImage, match="not numbers"):
        decoded(as_bytes(nan, "TIFF"))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_rotated_photograph_stands_upright(orientation):
    upright = Image.new("L", (40, 20))
    upright.paste(255, (0, 0, 20, 10))  # the upper left quarter is white
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright if undo is None else upright.transpose(undo)
    result = decoded(as_bytes(stored, "JPEG", exif=exif), size=32)
    assert (result.width, result.height) == (40, 20)
    assert result.image[0, 4, 4] > 200
    assert result.image[0, 28, 4] < 50
    assert result.image[0, 4, 28] < 50


def test_broken_exif_costs_no_image():
    data = as_bytes(Image.fromarray(RAMP), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    assert decoded(data).image.shape == (1, 64, 64)


def test_the_content_says_what_a_file_is():
    assert decoded(as_bytes(Image.fromarray(RAMP), "JPEG")).format == "JPEG"
    assert decoded(as_bytes(Image.fromarray(RAMP), "GIF")).format == "GIF"


def test_of_an_animation_the_first_frame_is_taken():
    frames = [Image.new("L", (16, 16), value) for value in (10, 200)]
    result = decoded(as_bytes(frames[0], "GIF", save_all=True, append_images=frames[1:]), size=16)
    assert result.has_more_frames
    assert result.image.max() == 10
    assert not decoded(as_bytes(frames[0])).has_more_frames


def test_fit_stretches_pads_or_crops():
    wide = Image.new("L", (60, 20), 100)
    wide.paste(200, (20, 0, 40, 20))  # the middle square is brighter
    data = as_bytes(wide)
    stretch, pad, crop = (decoded(data, size=30, fit=fit).image[0] for fit in ("stretch", "pad", "crop"))
    assert (stretch[:, 2] == 100).all()
    assert (stretch[:, 15] == 200).all()
    assert pad[15, 15] == 200
    assert pad[:9].max() == pad[-9:].max() == 0
    assert pad[15, 2] == 100
    assert (crop == 200).all()


@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("shape", [(1, 3000), (3000, 1), (1, 1)])
def test_extreme_shapes_are_fitted(fit, shape):
    assert decoded(as_bytes(Image.new("L", shape, 90)), size=16, fit=fit).image.max() == 90


def test_shrinking_is_antialiased():
    stripes = np.zeros((256, 256), dtype=np.uint8)
    stripes[:, ::2] = 255
    shrunk = decoded(as_bytes(Image.fromarray(stripes)), size=32).image
    assert abs(int(shrunk.min()) - 127) < 10
    assert abs(int(shrunk.max()) - 127) < 10


DICOM = b"\0" * 128 + b"DICM" + b"more"
NIFTI = b"\0" * 344 + b"n+1\0" + b"more"


def test_the_content_tells_medical_files_apart_and_the_name_helps():
    assert is_dicom(DICOM, "IM0001")
    assert is_dicom(b"no preamble", "a/1.DCM")
    assert not is_dicom(as_bytes(Image.fromarray(RAMP)), "a/1.png")
    assert is_nifti(NIFTI, "x")
    assert is_nifti(gzip.compress(NIFTI), "x.gz")
    assert is_nifti(b"", "x.NII.GZ")
    assert is_nifti(b"\x1c\x02\0\0n+2\0", "x")
    assert not is_nifti(gzip.compress(b"text"), "x.gz")
    assert not is_nifti(b"\x1f\x8bbroken", "x.gz")


def readers(monkeypatch, frames: list[Frame]) -> list[dict]:
    """Both readers of medical files return `frames`, and keep how they were called."""
    calls: list[dict] = []

    def read(data, **options):
        calls.append(options)
        return frames

    monkeypatch.setattr(dicom, "read_dicom", read)
    monkeypatch.setattr(nifti, "read_nifti", read)
    return calls


def test_each_frame_becomes_an_image(monkeypatch):
    colour = np.stack([RAMP, RAMP // 2, RAMP * 0], axis=-1)
    calls = readers(monkeypatch, [Frame(RAMP, "p", "DICOM", 3), Frame(colour, None, "DICOM", 7)])
    grey, coloured = decode(DICOM, Target(size=64, channels=3, window="percentile"), name="IM1")
    np.testing.assert_array_equal(grey.image, [RAMP] * 3)
    np.testing.assert_array_equal(coloured.image, colour.transpose(2, 0, 1))
    assert [(image.group, image.index, image.format) for image in (grey, coloured)] == [
        ("p", 3, "DICOM"),
        (None, 7, "DICOM"),
    ]
    (_, coloured) = decode(DICOM, Target(size=64), name="IM1")
    np.testing.assert_array_equal(coloured.image[0], np.asarray(Image.fromarray(colour).convert("L")))
    np.testing.assert_array_equal(coloured.image[0], coloured.thumbnail)
    assert calls == [{"window": "percentile"}, {"window": "auto"}]


def test_volumes_are_cubes_and_nothing_else_is_taken_with_them(monkeypatch):
    volume = np.repeat(RAMP[None, ::4], 20, axis=0)  # 20 slices of 16 x 64
    calls = readers(monkeypatch, [Frame(volume, "v", "NIfTI", 0)])
    target = Target(size=16, channels=3, volumes=True, axis="coronal", every=2)
    (image,) = decode(NIFTI, target, name="v.nii")
    assert image.image.shape == target.shape == (3, 16, 16, 16)
    assert (image.width, image.height, image.thumbnail.shape) == (64, 16, (64, 64))
    np.testing.assert_allclose(np.diff(image.image[0, :, :, 2:-2].astype(int), axis=2), 16, atol=2)
    assert calls == [{"axis": "coronal", "every": 2, "volumes": True, "group": "v.nii"}]
    for other in (DICOM, as_bytes(Image.fromarray(RAMP))):
        with pytest.raises(RejectedImage, match="not a NIfTI volume"):
            decode(other, target)


def test_below_a_class_folder_only_medical_files_are_taken(monkeypatch):
    readers(monkeypatch, [Frame(RAMP, "p", "DICOM", 0)])
    assert len(decode(DICOM, Target(size=16), name="a/P1/1", medical_only=True)) == 1
    with pytest.raises(RejectedImage, match="below the class folder"):
        decode(as_bytes(Image.fromarray(RAMP)), Target(size=16), name="a/P1/1", medical_only=True)


def test_a_file_without_a_frame_is_rejected(monkeypatch):
    readers(monkeypatch, [])
    with pytest.raises(RejectedImage, match="nothing but background"):
        decode(NIFTI, Target(size=16))


def test_the_border_goes_first_then_the_head_is_cut_out_then_it_is_fitted():
    """A head in black, in a white frame: without the frame the background is black, and the head touches all edges."""
    rows, columns = np.mgrid[:100, :120]
    head = (np.hypot((rows - 50) / 30, (columns - 70) / 20) < 1) * np.uint8(180)
    framed = np.pad(head, 25, constant_values=255)
    framed[26:30, 26:40] = 90  # a label, so that the border alone does not cut the head out
    data = as_bytes(Image.fromarray(framed))
    whole, dropped, cut = (
        decode(data, Target(size=60, crop=crop, drop_border=border))[0]
        for crop, border in (("none", False), ("none", True), ("head", True))
    )
    assert whole.image[0, 0, 0] == 255
    assert dropped.image[0, 0].max() < 120
    assert dropped.image.max() < 210
    profile = cut.image[0, 30], cut.image[0, :, 30]
    assert all(line[3:-3].min() > 150 for line in profile)
    assert cut.image[0][[0, 0, -1, -1], [0, -1, 0, -1]].max() < 40
    assert not cut.is_headless
    for image in (dropped, cut):
        np.testing.assert_array_equal(image.thumbnail, whole.thumbnail)
        assert (image.width, image.height) == (170, 150)


@pytest.mark.parametrize("channels", [1, 3])
def test_without_a_head_the_whole_image_is_taken(channels):
    data = as_bytes(Image.new("RGB", (30, 20), (9, 8, 7)))
    (image,) = decode(data, Target(size=16, channels=channels, crop="head", drop_border=True))
    assert image.is_headless
    np.testing.assert_array_equal(image.image, decode(data, Target(size=16, channels=channels))[0].image)


@pytest.mark.parametrize("shape", [(40, 40), (30, 50), (64, 20)])
def test_by_default_a_shape_leaves_no_trace_in_the_image(shape):
    """The same picture, stored with other proportions, gives the same pixels but for resampling: nothing is padded."""
    picture = Image.fromarray(RAMP).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    image = decoded(as_bytes(picture), size=16).image.astype(int)
    expected = decoded(as_bytes(Image.fromarray(RAMP)), size=16).image.astype(int)
    assert np.abs(image - expected).max() <= 12


def png_header(width: int, height: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    header = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + header + struct.pack(">I", 9) + b"IDAT"


@pytest.mark.parametrize("side", [10_001, 60_000])
def test_a_decompression_bomb_is_rejected_by_its_header(side):
    with pytest.raises(RejectedImage, match="more than 100 million are not decoded"):
        decoded(png_header(side, side))


def test_broken_files_are_rejected_with_a_reason():
    whole = as_bytes(Image.fromarray(RAMP), "JPEG")
    png = bytearray(as_bytes(Image.fromarray(RAMP)))
    png[60] ^= 0xFF
    for data, reason in (
        (b"", "empty"),
        (b"this is text, not an image", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (whole[: len(whole) // 2], "corrupt or truncated"),
        (whole[:20], "not an image|corrupt or truncated"),
        (bytes(png), "corrupt or truncated"),
    ):
        with pytest.raises(RejectedImage, match=reason):
            decoded(data)


@settings(max_examples=60, deadline=None)
@given(
    file_format=st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]),
    changes=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=8),
    length=st.integers(0, 3000),
)
def test_damaged_files_are_decoded_or_rejected_and_nothing_else(file_format, changes, length):
    data = bytearray(as_bytes(Image.fromarray(RAMP[:16, :16]), file_format))
    for position, value in changes:
        data[position % len(data)] = value
    with suppress(RejectedImage):
        assert decoded(bytes(data[:length]), size=16).image.shape == (1, 16, 16)
