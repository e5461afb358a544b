import pandas as pd
import pytest

from raysynth.report.curve_sections import curve_section
from raysynth.report.evaluation_files import load_evaluation
from raysynth.report.page import render
from raysynth.report.section import Notes


@pytest.mark.usefixtures("quick_charts")
def test_an_evaluation_without_curves_says_nothing_of_them(study):
    evaluation = load_evaluation(study.evaluation)
    assert curve_section(evaluation, Notes()) is None
    assert not any("curves" in note for note in evaluation.notes)
    assert 'id="curves"' not in render(evaluation).html


def test_the_answer_follows_from_the_corrected_p_values(with_curves):
    section = curve_section(load_evaluation(with_curves.evaluation), Notes())
    assert section is not None
    # 1/5 to 1/25 stand out of an interval of 0.03 on either side, 1/50 and 1/100 do not.
    assert section.answer == (
        "Synthetic images help beside 5, 10, 25 real ones (+4.0 to +20.0 points); "
        "at the other numbers no difference can be told."
    )
    file = with_curves.evaluation / "curves.csv"
    pd.read_csv(file).assign(p_corrected=0.5).to_csv(file, index=False)
    section = curve_section(load_evaluation(with_curves.evaluation), Notes())
    assert section is not None
    assert "no difference that this test can tell" in section.answer


@pytest.mark.usefixtures("loose_charts")
def test_figures_and_points(with_curves):
    evaluation = load_evaluation(with_curves.evaluation)
    section = curve_section(evaluation, Notes())
    assert section is not None
    by_number, by_ratio = section.values["panels"]
    table = section.values["table"].as_data_frame()
    assert len(table) == 18
    html = render(evaluation).html
    assert "25 real images\nreal images as they are: 69.2" in html  # under the pointer
    assert "25 synthetic images, 100 real ones" in html
    assert (by_number.name, by_ratio.name) == ("curve_by_number", "curve_by_ratio")
    assert "How many real images are they worth?" in html
    assert "The generator has seen all the real train images" in html


@pytest.mark.usefixtures("quick_charts")
def test_floors_stand_in_the_table_of_scores(study):
    html = render(load_evaluation(study.evaluation)).html
    assert "floor: width x height" in html
    assert "looks at original size" in html
