"""What a report says of the images' fidelity, and of runs in which something went wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from raysynth.report.evaluation_files import load_evaluation
from raysynth.report.fidelity_sections import fidelity_rows
from raysynth.report.origin_sections import run_findings
from raysynth.report.page import render
from raysynth.training.health import Finding
from raysynth.training.run_folder import RunFolder


def test_fidelity_stands_beside_its_floor(study: Any) -> None:
    evaluation = load_evaluation(study.evaluation)
    rows = fidelity_rows(evaluation)
    assert [row["name"] for row in rows if row["first"]] == ["real train", "gan_small", "gan_large"]
    assert [row["class"] for row in rows[:5]] == ["all", *study.classes]
    assert [row["features"] for row in rows[:10]] == 5 * ["scoring"] + 5 * ["backbone"]
    assert rows[10]["coverage"] == 0.48
    assert rows[10]["frechet_ratio"] == 2
    (study.evaluation / "fidelity.csv").unlink()  # of an evaluation by an earlier version
    without = load_evaluation(study.evaluation)
    assert fidelity_rows(without) == []
    assert any("fidelity.csv is missing" in note for note in without.notes)


def test_fidelity_of_what_knows_validation_images_is_marked(study: Any) -> None:
    def touch(content: dict[str, Any]) -> None:
        content["synthetic"][0]["contact"] = {"status": "touches", "num_validation_images": 3}

    study.change(touch)
    marks = {row["name"]: row["mark"] for row in fidelity_rows(load_evaluation(study.evaluation))}
    assert marks == {"real train": "", "gan_small": "knows validation images", "gan_large": ""}


@pytest.mark.usefixtures("quick_charts")
def test_what_went_wrong_in_a_run_is_said_once_beside_it(study: Any) -> None:
    run = RunFolder(study.sweep / "runs" / "trial_00000")
    assert run_findings(load_evaluation(study.evaluation)) == []
    last = int(pd.read_csv(run.path / "metrics.csv")["epoch"].max())
    over = Finding("idle critic", 1, last - 1, "the critic learns nothing")
    run.write_findings([over, Finding("collapse", 5, last, "collapse: all <alike>")])
    evaluation = load_evaluation(study.evaluation)
    (finding,) = run_findings(evaluation)
    assert finding["names"] == ["gan_small", "gan_large"]
    page = render(evaluation).html
    assert page.count("ended with a warning: collapse: all &lt;alike&gt;.") == 1
    assert "learns nothing" not in page
    assert 'id="fidelity"' in page
    assert ">7.3</td>" in page


def test_a_broken_file_of_findings_does_not_take_the_report_with_it(study: Any) -> None:
    file = Path(study.sweep) / "runs" / "trial_00000" / "findings.csv"
    file.write_text("something,else\n1,2\n")
    assert run_findings(load_evaluation(study.evaluation)) == []
