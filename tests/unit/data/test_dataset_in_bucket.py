"""A data set in a bucket: the same as on disk, complete or not at all."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from raysynth.cli.main import run
from raysynth.data import dataset_writer as module
from raysynth.data.buckets import BucketError, BucketPath
from raysynth.data.dataset import load_dataset
from raysynth.data.dataset_writer import write_dataset
from raysynth.data.export import export_images
from raysynth.data.importer import import_images
from raysynth.data.locations import locate
from raysynth.data.new_folder import refuse_existing
from raysynth.errors import UserError
from raysynth.evaluation.chunks import list_chunks, read_chunk
from raysynth.report.image_figures import choose_images

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 1, 16, 16), dtype=np.uint8)


def write(path, **options):
    columns = {
        "id": [f"image-{i}" for i in range(len(IMAGES))],
        "label": [i % 2 for i in range(len(IMAGES))],
        "split": ["train", "train", "test", "validation", "train"] * 2,
    }
    options = {"name": "n", "kind": "real", "classes": ["no", "yes"], "source": {}} | options
    return write_dataset(path, images=IMAGES, columns=columns, **options)


@pytest.fixture
def place(bucket) -> BucketPath:
    return locate(bucket) / "data/brain"


def test_what_is_written_is_read_back_as_from_disk(place, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROWS_PER_SHARD", 4)
    options = {"classes": ["no", "yes", "never"], "extra_files": {"rejected.csv": "path,reason\n"}}
    local, written = write(tmp_path / "set", **options), write(place, **options)
    loaded = load_dataset(str(place))
    assert loaded == written
    assert loaded.path == place
    assert dataclasses.replace(loaded, path=local.path) == local
    assert [name for name, _ in place.files()] == [
        "data_card.md",
        "dataset.json",
        *(f"images/part-{shard:05d}.parquet" for shard in range(3)),
        "rejected.csv",
    ]
    assert (place / "data_card.md").read_text() == (local.path / "data_card.md").read_text()
    for split in (None, "train", "validation", "test"):
        for ours, on_disk in zip(loaded.pixels(split), local.pixels(split), strict=True):
            np.testing.assert_array_equal(ours, on_disk)
    assert loaded.read(["id", "label"]).equals(local.read(["id", "label"]))
    assert loaded.take(["id"], np.array([9, 0, 5]))["id"].to_pylist() == ["image-9", "image-0", "image-5"]
    np.testing.assert_array_equal(choose_images(loaded, "yes", "train", 2), IMAGES[[1, 9]])
    assert choose_images(loaded, "yes", "test", 2).shape == (1, 1, 16, 16)
    assert choose_images(loaded, "never", "train", 2).shape == (0, 1, 16, 16)


def test_units_of_work_are_plain_texts_and_cover_every_row(place, monkeypatch):
    monkeypatch.setattr(module, "ROWS_PER_SHARD", 4)
    monkeypatch.setattr(module, "ROWS_PER_ROW_GROUP", 3)
    dataset = write(place)
    chunks = json.loads(json.dumps(list_chunks([dataset])))
    assert len(chunks) == 5
    ids = [id_ for chunk in chunks for id_ in read_chunk(chunk, ["id"])["id"].to_pylist()]
    assert ids == dataset.read(["id"])["id"].to_pylist()


def test_nothing_is_overwritten(place):
    write(place)
    before = (place / "dataset.json").read_bytes()
    for again in (
        lambda: write(place, name="other"),
        lambda: write(place.parent, name="other"),  # there is something in it
        lambda: write(place / "dataset.json", name="other"),
        lambda: refuse_existing(str(place)),
    ):
        with pytest.raises(UserError, match=r"^--out s3://.*: exists and is not empty"):
            again()
    assert (place / "dataset.json").read_bytes() == before
    write(place.parent / "brai")  # begins alike, but is another folder


@pytest.mark.parametrize("fails", ["dataset.json", "part-00001.parquet", "rejected.csv"])
def test_a_write_that_fails_leaves_nothing_and_can_be_repeated(place, monkeypatch, fails):
    def upload_or_fail(to: BucketPath, file: Path) -> None:
        if to.name == fails:
            raise BucketError(f"{to}: the server cannot be reached")
        upload(to, file)

    upload = BucketPath.upload
    monkeypatch.setattr(module, "ROWS_PER_SHARD", 4)
    with monkeypatch.context() as broken:
        broken.setattr(BucketPath, "upload", upload_or_fail)
        with pytest.raises(UserError, match="cannot be reached"):
            write(place, extra_files={"rejected.csv": ""})
    assert list(place.files()) == []
    write(place)
    assert load_dataset(place).num_images() == 10


def test_a_write_that_is_killed_looks_like_nothing(place, monkeypatch):
    def upload_until_killed(to: BucketPath, file: Path) -> None:
        if to.name == "dataset.json":
            raise KeyboardInterrupt
        upload(to, file)

    upload = BucketPath.upload
    monkeypatch.setattr(BucketPath, "upload", upload_until_killed)
    monkeypatch.setattr(BucketPath, "unlink", lambda to: None)  # no time to clean up
    with pytest.raises(KeyboardInterrupt):
        write(place)
    assert (place / "images/part-00000.parquet").is_file()
    with pytest.raises(UserError, match=f"^--data {place}: no dataset.json"):
        load_dataset(place)
    with pytest.raises(UserError, match="exists and is not empty"):
        write(place)


def test_what_is_wrong_names_the_option_in_one_line(bucket, s3_endpoint, place):
    (place / "dataset.json").write_text("{}")
    for path, message in (
        (f"{bucket}/nothing", "no dataset.json in this folder"),
        ("s3://tests-nothing/brain", "no such bucket"),
        ("s3://", "want s3://BUCKET/FOLDER"),
        (str(place), "dataset.json cannot be read"),
    ):
        with pytest.raises(UserError, match=message) as refused:
            load_dataset(path, "--like")
        assert str(refused.value).startswith(f"--like {path}")
        assert "\n" not in str(refused.value)
    with pytest.raises(UserError, match=r"^--out s3://tests-nothing/brain: no such bucket"):
        write("s3://tests-nothing/brain")
    dataset = write(place.parent / "gone")
    (place.parent / "gone/images/part-00000.parquet").unlink()
    with pytest.raises(UserError, match="parquet are missing"):
        load_dataset(dataset.path)


def test_the_command_line_keeps_both_slashes(bucket, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data = f"{bucket}/phantom"
    assert run(["data", "phantom", "--out", data, "--images", "40", "--size", "32", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == data
    assert run(["data", "show", data, "--out", "sheet.png"]) == 0
    assert (tmp_path / "sheet.png").stat().st_size > 1000
    assert run(["data", "phantom", "--out", data]) == 2
    assert f"--out {data}: exists" in capsys.readouterr().err
    assert run(["data", "show", data, "--out", f"{bucket}/sheet.png"]) == 2
    assert f"--out {bucket}/sheet.png: cannot be in a bucket" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [tmp_path / "sheet.png"]


def test_export_and_import_go_from_bucket_to_bucket(bucket):
    dataset = write(f"{bucket}/set")
    export_images(dataset, f"{bucket}/png", say=lambda line: None)
    again = import_images(
        f"{bucket}/png", f"{bucket}/again", size=16, split="folders", validation=0.0, say=lambda line: None
    )
    assert again.counts == dataset.counts
    assert sorted(image.tobytes() for image in again.pixels()[0]) == sorted(image.tobytes() for image in IMAGES)


def test_a_zip_is_imported_from_a_bucket_as_from_disk(bucket, tmp_path, capsys):
    export_images(write(tmp_path / "set"), tmp_path / "png", say=lambda line: None)
    zipped = Path(shutil.make_archive(str(tmp_path / "images"), "zip", tmp_path / "png"))
    (locate(bucket) / "images.zip").upload(zipped)
    options = ["--size", "16", "--split", "folders", "--validation", "0", "--json"]
    assert run(["data", "import", f"{bucket}/images.zip", "--out", f"{bucket}/imported", *options]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == f"{bucket}/imported"
    assert run(["data", "import", str(zipped), "--out", str(tmp_path / "imported"), *options]) == 0
    from_bucket, from_disk = load_dataset(f"{bucket}/imported"), load_dataset(tmp_path / "imported")
    assert from_bucket.num_images() == 10
    assert dataclasses.replace(from_bucket, path=from_disk.path) == from_disk


def test_an_import_ends_when_its_bucket_is_lost(bucket, tmp_path, monkeypatch):
    export_images(write(tmp_path / "set"), f"{bucket}/png", say=lambda line: None)
    reads = iter(range(3))

    def read_or_fail(path: BucketPath) -> bytes:
        if next(reads, None) is None:
            raise BucketError(f"{path}: the server cannot be reached")
        return read(path)

    read = BucketPath.read_bytes
    monkeypatch.setattr(BucketPath, "read_bytes", read_or_fail)
    with pytest.raises(UserError, match="cannot be reached"):
        import_images(f"{bucket}/png", tmp_path / "imported", size=16, say=lambda line: None)
    assert not (tmp_path / "imported").exists()
