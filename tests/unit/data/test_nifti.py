"""NIfTI: the patient lies the same way however a volume is stored, one window for all slices, whole volumes."""

import gzip
import io
import itertools
import sys
import tracemalloc
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform

from raysynth.data.decode import Frame, RejectedImage, Target, decode
from raysynth.data.importer import import_images
from raysynth.data.nifti import find_background, read_nifti, resize_planes
from raysynth.errors import UserError

# Every one of the 48 ways to lay voxel axes along the patient's, e.g. LPS, SAR.
ORIENTATIONS = [
    "".join(pair[side] for pair, side in zip(order, sides, strict=True))
    for order in itertools.permutations(["LR", "PA", "IS"])
    for sides in itertools.product((0, 1), repeat=3)
]


def make_volume(shape=(10, 12, 8), seed=0) -> np.ndarray:
    """A head in RAS+ order: values from 100 to 1000, one voxel of 0 all round, and a bright right-anterior-superior."""
    rng = np.random.default_rng(seed)
    volume = np.zeros(shape, np.float32)
    inner = tuple(slice(1, -1) for _ in shape)
    volume[inner] = rng.uniform(100, 600, [num - 2 for num in shape])
    volume[-3:-1, -3:-1, -3:-1] = 1000
    return volume


def stored_as(volume: np.ndarray, codes: str = "RAS", spacing=(1.0, 1.0, 1.0), kind=nibabel.Nifti1Image) -> bytes:
    """The RAS+ `volume` (spacing in mm) as a file whose voxel axes run along `codes`."""
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = (-40, 7, 300)
    change = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes))
    image = kind(apply_orientation(volume, change), affine @ inv_ornt_aff(change, volume.shape))
    assert "".join(nibabel.aff2axcodes(image.affine)) == codes
    return image.to_bytes()


def read(data: bytes, axis="axial", every=1, volumes=False) -> list[Frame]:
    return read_nifti(data, axis=axis, every=every, volumes=volumes, group="A/head.nii")


def header_with(field: str, value, volume: np.ndarray | None = None) -> bytes:
    data = stored_as(make_volume() if volume is None else volume)
    header = nibabel.Nifti1Header(data[:348])
    header[field] = value
    return header.binaryblock + data[348:]


@pytest.mark.parametrize("codes", ORIENTATIONS)
@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
def test_slices_do_not_depend_on_how_the_volume_is_stored(codes, axis):
    volume, spacing = make_volume(), (1.0, 2.0, 1.5)
    expected = read(stored_as(volume, "RAS", spacing), axis)
    found = read(stored_as(volume, codes, spacing), axis)
    assert [frame.index for frame in found] == [frame.index for frame in expected]
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours.pixels, theirs.pixels)


def test_slices_are_shown_as_radiologists_expect():
    volume = np.zeros((10, 12, 8), np.float32)
    volume[1:-1, 1:-1, 1:-1] = 100
    volume[8, 10, 6] = 1000  # the patient's right, anterior, superior corner
    data = stored_as(volume, "LIP")
    axial, coronal, sagittal = (
        {frame.index: frame.pixels for frame in read(data, axis)} for axis in ("axial", "coronal", "sagittal")
    )
    assert (axial[6].shape, coronal[10].shape, sagittal[8].shape) == ((12, 10), (8, 10), (8, 12))
    assert axial[6][1, 1] == 255  # anterior is up, the patient's right on the left
    assert coronal[10][1, 1] == 255  # superior is up, the patient's right on the left
    assert sagittal[8][1, 1] == 255  # superior is up, anterior on the left
    assert (axial[6] == 255).sum() == (coronal[10] == 255).sum() == (sagittal[8] == 255).sum() == 1
    assert (list(axial), list(coronal), list(sagittal)) == ([6], [10], [8])  # the others are of one grey value


def test_every_and_empty_slices():
    data = stored_as(make_volume())
    assert [frame.index for frame in read(data)] == [1, 2, 3, 4, 5, 6]  # the outermost are background
    assert [frame.index for frame in read(data, every=2)] == [2, 4, 6]
    assert [frame.index for frame in read(data, "sagittal", every=3)] == [3, 6]
    all_slices = {frame.index: frame.pixels for frame in read(data)}
    for frame in read(data, every=3):
        np.testing.assert_array_equal(frame.pixels, all_slices[frame.index])
        assert (frame.format, frame.group) == ("NIfTI", "A/head.nii")
    with pytest.raises(RejectedImage, match=r"nothing but background \(--every 100\)$"):
        read(data, every=100)
    for empty in (np.zeros((4, 5, 6)), np.full((4, 5, 6), 7.0), np.full((4, 5, 6), np.nan)):
        with pytest.raises(RejectedImage, match=r"nothing but background$"):
            read(stored_as(empty.astype(np.float32)))


def test_slices_and_masks_of_one_grey_value_are_left_out():
    volume = make_volume()[1:-1, 1:-1, 1:-1]  # no background around
    volume[:, :, 2] = 700
    volume[:, :, 4] = volume.min()
    assert [frame.index for frame in read(stored_as(volume))] == [0, 1, 3, 5]
    assert len(read(stored_as(volume), "sagittal")) == 8
    with pytest.raises(RejectedImage, match=r"as in a mask \(--every 2\)$"):
        read(stored_as(volume[:, :, 2:5:2]), every=2)
    mask = (make_volume() > 0).astype(np.float32)
    for volumes in (False, True):
        with pytest.raises(RejectedImage, match=r"nothing but background and one value, as in a mask$"):
            read(stored_as(mask), volumes=volumes)


def test_one_window_for_the_whole_volume():
    volume = make_volume()
    inside = volume[1:-1, 1:-1, 1:-1]
    low, high = np.percentile(inside, [1, 99])
    expected = np.round(255 * np.clip((volume - low) / (high - low), 0, 1)) * (volume != 0)
    for frame in read(stored_as(volume)):
        np.testing.assert_allclose(frame.pixels, expected[::-1, ::-1, frame.index].T, atol=1)


def test_values_are_scaled_and_the_scale_does_not_matter():
    volume = make_volume()
    expected = read(stored_as(volume))
    whole = nibabel.Nifti1Image(np.round(volume).astype(np.int16), np.eye(4))
    whole.header.set_slope_inter(2.5, -1000)  # background becomes -1000
    for ours, theirs in zip(read(whole.to_bytes()), expected, strict=True):
        np.testing.assert_allclose(ours.pixels.astype(int), theirs.pixels, atol=1)
    from_scaled = header_with("scl_slope", 3.0, volume)
    for ours, theirs in zip(read(from_scaled), expected, strict=True):
        np.testing.assert_allclose(ours.pixels.astype(int), theirs.pixels, atol=1)


@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i2", "<u2", "<i4", ">f4", "<f8"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_types_and_versions(dtype, kind):
    volume = np.round(make_volume() / 4)
    image = kind(volume.astype(dtype), np.eye(4), kind.header_class(endianness="<" if dtype[0] == "u" else dtype[0]))
    image.set_data_dtype(np.dtype(dtype).newbyteorder("="))
    for data in (image.to_bytes(), gzip.compress(image.to_bytes())):
        for ours, theirs in zip(read(data), read(stored_as(volume)), strict=True):
            np.testing.assert_array_equal(ours.pixels, theirs.pixels)


def test_nan_is_background():
    volume = make_volume()
    volume[5, 5, 3] = np.nan
    volume[6, 5, 3] = np.inf
    frame = next(frame for frame in read(stored_as(volume)) if frame.index == 3)
    assert frame.pixels[12 - 1 - 5, 10 - 1 - 5] == 0
    assert frame.pixels[12 - 1 - 5, 10 - 1 - 6] == 0
    assert frame.pixels[4, 4] > 0
    around = np.where(volume == 0, np.nan, volume)
    assert [frame.index for frame in read(stored_as(around))] == [1, 2, 3, 4, 5, 6]


def test_background_is_what_most_of_the_faces_consist_of():
    volume = make_volume()
    np.testing.assert_array_equal(find_background(volume), volume == 0)
    np.testing.assert_array_equal(find_background(volume - 1024), volume == 0)
    normalised = (volume - volume.mean()) / volume.std() * (volume != 0)  # negative values inside, 0 around
    np.testing.assert_array_equal(find_background(normalised), volume == 0)
    assert not find_background(volume[1:-1, 1:-1, 1:-1]).any()  # cut out: no background in it
    noise = np.random.default_rng(0).normal(size=(6, 6, 6))
    assert not find_background(noise).any()


def test_of_several_volumes_the_first_is_taken():
    first, second = make_volume(seed=0), make_volume(seed=1)
    several = np.stack([first, second, second], axis=-1)
    for data in (several, several[..., None], several[..., :1]):
        image = nibabel.Nifti1Image(data, np.eye(4))
        for ours, theirs in zip(read(image.to_bytes()), read(stored_as(first)), strict=True):
            np.testing.assert_array_equal(ours.pixels, theirs.pixels)


def test_pixels_become_square():
    fine = make_volume((10, 12, 24))
    coarse = fine[:, :, ::3]
    data = stored_as(coarse, spacing=(1.0, 1.0, 3.0))
    assert {frame.pixels.shape for frame in read(data, "axial")} == {(12, 10)}
    assert {frame.pixels.shape for frame in read(data, "coronal")} == {(24, 10)}
    assert {frame.pixels.shape for frame in read(data, "sagittal")} == {(24, 12)}
    halves = stored_as(fine, spacing=(0.5, 1.0, 1.0))
    assert {frame.pixels.shape for frame in read(halves, "axial")} == {(24, 10)}


def test_resizing_planes():
    planes = np.stack([np.full((4, 6), 90, np.uint8), np.tile(np.array([0, 0, 0, 200, 200, 200], np.uint8), (4, 1))])
    assert resize_planes(planes, 4, 6) is planes
    larger = resize_planes(planes, 8, 12)
    assert larger.shape == (2, 8, 12)
    assert (larger[0] == 90).all()
    assert (np.diff(larger[1].astype(int), axis=1) >= 0).all()  # no overshoot
    assert (larger[1].min(), larger[1].max()) == (0, 200)
    checks = np.indices((8, 8)).sum(0)[None].astype(np.uint8) % 2 * 200
    assert abs(int(resize_planes(checks, 2, 2).mean()) - 100) < 8  # averaged, not picked


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
def test_a_volume_is_its_slices(axis):
    volume = make_volume((10, 12, 8))
    [whole] = read(stored_as(volume, "PIR"), axis, every=5, volumes=True)
    assert sorted(whole.pixels.shape) == [8, 10, 12]
    assert (whole.format, whole.group, whole.index) == ("NIfTI", "A/head.nii", 0)
    slices = read(stored_as(volume), axis)
    for frame in slices:
        np.testing.assert_array_equal(whole.pixels[frame.index], frame.pixels)
    assert whole.pixels.sum(dtype=int) == sum(frame.pixels.sum(dtype=int) for frame in slices)


@pytest.mark.parametrize(
    ("spacing", "shape"),
    [((1.0, 1.0, 1.0), (8, 12, 10)), ((2.0, 1.0, 1.0), (8, 12, 20)), ((0.5, 0.5, 1.5), (24, 12, 10))],
)
def test_the_voxels_of_a_volume_become_cubes(spacing, shape):
    [whole] = read(stored_as(make_volume((10, 12, 8)), "RAS", spacing), volumes=True)
    assert whole.pixels.shape == shape
    filled = np.argwhere(whole.pixels > 0)
    extent = filled.max(axis=0) - filled.min(axis=0) + 1
    np.testing.assert_allclose(extent, np.multiply((6, 10, 8), spacing[::-1]) / min(spacing), atol=3)


def test_a_volume_has_no_more_than_512_voxels_a_side():
    long = np.random.default_rng(0).uniform(50, 100, (4, 4, 600)).astype(np.float32)
    [whole] = read(stored_as(long), volumes=True)
    assert whole.pixels.shape == (512, 3, 3)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 1.0, 3.0)])
@pytest.mark.parametrize("shape", [(16, 16, 16), (24, 16, 16), (16, 32, 12)])
def test_by_default_the_shape_of_a_volume_leaves_no_trace(shape, spacing):
    """A scan that fills its field of view fills the cube, whatever its proportions; only `--fit pad` shows them."""
    data = stored_as(np.random.default_rng(0).uniform(50, 100, shape).astype(np.float32), "RAS", spacing)
    (stretched,), (padded,) = (decode(data, Target(size=16, volumes=True, fit=fit)) for fit in ("stretch", "pad"))
    faces = [np.moveaxis(stretched.image[0], axis, 0)[end] for axis in range(3) for end in (0, -1)]
    assert min(face.mean() for face in faces) > 80
    extents = [num * size for num, size in zip(shape[::-1], spacing[::-1], strict=True)]
    expected = [round(16 * extent / max(extents)) for extent in extents]
    filled = np.argwhere(padded.image[0] > 0)
    assert (filled.max(axis=0) - filled.min(axis=0) + 1).tolist() == expected


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not NIfTI"),
        (b"no volume" * 100, "not NIfTI"),
        (gzip.compress(b"no volume" * 100, mtime=0), "not NIfTI"),
        (stored_as(make_volume())[:-1], "corrupt or truncated"),
        (stored_as(make_volume())[:352], "corrupt or truncated"),
        (gzip.compress(stored_as(make_volume()), mtime=0)[:1000], "corrupt or truncated"),
        (header_with("magic", b"ni1"), "another file"),
        (header_with("dim", [2, 10, 12, 1, 1, 1, 1, 1]), r"not a volume but of shape \(10, 12\)"),
        (header_with("datatype", 128), "voxels of type RGB"),
        (header_with("datatype", 32), "voxels of type complex"),
        (header_with("datatype", 99), "corrupt"),
        (header_with("vox_offset", -10), "corrupt"),
        (header_with("vox_offset", np.nan), "corrupt"),
        (header_with("srow_x", [0, 0, 0, 0]), "affine"),
        (header_with("srow_x", [np.nan, 0, 0, 0]), "affine"),
        (header_with("dim", [3, 2000, 2000, 2000, 1, 1, 1, 1]), "2000 x 2000 x 2000 voxels are more than 2 GiB"),
    ],
)
def test_reasons(data, reason):
    with pytest.raises(RejectedImage, match=reason) as refusal:
        read(data)
    assert "\n" not in str(refusal.value)


def test_slices_that_squares_would_blow_up_are_refused():
    data = header_with("srow_z", [0, 0, 1e-9, 0])
    assert len(read(data, "axial")) == 6
    with pytest.raises(RejectedImage, match="unequal sides"):
        read(data, "coronal")


def test_no_more_is_unpacked_than_is_needed():
    many = stored_as(make_volume()) + bytes(64 * 2**20)  # 64 MiB of nothing in 64 KiB
    packed = gzip.compress(many)
    tracemalloc.start()
    try:
        assert len(read(packed)) == 6
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


def test_without_nibabel_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(UserError, match=r"nibabel; pip install 'raysynth\[medical\]'"):
        read(io.BytesIO().getvalue())


@pytest.fixture
def volumes(tmp_path) -> Path:
    """Two classes of six volumes, stored in several ways."""
    root = tmp_path / "volumes"
    for label, name in enumerate(("healthy", "tumour")):
        (root / name / "scans").mkdir(parents=True)
        for case in range(6):
            volume = make_volume((12, 14, 10), seed=10 * label + case)
            data = stored_as(volume, ORIENTATIONS[7 * case], (1.0, 1.0, 1.5))
            (root / name / "scans" / f"case{case}.nii.gz").write_bytes(gzip.compress(data))
    (root / "tumour" / "broken.nii").write_bytes(stored_as(make_volume())[:-9])
    return root


def test_an_import_keeps_the_slices_of_a_volume_together(volumes, tmp_path):
    options = {"size": 16, "axis": "coronal", "every": 3, "test": 0.2, "validation": 0.2}
    dataset = import_images(volumes, tmp_path / "out", **options, say=lambda line: None)
    rows = dataset.read(["id", "split", "source_group", "source_path", "source_format"]).to_pylist()
    assert len(rows) == 2 * 6 * 4  # of 14 slices 3, 6, 9, 12; the outermost are background
    assert sorted(row["id"] for row in rows)[:2] == [
        "healthy/scans/case0.nii.gz#0003",
        "healthy/scans/case0.nii.gz#0006",
    ]
    splits_of: dict[str, set[str]] = {}
    for row in rows:
        assert row["source_format"] == "NIfTI"
        splits_of.setdefault(row["source_group"], set()).add(row["split"])
    assert len(splits_of) == 12
    assert all(len(splits) == 1 for splits in splits_of.values())
    assert set.union(*splits_of.values()) == {"train", "validation", "test"}


def test_an_import_of_whole_volumes(volumes, tmp_path):
    dataset = import_images(volumes, tmp_path / "out", size=16, volumes=True, say=lambda line: None)
    assert dataset.shape == (1, 16, 16, 16)
    assert dataset.num_images() == 12
    images, _ = dataset.pixels()
    assert images.shape == (12, 1, 16, 16, 16)
    assert (images.reshape(12, -1).max(axis=1) > 200).all()


def test_an_import_without_nibabel_ends_with_one_line(volumes, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(UserError, match=r"^SRC.*NIfTI needs nibabel; pip install 'raysynth\[medical\]'$"):
        import_images(volumes, tmp_path / "out", size=16, say=lambda line: None)
    assert not (tmp_path / "out").exists()
