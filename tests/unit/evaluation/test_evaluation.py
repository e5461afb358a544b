"""A whole evaluation, in this process (no Ray) on tiny images."""

import json

import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy.stats import ks_2samp
from sklearn.metrics import f1_score

from raysynth.cli.evaluate import print_evaluation, summarise_evaluation
from raysynth.errors import UserError
from raysynth.evaluation import evaluate as module
from raysynth.evaluation.evaluate import evaluate
from raysynth.evaluation.predict import COLUMNS

CLASSES = ("a", "b", "c")
TABLES = ("scores", "scores_summary", "class_scores", "confusion", "label_counts", "ks", "histograms")


@pytest.fixture
def real(make_dataset):
    return make_dataset("hospital", classes=CLASSES, num_train=48, num_validation=12, num_test=18)


def provenance(dataset) -> dict:
    return {"training_fingerprint": dataset.fingerprint, "run": "runs/x"}


def test_an_evaluation_is_complete_and_consistent(real, make_dataset, tmp_path, capsys):
    made = make_dataset("made", classes=CLASSES, num_train=60, kind="synthetic", seed=1, provenance=provenance(real))
    # Another order of the classes, and one of them missing.
    partial = make_dataset("partial", classes=("c", "a"), num_train=30, seed=2, folder="other")
    said: list[str] = []
    folder = evaluate(
        real.path, [made.path, partial.path], seeds=2, epochs=2, out=tmp_path / "out", workers=0, say=said.append
    )
    assert folder.parent == (tmp_path / "out").resolve()
    assert [path.name for path in (tmp_path / "out").iterdir()] == [folder.name]

    content = json.loads((folder / "evaluation.json").read_text())
    names = list(dict.fromkeys(training["trained_on"] for training in content["trainings"]))
    assert names[0] == "real"
    assert set(names) >= {"generated: made", "mixed: made", "generated: partial", "mixed: partial"}
    assert len(content["trainings"]) == 2 * len(names)
    for training in content["trainings"]:
        assert (folder / training["weights"]).is_file()
        assert training["seconds"] > 0
    assert content["real"]["leakage"]["status"] == "clean"
    assert [item["name"] for item in content["synthetic"]] == ["made", "partial"]
    assert {(item["synthetic"], item["kind"]) for item in content["verdict"]["items"]} == {
        (name, kind) for name in ("made", "partial") for kind in ("generated", "mixed")
    }
    assert "the origin of partial is unknown" in content["verdict"]["sentence"]
    assert "made is" not in content["verdict"]["sentence"]

    predictions = pd.read_parquet(folder / "predictions.parquet")
    assert tuple(predictions.columns) == COLUMNS
    counts = predictions[predictions["seed"] == 1].groupby(["trained_on", "split"]).size()
    assert counts["real"].to_dict() == {"fit": 48, "test": 18, "train": 48, "validation": 12}
    assert counts["generated: made", "fit"] == 60
    assert counts["mixed: partial", "fit"] == 48 + 30
    assert counts["generated: partial"].to_dict() == {"fit": 30, "test": 18, "train": 48, "validation": 12}
    fit = predictions.query("trained_on == 'generated: partial' and split == 'fit'")
    assert set(fit["label"]) == {0, 2}
    assert predictions["confidence"].between(1 / 3 - 1e-6, 1).all()
    truth = dict(zip(*(real.read(["id", "label"])[name].to_pylist() for name in ("id", "label")), strict=True))
    test = predictions[predictions["split"] == "test"]
    assert (test["label"] == test["image_id"].map(truth)).all()

    tables = {name: pd.read_csv(folder / f"{name}.csv") for name in TABLES}
    rows = test.query("trained_on == 'mixed: made' and seed == 1")
    row = tables["scores"].query("trained_on == 'mixed: made' and seed == 1 and split == 'test'").iloc[0]
    assert row["f1_macro"] == pytest.approx(f1_score(rows["label"], rows["predicted"], average="macro"))
    assert len(tables["scores"]) == 4 * 2 * len(names)

    images, _ = real.pixels("train")
    generated, _ = made.pixels("train")
    ks = tables["ks"].set_index(["synthetic", "class"])["statistic"]
    assert abs(ks["made", "all"] - ks_2samp(images.ravel(), generated.ravel()).statistic) < 1e-12
    assert ("partial", "b") not in ks
    assert any("no comparison of intensities for b" in line for line in said)
    assert any("about" in line and "left" in line for line in said)

    print_evaluation(folder)
    printed = capsys.readouterr().out
    assert content["verdict"]["sentence"] in printed
    assert "mixed: partial" in printed
    assert str(folder) in printed
    result = summarise_evaluation(folder)
    assert len(result["scores_summary"]) == 4 * len(names)


def test_the_real_test_images_in_disguise_are_noticed(real, make_dataset, tmp_path):
    images, _ = real.pixels("test")
    copy = make_dataset("copy", classes=CLASSES, num_train=18, images=images, provenance=provenance(real))
    folder = evaluate(real, [copy.path], seeds=1, epochs=1, out=tmp_path / "out", workers=0)
    sentence = json.loads((folder / "evaluation.json").read_text())["verdict"]["sentence"]
    assert "18 images of copy are pixel-identical to test images" in sentence


def test_an_evaluation_that_breaks_off_does_not_look_whole(real, make_dataset, tmp_path, monkeypatch):
    def break_off(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "predict_all", break_off)
    with pytest.raises(KeyboardInterrupt):
        evaluate(real, [make_dataset("made", classes=CLASSES).path], epochs=1, seeds=1, out=tmp_path / "o", workers=0)
    (folder,) = (tmp_path / "o").iterdir()
    assert not (folder / "evaluation.json").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ("a", "z")}, r"--synthetic .*wrong.*'z'.*--rename z=CLASS"),
        ({"size": 32}, r"--synthetic .*wrong.*1 x 32 x 32.*1 x 16 x 16"),
        ({"channels": 3}, r"--synthetic .*wrong.*3 x 16 x 16"),
        ({"num_train": 0, "num_test": 9}, r"--synthetic .*wrong.*split train"),
    ],
)
def test_a_set_that_does_not_fit_is_refused_before_anything_is_made(real, make_dataset, tmp_path, options, message):
    wrong = make_dataset("wrong", **options)
    with pytest.raises(UserError, match=message):
        evaluate(real, [wrong.path], out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_mistakes_name_their_option(real, make_dataset, tmp_path):
    made = make_dataset("made", classes=CLASSES)
    for arguments, options, message in [
        ((real, []), {}, "--synthetic: not given"),
        ((real, [tmp_path / "none"]), {}, "--synthetic .*none"),
        ((tmp_path / "none", [made.path]), {}, "--real .*none"),
        ((made, [made.path]), {}, "--real .*split test"),
        ((real, [made.path]), {"seeds": 0}, "--seeds 0"),
        ((real, [made.path]), {"epochs": 0}, "--epochs 0"),
    ]:
        with pytest.raises(UserError, match=message):
            evaluate(*arguments, out=tmp_path / "out", workers=0, **options)
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(UserError, match=r"--out .*file"):
        evaluate(real, [made.path], out=blocked, workers=0)


def test_results_depend_neither_on_the_run_nor_on_how_rows_are_cut(real, make_dataset, tmp_path):
    made = make_dataset("made", classes=CLASSES)
    tables = []
    for rows_per_group in (None, None, 7):
        for file in [*real.images_folder.glob("*.parquet"), *made.images_folder.glob("*.parquet")]:
            if rows_per_group:
                pq.write_table(pq.read_table(file), file, row_group_size=rows_per_group)
        folder = evaluate(real, [made.path], seeds=1, epochs=1, out=tmp_path / "out", workers=0)
        tables.append(pd.read_parquet(folder / "predictions.parquet"))
    pd.testing.assert_frame_equal(tables[0], tables[1])
    pd.testing.assert_frame_equal(tables[0], tables[2], check_exact=False, atol=1e-5)
