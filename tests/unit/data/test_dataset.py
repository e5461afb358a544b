"""The data set on disk: what is written is read back, complete or not at all."""

import json

import numpy as np
import pytest

from raysynth.data import dataset_writer as module
from raysynth.data.dataset import load_dataset
from raysynth.data.dataset_writer import write_dataset
from raysynth.data.new_folder import refuse_existing, with_folder
from raysynth.data.thumbnails import hash_pixels, thumbnail
from raysynth.errors import UserError

RANDOM = np.random.default_rng(0)


def write(path, *, num_images=6, channels=1, **options):
    images = np.random.default_rng(1).integers(0, 256, (num_images, channels, 16, 16), dtype=np.uint8)
    columns = {
        "id": [f"image-{i}" for i in range(num_images)],
        "label": [i % 2 for i in range(num_images)],
        "split": (["train", "train", "test", "validation"] * num_images)[:num_images],
    }
    options = {"name": "n", "kind": "real", "classes": ["no", "yes"], "source": {}, "columns": columns} | options
    return images, write_dataset(path, images=images, **options)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_written_is_read_back(tmp_path, channels):
    images, written = write(tmp_path / "set", channels=channels)
    loaded = load_dataset(tmp_path / "set")
    assert loaded == written
    assert loaded.shape == (channels, 16, 16)
    assert loaded.counts == {
        "train": {"no": 2, "yes": 2},
        "validation": {"no": 0, "yes": 1},
        "test": {"no": 1, "yes": 0},
    }
    pixels, labels = loaded.pixels()
    np.testing.assert_array_equal(pixels, images)
    assert labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert loaded.num_images() == 6
    assert loaded.num_images("train") == 4


def test_one_split_is_read_in_order_even_when_it_is_empty(tmp_path):
    images, written = write(tmp_path / "set")
    np.testing.assert_array_equal(written.pixels("train")[0], images[[0, 1, 4, 5]])
    columns = {"id": ["a"], "label": [0], "split": ["train"]}
    _, written = write(tmp_path / "train", num_images=1, columns=columns)
    assert written.pixels("test")[0].shape == (0, 1, 16, 16)


def test_rows_keep_their_order_over_several_shards(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROWS_PER_SHARD", 4)
    images, written = write(tmp_path / "set", num_images=10)
    assert len(list(written.images_folder.iterdir())) == 3
    np.testing.assert_array_equal(written.pixels()[0], images)


def test_the_fingerprint_follows_what_a_training_sees(tmp_path):
    _, first = write(tmp_path / "1")
    _, again = write(tmp_path / "2", name="another name", source={"path": "elsewhere"})
    _, other = write(tmp_path / "3", classes=["no", "maybe"])
    assert first.fingerprint == again.fingerprint != other.fingerprint


def test_group_and_hash_default_to_the_pixels(tmp_path):
    images, written = write(tmp_path / "set")
    rows = written.read(["pixel_hash", "group"]).to_pydict()
    assert rows["pixel_hash"] == rows["group"] == [hash_pixels(thumbnail(image)) for image in images]


def test_extra_files_stand_beside_dataset_json(tmp_path):
    write(tmp_path / "set", extra_files={"rejected.csv": "path,reason\n"})
    assert (tmp_path / "set" / "rejected.csv").read_text() == "path,reason\n"
    write(tmp_path / "set2", extra_files=lambda folder: (folder / "more").mkdir())
    assert (tmp_path / "set2" / "more").is_dir()


def test_nothing_is_overwritten_and_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "set").mkdir()
    write(tmp_path / "set")
    with pytest.raises(UserError, match=r"--out .*not empty"):
        write(tmp_path / "set")


def test_a_failed_write_leaves_nothing(tmp_path):
    def interrupt(folder):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "set", extra_files=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_with_folder_appears_complete(tmp_path):
    def fill(folder):
        assert not (tmp_path / "made").exists()
        (folder / "file").write_text("text")

    with_folder(tmp_path / "made", fill)
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_what_is_no_data_set_is_refused_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"--real .*no dataset.json"):
        load_dataset(tmp_path, "--real")
    write(tmp_path / "set")
    file = tmp_path / "set" / "dataset.json"
    good = file.read_text()
    for text, hint in (
        ("{", "cannot be read"),
        ("{}", "cannot be read"),
        (good.replace('"format": 2', '"format": 99'), "format 99"),
    ):
        file.write_text(text)
        with pytest.raises(UserError, match=hint):
            load_dataset(tmp_path / "set")
    file.write_text(good)
    next((tmp_path / "set" / "images").iterdir()).unlink()
    with pytest.raises(UserError, match="missing"):
        load_dataset(tmp_path / "set")


def test_an_empty_set_is_refused(tmp_path):
    with pytest.raises(UserError, match="nothing to write"):
        write(tmp_path / "set", num_images=0)


def test_the_json_is_plain(tmp_path):
    write(tmp_path / "set", classes=["méningiome", "yes"])
    text = (tmp_path / "set" / "dataset.json").read_text(encoding="utf-8")
    assert "méningiome" in text
    assert json.loads(text)["software"].keys() >= {"raysynth", "numpy"}


def test_a_place_that_cannot_be_made_is_refused_before_anything_is_computed(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"--out .*file/set: cannot be written \(Not a directory\)"):
        refuse_existing(tmp_path / "file" / "set")


def test_broken_images_are_one_line(tmp_path):
    _, written = write(tmp_path / "set")
    whole = written.shards()[0].read_bytes()
    for broken in (b"", whole[: len(whole) // 2], whole[:-20] + b"?" * 16 + whole[-4:]):
        written.shards()[0].write_bytes(broken)
        for read in (lambda: written.read(["id"]), lambda: written.take(["id"], np.array([0]))):
            with pytest.raises(UserError, match=r"^.*set: images cannot be read \(.+\); import it again$") as failure:
                read()
            assert "\n" not in str(failure.value)
