"""DICOM: grey values by the formulas of the standard, every way to store them, and nobody's name."""

import csv
import hashlib
import io
import math
import re
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pydicom import Dataset, config, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    BasicTextSRStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLossless,
    MRImageStorage,
    RLELossless,
    SegmentationStorage,
)

from raysynth.data.decode import RejectedImage
from raysynth.data.dicom import read_dicom
from raysynth.data.importer import import_images
from raysynth.errors import UserError

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
NAME, NUMBER, BIRTH_DATE = "Mustermann^Erika", "PID-4711-0815", "19560214"
FOLDER = NAME.upper().replace("^", "_")


def make_file(
    pixels: np.ndarray | None = RAMP, *, syntax=ExplicitVRLittleEndian, bits_stored=None, **elements
) -> bytes:
    """A DICOM file of stored values (H, W), (N, H, W) or, with SamplesPerPixel=3, (H, W, 3); None: without pixels."""
    file = Dataset()
    file.SOPClassUID, file.SOPInstanceUID = MRImageStorage, "1.2.3.4"
    file.PatientName, file.PatientID, file.PatientBirthDate = NAME, NUMBER, BIRTH_DATE
    file.StudyInstanceUID = "1.2.3"
    if pixels is not None:
        file.PhotometricInterpretation = "MONOCHROME2"
        file.SamplesPerPixel = elements.get("SamplesPerPixel", 1)
        shape = pixels.shape[:-1] if file.SamplesPerPixel == 3 else pixels.shape
        file.Rows, file.Columns = shape[-2:]
        if len(shape) == 3:
            file.NumberOfFrames = shape[0]
        if file.SamplesPerPixel == 3:
            file.PlanarConfiguration = 0
        file.BitsAllocated = 8 * pixels.itemsize
        if pixels.dtype.kind == "f":
            file.FloatPixelData = pixels.tobytes()
        else:
            file.BitsStored = bits_stored or file.BitsAllocated
            file.HighBit = file.BitsStored - 1
            file.PixelRepresentation = int(pixels.dtype.kind == "i")
            order = ">" if syntax == ExplicitVRBigEndian else "<"
            file.PixelData = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    for keyword, value in elements.items():
        setattr(file, keyword, value)
        if keyword.startswith("PixelPadding"):
            file[keyword].VR = "SS" if value < 0 else "US"
    return as_bytes(file, syntax)


def as_bytes(file: Dataset, syntax=ExplicitVRLittleEndian) -> bytes:
    if "PixelData" in file:
        file["PixelData"].VR = "OB" if file.BitsAllocated == 8 or syntax.is_encapsulated else "OW"
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = syntax
    file.file_meta.MediaStorageSOPClassUID, file.file_meta.MediaStorageSOPInstanceUID = file.SOPClassUID, "1.2.3.4"
    buffer = io.BytesIO()
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")
        dcmwrite(buffer, file, enforce_file_format=True)
    return buffer.getvalue()


def item(**elements) -> Dataset:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def read_one(data: bytes, window="auto") -> np.ndarray:
    [frame] = read_dicom(data, window=window)
    assert frame.pixels.dtype == np.uint8
    assert (frame.format, frame.index) == ("DICOM", 0)
    return frame.pixels


def as_grey(fractions) -> np.ndarray:
    return np.round(255 * np.asarray(fractions, dtype=np.float64)).astype(np.uint8)


def window_of_the_standard(x: float, function: str, centre: float, width: float) -> float:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3, from 0 to 1, as it stands there."""
    if function == "SIGMOID":
        return 1 / (1 + math.exp(min(700, -4 * (x - centre) / width)))  # exp(710) overflows
    if function == "LINEAR_EXACT":
        if x <= centre - width / 2:
            return 0
        return 1 if x > centre + width / 2 else (x - centre) / width + 0.5
    if x <= centre - 0.5 - (width - 1) / 2:
        return 0
    if x > centre - 0.5 + (width - 1) / 2:
        return 1
    return (x - (centre - 0.5)) / (width - 1) + 0.5


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID", None])
@pytest.mark.parametrize(("centre", "width"), [(40, 80), (40, 400), (0, 1), (512.5, 3), (1000, 4096)])
def test_the_window_follows_the_standard(function, centre, width):
    more = {} if function is None else {"VOILUTFunction": function}
    data = make_file(WindowCenter=centre, WindowWidth=width, RescaleSlope=2, RescaleIntercept=-1024, **more)
    values = 2.0 * RAMP - 1024
    expected = [[window_of_the_standard(x, function or "LINEAR", centre, width) for x in row] for row in values]
    np.testing.assert_array_equal(read_one(data), as_grey(expected))


def test_of_several_windows_the_first_counts():
    several = make_file(WindowCenter=[300, 2000], WindowWidth=[100, 4000])
    one = make_file(WindowCenter=300, WindowWidth=100)
    np.testing.assert_array_equal(read_one(several), read_one(one))


@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"WindowCenter": 300},
        {"WindowCenter": 300, "WindowWidth": 0},
        {"WindowCenter": 300, "WindowWidth": 0.5},
        {"WindowCenter": 300, "WindowWidth": -5, "VOILUTFunction": "SIGMOID"},
    ],
)
def test_without_a_usable_window_it_is_the_percentiles(elements):
    low, high = np.percentile(RAMP, [1, 99])
    expected = as_grey(np.clip((RAMP - low) / (high - low), 0, 1))
    np.testing.assert_array_equal(read_one(make_file(**elements)), expected)


def test_percentiles_can_be_asked_for():
    data = make_file(WindowCenter=300, WindowWidth=100)
    np.testing.assert_array_equal(read_one(data, "percentile"), read_one(make_file()))
    assert not np.array_equal(read_one(data), read_one(data, "percentile"))


def test_percentiles_do_not_depend_on_the_unit():
    np.testing.assert_array_equal(read_one(make_file(RescaleSlope=0.25, RescaleIntercept=-7)), read_one(make_file()))


def test_an_image_of_one_value_is_rejected():
    for image in (
        make_file(np.full((8, 8), 700, np.uint16)),
        make_file(np.full((8, 8), 700, np.uint16), WindowCenter=700, WindowWidth=100),
        make_file(np.full((4, 6, 3), (9, 8, 7), np.uint8), SamplesPerPixel=3, PhotometricInterpretation="RGB"),
        make_file(np.zeros((3, 8, 8), np.uint16)),
    ):
        for window in ("auto", "percentile"):
            with pytest.raises(RejectedImage, match=r"^one grey value all over$"):
                read_dicom(image, window=window)
    missed = make_file(WindowCenter=9000, WindowWidth=100)
    with pytest.raises(RejectedImage, match=r"own window; --window percentile shows more"):
        read_dicom(missed, window="auto")
    np.testing.assert_array_equal(read_one(missed, "percentile"), read_one(make_file()))


def test_empty_frames_are_left_out():
    volume = np.stack([RAMP * 0, RAMP, RAMP * 0, RAMP[::-1], RAMP * 0])
    frames = read_dicom(make_file(volume, PatientID="", StudyInstanceUID=""), window="auto")
    assert [frame.index for frame in frames] == [1, 3]
    assert len({frame.group for frame in frames}) == 1


def test_a_few_bright_pixels_stay_bright():
    spots = np.zeros((64, 64), np.uint16)
    spots[3, 4] = 900
    assert read_one(make_file(spots))[3, 4] == 255
    assert read_one(make_file(spots)).sum() == 255


@pytest.mark.parametrize("num_bits", [8, 12])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_table_goes_before_a_window(num_bits, syntax):
    entries = [0, 10, 100, 2**num_bits - 1]
    table = item(LUTDescriptor=[4, 1000, num_bits], LUTData=np.array(entries, "<u2").tobytes())
    table["LUTData"].VR = "OW"
    table["LUTDescriptor"].VR = "US"
    data = make_file(VOILUTSequence=[table], WindowCenter=10, WindowWidth=5, syntax=syntax)
    expected = np.array(entries)[np.clip(RAMP.astype(int) - 1000, 0, 3)] / (2**num_bits - 1)
    np.testing.assert_array_equal(read_one(data), as_grey(expected))


def test_a_table_of_many_entries_of_8_bits():
    table = item(LUTDescriptor=[0, 0, 8], LUTData=(np.arange(2**16) // 256).astype("<u2").tobytes())
    table["LUTData"].VR, table["LUTDescriptor"].VR = "OW", "US"
    pixels = (RAMP * 16).astype(np.uint16)
    np.testing.assert_array_equal(read_one(make_file(pixels, VOILUTSequence=[table])), pixels // 256)


def test_a_modality_table_comes_before_the_window():
    table = item(LUTDescriptor=[4096, 0, 16], LUTData=[int(value) for value in 3 * RAMP.ravel()])
    table["LUTData"].VR, table["LUTDescriptor"].VR = "US", "US"
    window = {"WindowCenter": 6000, "WindowWidth": 9000}
    by_table = make_file(ModalityLUTSequence=[table], **window)
    np.testing.assert_array_equal(read_one(by_table), read_one(make_file(RescaleSlope=3, RescaleIntercept=0, **window)))


@pytest.mark.parametrize("window", ["auto", "percentile"])
def test_monochrome1_is_turned_round(window):
    more = {"WindowCenter": 2000, "WindowWidth": 511}
    negative = read_one(make_file(PhotometricInterpretation="MONOCHROME1", **more), window)
    np.testing.assert_allclose(negative.astype(int), 255 - read_one(make_file(**more), window).astype(int), atol=1)
    assert negative[0, 0] == 255


@pytest.mark.parametrize("interpretation", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(
    ("elements", "values"),
    [
        ({"PixelPaddingValue": -2000}, [-2000]),
        ({"PixelPaddingValue": 63536}, [-2000]),
        ({"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1990}, [-2000, -1995, -1990]),
    ],
)
def test_padding_is_black_and_outside_of_the_percentiles(interpretation, elements, values):
    plain = (RAMP.astype(np.int16) % 1000)[:, :60]
    padded = np.concatenate([plain, np.resize(values, (64, 4)).astype(np.int16)], axis=1)
    result = read_one(make_file(padded, PhotometricInterpretation=interpretation, **elements))
    assert result[:, 60:].max() == 0
    np.testing.assert_array_equal(result[:, :60], read_one(make_file(plain, PhotometricInterpretation=interpretation)))


def test_signed_values_and_fewer_bits_than_are_allocated():
    window = {"WindowCenter": 0, "WindowWidth": 4000}
    signed = RAMP.astype(np.int16) - 2048
    expected = read_one(make_file(RAMP, RescaleSlope=1, RescaleIntercept=-2048, **window))
    np.testing.assert_array_equal(read_one(make_file(signed, **window)), expected)
    # 12 bits: what stands in the upper four is not part of the value (old files kept drawings there).
    np.testing.assert_array_equal(read_one(make_file(signed & 0x0FFF, bits_stored=12, **window)), expected)
    drawn_over = RAMP | np.uint16(0x9000)
    np.testing.assert_array_equal(read_one(make_file(drawn_over, bits_stored=12)), read_one(make_file(RAMP)))


def test_floats_and_nan():
    pixels = (RAMP / 1000).astype(np.float32)
    result = read_one(make_file(pixels, WindowCenter=2, WindowWidth=2, VOILUTFunction="LINEAR_EXACT"))
    np.testing.assert_array_equal(result, as_grey(np.clip(pixels.astype(np.float64) / 2 - 0.5, 0, 1)))
    pixels[:, :32] = np.nan
    half = read_one(make_file(pixels))
    assert half[:, :32].max() == 0
    assert half[:, 32:].max() == 255


def test_colours():
    red = np.zeros((4, 6, 3), np.uint8)
    red[..., 0] = 200
    red[1, 2] = 120
    rgb = make_file(red, SamplesPerPixel=3, PhotometricInterpretation="RGB")
    np.testing.assert_array_equal(read_one(rgb), red)
    planes = make_file(red, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=1)
    assert not np.array_equal(read_one(planes), red)  # the same bytes, read plane by plane
    luma = np.asarray(Image.fromarray(red).convert("YCbCr"))
    ybr = make_file(luma, SamplesPerPixel=3, PhotometricInterpretation="YBR_FULL")
    np.testing.assert_allclose(read_one(ybr), red, atol=2)
    deep = make_file(red.astype(np.uint16) * 257, SamplesPerPixel=3, PhotometricInterpretation="RGB")
    np.testing.assert_array_equal(read_one(deep), red)


@pytest.mark.parametrize("num_bits", [8, 16])
def test_palettes(num_bits):
    indices = np.array([[0, 1], [2, 1]], np.uint8)
    scale = 257 if num_bits == 16 else 1
    colours = np.array([[255, 0, 0], [0, 128, 0], [9, 8, 7]])
    tables = {}
    for column, colour in enumerate(("Red", "Green", "Blue")):
        tables[f"{colour}PaletteColorLookupTableDescriptor"] = [3, 0, num_bits]
        data = (colours[:, column] * scale).astype("<u2" if num_bits == 16 else np.uint8).tobytes()
        tables[f"{colour}PaletteColorLookupTableData"] = data + b"\0" * (len(data) % 2)
    data = make_file(indices, PhotometricInterpretation="PALETTE COLOR", **tables)
    np.testing.assert_array_equal(read_one(data), colours[indices])


def test_a_segmented_palette():
    tables = {}
    for colour, entries in (("Red", [255, 0, 9, 1]), ("Green", [0, 128, 8, 2]), ("Blue", [0, 0, 7, 3])):
        tables[f"{colour}PaletteColorLookupTableDescriptor"] = [4, 0, 8]
        tables[f"Segmented{colour}PaletteColorLookupTableData"] = bytes([0, 4, *entries])  # one discrete segment
    data = make_file(np.array([[0, 1], [2, 3]], np.uint8), PhotometricInterpretation="PALETTE COLOR", **tables)
    assert read_one(data).tolist() == [[[255, 0, 0], [0, 128, 0]], [[9, 8, 7], [1, 2, 3]]]


def enhanced(slopes, *, windows=None, shared=None) -> bytes:
    """A multi-frame file with a slope (and a window) for each frame, or shared ones."""
    frames = np.stack([RAMP] * len(slopes))
    per_frame = []
    for index, slope in enumerate(slopes):
        groups = {"PixelValueTransformationSequence": [item(RescaleSlope=slope, RescaleIntercept=0)]}
        if windows:
            centre, width = windows[index]
            groups["FrameVOILUTSequence"] = [item(WindowCenter=centre, WindowWidth=width)]
        per_frame.append(item(**groups))
    more = {"SharedFunctionalGroupsSequence": [item(FrameVOILUTSequence=[shared])]} if shared else {}
    return make_file(frames, PerFrameFunctionalGroupsSequence=per_frame, **more)


def test_each_frame_has_its_own_slope_and_window():
    frames = read_dicom(enhanced([1, 2, 0.5], windows=[(500, 800), (1000, 1600), (900, 10)]), window="auto")
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert len({frame.group for frame in frames}) == 1
    for frame, (slope, centre, width) in zip(frames, [(1, 500, 800), (2, 1000, 1600), (0.5, 900, 10)], strict=True):
        alone = make_file(RescaleSlope=slope, RescaleIntercept=0, WindowCenter=centre, WindowWidth=width)
        np.testing.assert_array_equal(frame.pixels, read_one(alone))


def test_what_frames_share():
    shared = read_dicom(enhanced([1, 2], shared=item(WindowCenter=1000, WindowWidth=2000)), window="auto")
    for frame, slope in zip(shared, [1, 2], strict=True):
        alone = make_file(RescaleSlope=slope, RescaleIntercept=0, WindowCenter=1000, WindowWidth=2000)
        np.testing.assert_array_equal(frame.pixels, read_one(alone))
    # Without a window the percentiles of all frames: a dark slice stays dark.
    dark, bright = read_dicom(enhanced([0.1, 1]), window="auto")
    assert bright.pixels.max() == 255
    assert dark.pixels.max() < 40


def test_plain_frames():
    frames = read_dicom(make_file(np.stack([RAMP, RAMP[::-1]]), WindowCenter=900, WindowWidth=70), window="auto")
    np.testing.assert_array_equal(frames[0].pixels, frames[1].pixels[::-1])


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian], ids=lambda uid: uid.name
)
def test_uncompressed_syntaxes(syntax):
    data = make_file(syntax=syntax, WindowCenter=900, WindowWidth=700)
    np.testing.assert_array_equal(read_one(data), read_one(make_file(WindowCenter=900, WindowWidth=700)))


def compressed(frames: list[bytes], syntax, pixels: np.ndarray = RAMP, **elements) -> bytes:
    return make_file(pixels, syntax=syntax, PixelData=encapsulate(frames), **elements)


def encoded(pixels: np.ndarray, image_format: str, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, image_format, **options)
    return buffer.getvalue()


def test_compressed_syntaxes():
    small = (RAMP // 16).astype(np.uint8)
    window = {"WindowCenter": 128, "WindowWidth": 256}
    j2k = compressed([encoded(small, "JPEG2000", no_jp2=True)], JPEG2000Lossless, small, **window)
    np.testing.assert_array_equal(read_one(j2k), small)
    jpeg = compressed([encoded(small, "JPEG", quality=95)], JPEGBaseline8Bit, small, **window)
    np.testing.assert_allclose(read_one(jpeg).astype(int), small, atol=6)

    from pydicom.pixels import get_encoder

    frame = get_encoder(RLELossless).encode(
        RAMP, rows=64, columns=64, number_of_frames=1, samples_per_pixel=1, bits_allocated=16, bits_stored=16,
        pixel_representation=0, photometric_interpretation="MONOCHROME2",
    )  # fmt: skip
    np.testing.assert_array_equal(read_one(compressed([frame], RLELossless)), read_one(make_file()))


def test_files_without_preamble():
    for implicit in (True, False):
        file = item(PatientID=NUMBER, Rows=64, Columns=64, BitsAllocated=16, BitsStored=16, HighBit=15)
        file.SamplesPerPixel, file.PixelRepresentation, file.PhotometricInterpretation = 1, 0, "MONOCHROME2"
        file.SOPClassUID = MRImageStorage
        file.PixelData = RAMP.tobytes()
        file["PixelData"].VR = "OW"
        buffer = io.BytesIO()
        dcmwrite(buffer, file, implicit_vr=implicit, little_endian=True)
        [frame] = read_dicom(buffer.getvalue(), window="auto")
        np.testing.assert_array_equal(frame.pixels, read_one(make_file()))
        assert frame.group == read_dicom(make_file(), window="auto")[0].group


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not DICOM"),
        (b"a note about the scans", "not DICOM"),
        (make_file(None), r"no pixel data \(MR Image Storage\)"),
        (make_file(None, SOPClassUID=BasicTextSRStorage), r"no pixel data \(Basic Text SR Storage\)"),
        (make_file(SOPClassUID=SegmentationStorage), "a segmentation"),
        (make_file()[:-1], "truncated"),
        (make_file()[:-8000], "truncated"),
        (make_file(PixelData=b""), "pixel data"),
        (make_file(PhotometricInterpretation="CMYK"), "colours"),
        (make_file(Rows=0), "without pixels"),
        (make_file(Rows=60000, Columns=60000), "60000 x 60000 pixels, more than 100 million"),
        (make_file(NumberOfFrames=2**20), "more than 2 GiB"),
        (compressed([b"\xff\xd8 no picture"], JPEGBaseline8Bit), "JPEG Baseline.*corrupt"),
    ],
)
def test_reasons(data, reason):
    with pytest.raises(RejectedImage, match=reason):
        read_dicom(data, window="auto")


def test_a_compression_without_decoder_is_named(monkeypatch):
    from pydicom.pixels import get_decoder

    monkeypatch.setattr(type(get_decoder(JPEGLossless)), "is_available", False)
    with pytest.raises(RejectedImage, match=r"no decoder is installed for JPEG Lossless.*python-gdcm"):
        read_dicom(compressed([b"none"], JPEGLossless), window="auto")


def test_every_beginning_of_a_file_is_read_or_rejected():
    data = make_file(WindowCenter=40, WindowWidth=[80])
    for length in range(0, len(data), 37):
        with pytest.raises(RejectedImage):
            read_dicom(data[:length], window="auto")


def test_no_reason_quotes_the_patient():
    data = make_file()
    reasons = []
    for position in range(128, len(data) - 2 * RAMP.size, 3):
        for byte in (0, 0x41, 0xFF):
            changed = bytearray(data)
            changed[position] = byte
            try:
                read_dicom(bytes(changed), window="auto")
            except RejectedImage as error:
                reasons.append(str(error))
    assert len(reasons) > 50
    assert not [text for text in reasons if any(word in text for word in ("Muster", "Erika", "4711", BIRTH_DATE))]


def test_a_patient_is_one_group_in_every_import_and_has_no_number():
    groups = [read_dicom(make_file(StudyInstanceUID=study), window="auto")[0].group for study in ("1.2", "1.3")]
    assert groups[0] == groups[1] == "patient-" + hashlib.blake2b(NUMBER.encode()).hexdigest()[:12]
    assert read_dicom(make_file(PatientID=f" {NUMBER} "), window="auto")[0].group == groups[0]
    assert read_dicom(make_file(PatientID="PID-4711-0816"), window="auto")[0].group != groups[0]


def test_without_a_patient_the_study_is_the_group():
    study = [
        read_dicom(make_file(PatientID="", StudyInstanceUID=uid), window="auto")[0].group for uid in ("1.2", "1.3")
    ]
    assert study[0] == "study-" + hashlib.blake2b(b"1.2").hexdigest()[:12]
    assert study[0] != study[1]
    assert read_dicom(make_file(PatientID="", StudyInstanceUID=""), window="auto")[0].group is None


def test_frames_of_one_file_stay_together_whoever_it_is():
    for first in (RAMP, RAMP + 1):
        groups = {
            frame.group
            for frame in read_dicom(
                make_file(np.stack([first, RAMP]), PatientID="", StudyInstanceUID=""), window="auto"
            )
        }
        assert len(groups) == 1
        assert groups.pop().startswith("file-")


def test_without_pydicom_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(UserError, match=r"pydicom; pip install 'raysynth\[medical\]'"):
        read_dicom(b"", window="auto")


PERSONAL = {
    "PatientName": NAME,
    "PatientBirthDate": BIRTH_DATE,
    "OtherPatientIDs": "OTHER-88",
    "PatientAddress": "Heidestrasse 17",
    "InstitutionName": "Klinikum Nord",
    "ReferringPhysicianName": "Roe^Richard",
    "StudyDate": "20240229",
    "AccessionNumber": "ACC-1234",
    "StudyInstanceUID": "1.2.826.99.1",
    "SeriesInstanceUID": "1.2.826.99.2",
    "ImageComments": "seen by Dr. Roe",
}


@pytest.fixture
def hospital(tmp_path) -> Path:
    """Two classes of 8 patients with two series of two slices, a report, a broken file; one patient is in both.

    The folders bear names of persons, in capitals to tell them from what stands in the headers.
    """
    root = tmp_path / "hospital"
    rng = np.random.default_rng(0)
    for label, name in enumerate(("healthy", "tumour")):
        for case in range(8):
            number = f"{NUMBER}-{case if case == 0 else 8 * label + case}"
            for series in ("t1", "t2"):
                folder = root / name / f"{FOLDER}_{case}" / series
                folder.mkdir(parents=True)
                for slice_number in range(2):
                    pixels = np.kron(rng.integers(0, 1000, (8, 8), dtype=np.uint16), np.ones((4, 4), np.uint16))
                    file = make_file(pixels, WindowCenter=500, WindowWidth=1000, **PERSONAL | {"PatientID": number})
                    # Names without suffix, as scanners write them.
                    (folder / f"IM{slice_number:04d}{'.dcm' if series == 't1' else ''}").write_bytes(file)
    folder = root / "tumour" / f"{FOLDER}_7"
    (folder / "report").write_bytes(make_file(None, SOPClassUID=BasicTextSRStorage, **PERSONAL))
    (folder / "cut").write_bytes(make_file(RAMP, **PERSONAL)[:-99])
    return root


def texts_in(folder: Path) -> list[str]:
    """All that can be read in the files of a data set, unpacked and as it is."""
    texts = []
    for file in folder.rglob("*"):
        if file.suffix == ".parquet":
            shard = pq.read_table(file)
            texts += [str(shard.to_pydict()), str(shard.schema)]
        if file.is_file():
            texts.append(file.read_bytes().decode("latin-1"))
    return texts


def rows_of_csv(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_an_import_keeps_patients_together_and_what_their_headers_say_out(hospital, tmp_path):
    said: list[str] = []
    out = tmp_path / "out"
    dataset = import_images(hospital, out, size=16, test=0.25, validation=0.25, say=said.append)
    assert dataset.num_images() == 2 * 8 * 2 * 2
    table = dataset.read(["split", "source_group", "source_format", "source_path", "label"])
    splits_of: dict[str, set[str]] = {}
    for row in table.to_pylist():
        splits_of.setdefault(row["source_group"], set()).add(row["split"])
    assert len(splits_of) == 15  # one patient has images of both classes
    assert all(len(splits) == 1 for splits in splits_of.values())
    assert set.union(*splits_of.values()) == {"train", "validation", "test"}
    assert set(table.column("source_format").to_pylist()) == {"DICOM"}

    assert len(rows_of_csv(out / "rejected.csv")) == 2
    texts = ["\n".join(said), *texts_in(out)]
    assert any(max(splits_of) in text for text in texts)  # a search that finds what is there
    secrets = [word for value in (*PERSONAL.values(), NUMBER) for word in value.split("^")]
    assert [secret for secret in secrets if any(secret in text for text in texts)] == []


def test_an_import_keeps_the_folders_of_patients_out(hospital, tmp_path):
    said: list[str] = []
    out = tmp_path / "out"
    dataset = import_images(hospital, out, size=16, say=said.append)
    rows = dataset.read(["id", "source_path", "source_group", "label"]).to_pylist()
    assert len({row["id"] for row in rows}) == len(rows) == 2 * 8 * 2 * 2
    for row in rows:
        folder = f"{dataset.classes[row['label']]}/{row['source_group']}"
        assert re.fullmatch(rf"{folder}/[0-9a-f]{{12}}\.dcm", row["id"])
        assert row["source_path"] == row["id"]

    rejected = rows_of_csv(out / "rejected.csv")
    assert all(re.fullmatch(r"tumour/[0-9a-f]{12}", row["path"]) for row in rejected)
    assert not [text for text in texts_in(out) if any(word in text.casefold() for word in ("mustermann", "erika"))]
    for row, path in zip(rejected, (f"tumour/{FOLDER}_7/cut", f"tumour/{FOLDER}_7/report"), strict=True):
        assert any(line.strip() == f"{row['path']} = {path}" for line in said)  # for the user to mend them


def test_a_patient_keeps_the_group_in_another_import(hospital, tmp_path):
    whole = import_images(hospital, tmp_path / "whole", size=16, say=lambda line: None)
    shutil.rmtree(hospital / "healthy" / f"{FOLDER}_3")
    less = import_images(hospital, tmp_path / "less", size=24, say=lambda line: None)
    group_of = [
        dict(zip(*(dataset.read([column]).column(0).to_pylist() for column in ("id", "source_group")), strict=True))
        for dataset in (whole, less)
    ]
    assert group_of[1].items() < group_of[0].items()


def test_an_import_without_pydicom_ends_with_one_line(hospital, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(UserError, match=r"^SRC.*DICOM needs pydicom; pip install 'raysynth\[medical\]'$"):
        import_images(hospital, tmp_path / "out", size=16, say=lambda line: None)
    assert not (tmp_path / "out").exists()
