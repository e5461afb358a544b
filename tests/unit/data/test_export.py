"""`data export` and the way back through `data import`."""

import numpy as np
import pytest
from PIL import Image

from raysynth.data.dataset import load_dataset
from raysynth.data.dataset_writer import write_dataset
from raysynth.data.export import export_images, file_safe
from raysynth.data.importer import import_images
from raysynth.errors import UserError

CLASSES = ["glioma, grade é", "no tumour"]


def write(path, *, channels=1, splits=("train", "train", "validation", "test"), shape=(16, 16)):
    num_images = 12
    images = np.random.default_rng(0).integers(0, 256, (num_images, channels, *shape), dtype=np.uint8)
    ids = [f"Training/glioma/p ({i // 2}).{'jpg' if i % 2 else 'png'}" for i in range(num_images)]
    return write_dataset(
        path,
        name="n",
        kind="real",
        classes=CLASSES,
        images=images,
        columns={
            "id": ids,
            "label": [i // 4 % 2 for i in range(num_images)],
            "split": (list(splits) * num_images)[:num_images],
        },
        source={},
    )


def rows(dataset) -> set[tuple[str, str, bytes]]:
    found = set()
    for split in dataset.counts:
        images, labels = dataset.pixels(split)
        found |= {(split, dataset.classes[k], image.tobytes()) for image, k in zip(images, labels, strict=True)}
    return found


@pytest.mark.parametrize("channels", [1, 3])
def test_import_reads_back_what_export_wrote(tmp_path, channels):
    dataset = write(tmp_path / "set", channels=channels)
    export_images(tmp_path / "set", tmp_path / "png", say=lambda line: None)
    back = import_images(
        tmp_path / "png", tmp_path / "back", size=16, channels=channels, split="folders", say=lambda line: None
    )
    assert back.classes == dataset.classes
    assert back.counts == dataset.counts
    assert rows(back) == rows(dataset)


def test_a_set_of_train_rows_only_comes_back_as_one(tmp_path):
    dataset = write(tmp_path / "set", splits=["train"])
    export_images(dataset, tmp_path / "png", say=lambda line: None)
    back = import_images(tmp_path / "png", tmp_path / "back", size=16, split="folders", say=lambda line: None)
    assert rows(back) == rows(dataset)


def test_the_files_are_png_below_split_and_class(tmp_path):
    said: list[str] = []
    export_images(write(tmp_path / "set"), tmp_path / "png", say=said.append)
    files = sorted(path.relative_to(tmp_path / "png") for path in (tmp_path / "png").rglob("*.png"))
    assert len(files) == 12
    assert {file.parts[0] for file in files} == {"train", "validation", "test"}
    assert {file.parts[1] for file in files} == set(CLASSES)
    assert files[0].name == "Training_glioma_p (1).png"
    with Image.open(tmp_path / "png" / files[0]) as image:
        assert image.mode == "L"
    assert said == [f"12 images written to {tmp_path / 'png'}"]


def test_nothing_is_overwritten_and_a_failure_leaves_nothing(tmp_path, monkeypatch):
    write(tmp_path / "set")
    with pytest.raises(UserError, match=r"--to .*not empty"):
        export_images(tmp_path / "set", tmp_path / "set")

    def fail(*args, **options):
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        export_images(tmp_path / "set", tmp_path / "png")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_volumes_are_refused(tmp_path):
    write(tmp_path / "set", shape=(4, 16, 16))
    with pytest.raises(UserError, match="volumes"):
        export_images(load_dataset(tmp_path / "set"), tmp_path / "png")


def test_names_are_made_safe_and_stay_unique():
    names = ["plain name é", "a/b", "a_b", "A_B", "..", ".hidden", "", "x" * 300, "x" * 301, 'q"?']
    safe = file_safe(names)
    assert safe[0] == "plain name é"
    assert len({name.casefold() for name in safe}) == len(names)
    assert all(name and "/" not in name and not name.startswith(".") and len(name) <= 200 for name in safe)
