"""What a report says of detail and of intensities, with and without the background."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from raysynth.report.evaluation_files import load_evaluation
from raysynth.report.image_sections import describe_intensities, distance_panel, intensity_table
from raysynth.report.page import render
from raysynth.report.spectrum_sections import describe_detail, spectrum_panels, spectrum_table


def test_blur_is_said_beside_its_floor(study: Any) -> None:
    evaluation = load_evaluation(study.evaluation)
    assert describe_detail(evaluation) == (
        "Power in the upper half of the frequencies, times that of real train images (real validation images: 0.89): "
        "gan_small 0.25, gan_large 0.25."
    )
    table = spectrum_table(evaluation).as_data_frame()
    assert list(table["images"].unique()) == ["real validation", "gan_small", "gan_large"]
    assert table["power, upper half"].iloc[0] == pytest.approx(10**-0.05)
    assert list(table["class"][:5]) == ["all", *study.classes]
    whole, by_class = spectrum_panels(evaluation)
    for text in ("real, validation", "gan_small", "gan_large", "cycles per pixel"):
        assert text in whole.svg
    assert all(name in by_class.svg for name in study.classes)
    assert "mathdefault" not in whole.svg + by_class.svg


def test_intensities_stand_beside_their_floor_with_and_without_background(study: Any) -> None:
    evaluation = load_evaluation(study.evaluation)
    sentence = describe_intensities(evaluation)
    assert sentence.count("(real validation images: 0.012)") == 2
    assert "Without the background" in sentence
    table = intensity_table(evaluation, ["grey"]).as_data_frame()
    assert table["grey, without background KS"].iloc[0] == 0.0123
    made = table[table["images"] == "gan_small"]
    assert made["grey, without background KS"].tolist() == pytest.approx((made["grey, all pixels KS"] / 2).tolist())
    assert set(made["grey, all pixels p"]) == {0.001}
    chart = distance_panel(evaluation)
    assert chart is not None
    assert "real validation" in chart.svg
    assert "Without background" in chart.svg


def test_colour_images_have_columns_for_each_channel_and_view(new_study: Any) -> None:
    evaluation = load_evaluation(new_study(channels=3).evaluation)
    table = intensity_table(evaluation, ["red", "green", "blue"])
    assert len(table.columns) == 3 + 3 * 2 * 3
    assert "blue, without background Wasserstein" in table.as_data_frame()


@pytest.mark.usefixtures("quick_charts")
def test_an_evaluation_by_an_earlier_version_shows_what_it_has(study: Any) -> None:
    for name in ("spectrum", "spectrum_summary"):
        (study.evaluation / f"{name}.csv").unlink()
    ks = pd.read_csv(study.evaluation / "ks.csv").query("pixels == 'all' and synthetic != 'real'")
    ks.drop(columns=["pixels", "n", "p_value"]).to_csv(study.evaluation / "ks.csv", index=False)
    fidelity = pd.read_csv(study.evaluation / "fidelity.csv").query("features == 'scoring'")
    old = fidelity.drop(columns=["features", "frechet_ratio", "kid", "kid_error"])
    old.to_csv(study.evaluation / "fidelity.csv", index=False)
    evaluation = load_evaluation(study.evaluation)
    assert spectrum_panels(evaluation) == []
    assert describe_detail(evaluation) == ""
    assert "real validation" not in describe_intensities(evaluation)
    assert any("spectrum.csv is missing" in note for note in evaluation.notes)
    html = render(evaluation).html
    assert "There are no spectra." in html
    assert "grey, without background" not in html
