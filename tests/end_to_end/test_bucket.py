"""The way from a data set to a report, with every data set in a bucket."""

from pathlib import Path

import pandas as pd

from raysynth.data.dataset import Dataset, load_dataset
from raysynth.data.locations import locate, upload_folder
from raysynth.evaluation.evaluate import evaluate
from raysynth.report.report import report
from raysynth.training.generate import generate
from raysynth.training.run_folder import RunFolder
from raysynth.training.train import train


def quiet(line: str) -> None:
    pass


def test_data_in_a_bucket_are_trained_on_and_judged_as_on_disk(
    bucket: str, stripes: Dataset, tiny_run: Path, tmp_path: Path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    upload_folder(Path(str(stripes.path)), locate(bucket) / "stripes", last="dataset.json")
    data = f"{bucket}/stripes"

    overrides = {"batch_size": 8, "width": 4, "latent_dim": 4, "n_critic": 2}
    run = train("wcgan_gp", data=data, epochs=2, overrides=overrides, workers=0, out=tmp_path / "runs", say=quiet)
    settings = RunFolder(run).settings()
    assert settings["data"]["path"] == data
    assert settings["scoring_network"] == str(run / "scoring.pt")  # not in this machine's cache, which others lack
    columns = ["d_loss", "g_loss", "frechet"]
    metrics, on_disk = (pd.read_csv(folder / "metrics.csv")[columns] for folder in (run, tiny_run))
    pd.testing.assert_frame_equal(metrics, on_disk)

    made = generate(run, out=f"{bucket}/made", like=data, say=quiet)
    assert made == load_dataset(f"{bucket}/made")
    assert made.counts["train"] == stripes.counts["train"]
    assert made.fingerprint == generate(tiny_run, out=tmp_path / "made", say=quiet).fingerprint

    evaluation = evaluate(data, [f"{bucket}/made"], seeds=1, epochs=1, workers=0, out=tmp_path / "evaluations")
    page = report(evaluation, tmp_path / "report.html", say=quiet).read_text()
    assert "images are not shown" not in page
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cache",
        "evaluations",
        "made",
        "report.html",
        "report_files",
        "runs",
    ]
