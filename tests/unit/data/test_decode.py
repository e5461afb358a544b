"""Every kind of image and of broken file: pixels, or the reason why not."""

import io
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from raysynth.data.decode import Decoded, RejectedImage, decode, to_8_bits

RAMP = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))  # 64 x 64, dark on the left


def as_bytes(image: Image.Image, file_format: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def decoded(data: bytes, *, size: int = 64, channels: int = 1, fit="stretch") -> Decoded:
    return decode(data, size=size, channels=channels, fit=fit)


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
