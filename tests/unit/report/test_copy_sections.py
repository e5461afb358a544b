"""What a report says of copies, and of an evaluation that has none of its files."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from raysynth.data.dataset import tensor_column
from raysynth.report.copy_sections import NUM_PAIRS, PAIRS_FILE, copy_section, describe_copies, suspicious_pairs
from raysynth.report.evaluation_files import load_evaluation
from raysynth.report.page import render
from raysynth.report.section import Notes


def test_the_sentence_says_how_many_and_whether_that_is_much(study: Any) -> None:
    said = describe_copies(load_evaluation(study.evaluation)).replace("\u00a0", "").split("; ")
    assert said == [
        "4 of 100 images of gan_small are called copies, more than the 1% of real images that would be",
        "none of gan_large",
        "as a whole, gan_small lie nearer to train images than to held-out ones.",
    ]


@pytest.mark.usefixtures("quick_charts")
def test_the_page_shows_the_count_and_the_worst_pairs(study: Any) -> None:
    page = render(load_evaluation(study.evaluation)).html
    assert "Are they copies of patients?" in page
    assert "gan_small: most suspicious images" in page
    assert page.count('alt="nearest train image: ') == 2 * NUM_PAIRS


def test_a_train_image_is_shown_as_the_copy_shows_it(study: Any) -> None:
    pairs = pq.read_table(study.evaluation / PAIRS_FILE)
    grid = suspicious_pairs(load_evaluation(study.evaluation), [])[0]
    assert [mark for _, _, mark in grid["heads"]] == ["copy"] * 4 + [""] * (NUM_PAIRS - 4)
    shown = [np.asarray(Image.open(io.BytesIO(picture.png))) for picture in grid["rows"][1][1]]
    scale = shown[0].shape[0] // 16
    train = tensor_column(pairs, "train_image")[:, 0]
    assert np.array_equal(shown[0][::scale, ::scale], train[0, :, ::-1])  # mirrored
    assert np.array_equal(shown[1][::scale, ::scale], train[1])


@pytest.mark.usefixtures("quick_charts")
def test_without_its_files_there_is_no_section_and_without_pixels_no_pairs(study: Any) -> None:
    (study.evaluation / PAIRS_FILE).unlink()
    notes = Notes()
    section = copy_section(load_evaluation(study.evaluation), notes)
    assert section is not None
    assert section.values["pairs"] == []
    assert any(PAIRS_FILE in note for note in notes.texts)
    (study.evaluation / "copies_summary.csv").unlink()
    assert copy_section(load_evaluation(study.evaluation), Notes()) is None
    render(load_evaluation(study.evaluation))
