"""The contact sheet: a readable PNG for any data set."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from raysynth.data.dataset import Dataset, load_dataset
from raysynth.data.dataset_writer import write_dataset
from raysynth.data.sheet import MAX_CLASSES, draw_sheet, shorten, show
from raysynth.data.slices import middle_slices
from raysynth.errors import UserError


def make(path: Path, classes: tuple[str, ...] = ("a", "b"), **options: Any) -> Dataset:
    """A set of 3 images a class; `channels`, `size`, `splits` (cycled), `labels`, `kind` and `name` may be chosen."""
    labels = options.get("labels", [label for label in range(len(classes)) for _ in range(3)])
    splits = options.get("splits", ["train", "validation", "test"])
    shape = options.get("shape", (options.get("channels", 1), 16, options.get("width", 16)))
    images = np.random.default_rng(0).integers(0, 256, (len(labels), *shape), dtype=np.uint8)
    return write_dataset(
        path,
        name=options.get("name", "little"),
        kind=options.get("kind", "real"),
        classes=classes,
        images=images,
        columns={
            "id": [str(index) for index in range(len(labels))],
            "label": labels,
            "split": [splits[index % len(splits)] for index in range(len(labels))],
        },
        source={},
    )


def texts(dataset: Dataset) -> list[str]:
    """Every text on the sheet of a data set."""
    from matplotlib.text import Text

    return [text.get_text() for text in draw_sheet(dataset).findobj(Text)]


def assert_png(file: Path) -> None:
    with Image.open(file) as image:
        assert image.format == "PNG"
        image.load()
        assert image.width > 400
        assert image.height > 150
        assert np.asarray(image.convert("L")).std() > 10


def test_default_name_is_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "set", name="a/b: $x")
    monkeypatch.chdir(tmp_path)
    file = show(Path("set"), None)
    assert file == Path("a_b_x.png")
    assert_png(file)
    assert show("set") == file, "an older sheet is replaced"


@pytest.mark.parametrize(
    "options",
    [
        {"channels": 3},
        {"channels": 4},
        {"width": 48},
        {"shape": (1, 5, 16, 16)},
        {"shape": (1, 300, 200)},
        {"splits": ["train"], "kind": "synthetic"},
        {"splits": ["test"]},
        {"labels": [0]},
    ],
)
def test_any_form_of_images(tmp_path: Path, options: dict[str, Any]) -> None:
    make(tmp_path / "set", **options)
    assert_png(show(tmp_path / "set", tmp_path / "new folder" / "sheet.png"))


def test_names_are_plain_text(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    names = ("cost $5 and $x^2$", r"\frac{$", "Größe µ ✓", "脑膜瘤", "<b>&", "two\nlines", "n" * 300, "", "_hidden")
    dataset = make(tmp_path / "set", names, name="set $")
    assert_png(show(tmp_path / "set", tmp_path / "sheet.png"))
    assert not recwarn.list
    written = texts(dataset)
    assert "cost $5 and $x^2$" in written
    assert "two lines" in written
    assert "_hidden" in written


def test_many_classes(tmp_path: Path) -> None:
    num_classes = MAX_CLASSES + 5
    dataset = make(tmp_path / "set", tuple(f"class {label}" for label in range(num_classes)))
    assert_png(show(tmp_path / "set", tmp_path / "sheet.png"))
    assert any(f"the first {MAX_CLASSES} of {num_classes} classes" in text for text in texts(dataset))


def test_title_and_bars_tell_counts_and_leakage(tmp_path: Path) -> None:
    dataset = make(tmp_path / "set", splits=["train", "train", "test"])
    written = texts(dataset)
    assert "little: 6 real images, 16 x 16 grey" in written
    assert any(text.startswith("leakage: clean") for text in written)
    assert "train (4)" in written
    assert "test (2)" in written
    assert not any(text.startswith("validation") for text in written)


def test_volumes_show_three_slices(tmp_path: Path) -> None:
    dataset = make(tmp_path / "set", shape=(1, 16, 16, 16))
    assert "little: 6 real volumes, 16 x 16 x 16 grey" in texts(dataset)
    sheet = draw_sheet(dataset).axes[0].images[0].get_array()
    assert sheet is not None
    images, _ = dataset.pixels()
    slices = np.concatenate(middle_slices(images[0, 0]), axis=1)
    np.testing.assert_array_equal(np.asarray(sheet)[2:18, : 3 * 16, 0], slices)


def test_ending_is_added_and_other_kinds_are_refused(tmp_path: Path) -> None:
    make(tmp_path / "set")
    assert show(tmp_path / "set", tmp_path / "sheet") == tmp_path / "sheet.png"
    with pytest.raises(UserError, match=r"sheet\.jpg: the sheet is a PNG"):
        show(tmp_path / "set", tmp_path / "sheet.jpg")
    with pytest.raises(UserError, match="is a folder"):
        show(tmp_path / "set", tmp_path)
    with pytest.raises(UserError, match=r"no dataset\.json"):
        show(tmp_path, tmp_path / "sheet.png")


def test_the_sheet_leaves_the_set_alone(tmp_path: Path) -> None:
    dataset = make(tmp_path / "set")
    show(tmp_path / "set", tmp_path / "sheet.png")
    assert load_dataset(tmp_path / "set") == dataset


def test_long_names_are_shortened_in_the_middle() -> None:
    assert shorten("short") == "short"
    assert shorten("abcdefghij", 7) == "abc…hij"
    assert len(shorten("x" * 1000)) == 28
