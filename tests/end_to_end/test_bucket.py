"""The way from a data set to a report, with every data set, run and evaluation in a bucket."""

from pathlib import Path

import pandas as pd

from raysynth.data.buckets import upload_folder
from raysynth.data.dataset import Dataset, load_dataset
from raysynth.data.locations import locate
from raysynth.evaluation.evaluate import evaluate
from raysynth.report.report import report
from raysynth.training.generate import generate
from raysynth.training.run_folder import RunFolder
from raysynth.training.train import train


def quiet(line: str) -> None:
    pass


def test_the_way_through_a_bucket_is_that_on_disk(
    bucket: str, stripes: Dataset, tiny_run: Path, tmp_path: Path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    upload_folder(Path(str(stripes.path)), locate(bucket) / "stripes", last="dataset.json")
    data = f"{bucket}/stripes"

    overrides = {"batch_size": 8, "width": 4, "latent_dim": 4, "n_critic": 2}
    run = train("wcgan_gp", data=data, epochs=2, overrides=overrides, workers=0, out=f"{bucket}/runs", say=quiet)
    settings = RunFolder.open(run).settings()
    assert settings["data"]["path"] == data
    assert settings["scoring_network"] == str(run / "scoring.pt")  # not in this machine's cache, which others lack
    columns = ["d_loss", "g_loss", "frechet"]
    metrics, on_disk = (pd.DataFrame(RunFolder.open(place).history())[columns] for place in (run, tiny_run))
    pd.testing.assert_frame_equal(metrics, on_disk)

    made = generate(run, out=f"{bucket}/made", like=data, say=quiet)
    assert made == load_dataset(f"{bucket}/made")
    assert made.counts["train"] == stripes.counts["train"]
    assert made.fingerprint == generate(tiny_run, out=tmp_path / "made", say=quiet).fingerprint

    evaluation = evaluate(data, [f"{bucket}/made"], seeds=1, epochs=1, workers=0, out=f"{bucket}/evaluations")
    said: list[str] = []
    page = report(evaluation, tmp_path / "report.html", say=said.append).read_text()
    assert "images are not shown" not in page
    assert f"figures of wcgan_gp from {run}" in said
    assert str(evaluation) in page
    assert "no longer at" not in page
    assert "could not be drawn" not in page
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cache",
        "made",
        "report.html",
        "report_files",
    ]
    # Classifiers are found again there.
    again = evaluate(
        data, [f"{bucket}/made"], seeds=1, epochs=1, workers=0, out=f"{bucket}/evaluations", say=said.append
    )
    assert again != evaluation
    assert any("classifiers are known from an earlier evaluation" in line for line in said)
