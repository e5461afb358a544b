"""A whole evaluation, in this process (no Ray) on tiny images."""

import json

import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy.stats import ks_2samp
from sklearn.metrics import f1_score

from raysynth.cli.evaluate import print_evaluation, summarise_evaluation
from raysynth.data.provenance import training_provenance, write_hashes
from raysynth.errors import UserError
from raysynth.evaluation import evaluate as module
from raysynth.evaluation.evaluate import evaluate
from raysynth.evaluation.inputs import load_inputs
from raysynth.evaluation.predict import COLUMNS

CLASSES = ("a", "b", "c")
TABLES = ("scores", "scores_summary", "class_scores", "confusion", "label_counts", "ks", "fidelity", "histograms")
TABLES += ("spectrum", "spectrum_summary")


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
    assert {path.name for path in (tmp_path / "out").iterdir()} == {folder.name, "classifiers"}

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
    assert "partial may know test images: its origin is unknown" in content["verdict"]["sentence"]
    assert "made may" not in content["verdict"]["sentence"]
    assert not content["allow_leakage"]
    assert [item["contact"]["status"] for item in content["synthetic"]] == ["clean", "unknown"]

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
    check_marks(folder, {"made": "clean", "partial": "unknown"}, real="clean")

    images, _ = real.pixels("train")
    generated, _ = made.pixels("train")
    ks = tables["ks"].set_index(["pixels", "synthetic", "class"])["statistic"]
    assert abs(ks["all", "made", "all"] - ks_2samp(images.ravel(), generated.ravel()).statistic) < 1e-12
    held_out, _ = real.pixels("validation")
    assert abs(ks["all", "real", "all"] - ks_2samp(images.ravel(), held_out.ravel()).statistic) < 1e-12
    assert ("all", "partial", "b") not in ks
    assert tables["ks"]["p_value"].between(0.001, 1).all()
    spectra = tables["spectrum"].groupby(["source", "split"])["frequency"].max().to_dict()
    splits = [("real", "train"), ("real", "validation"), ("made", "train"), ("partial", "train")]
    assert spectra == dict.fromkeys(splits, 0.5)
    assert set(tables["spectrum_summary"]["synthetic"]) == {"real", "made", "partial"}
    assert content["pixels"]["permutations"] == 999
    assert any("no comparison of intensities for b" in line for line in said)
    assert any("about" in line and "left" in line for line in said)
    for space in ("scoring", "backbone"):
        fidelity = tables["fidelity"].set_index(["features", "source", "class"]).loc[space]
        assert list(fidelity.loc["real", "n"]) == [12, 4, 4, 4]  # all, and the classes
        assert fidelity.loc[("partial", "b"), ["n", "coverage", "recall"]].tolist() == [0, 0, 0]
        assert fidelity["frechet"].notna().sum() == fidelity["kid"].notna().sum() == 3  # four images are too few
    assert content["fidelity"]["split"] == "validation"
    assert any(line.startswith("made: Frechet") and line.endswith("(12 images)") for line in said)

    print_evaluation(folder, folder)
    printed = capsys.readouterr().out
    assert content["verdict"]["sentence"] in printed
    assert "mixed: partial [leakage: unknown]" in printed
    assert "made [" not in printed
    assert "  real train images: Frechet" in printed
    assert str(folder) in printed
    result = summarise_evaluation(folder, folder)
    assert len(result["scores_summary"]) == 4 * len(names)


def check_marks(folder, leakage: dict[str, str], *, real: str) -> None:
    """Every row and item that rests on a set says so in `leakage`; those on real images alone say what `real` is."""
    for name in TABLES:
        table = pd.read_csv(folder / f"{name}.csv")
        column = next(column for column in ("synthetic", "source", "trained_on") if column in table)
        for source, marks in table.groupby(column)["leakage"]:
            expected = leakage.get(source.partition(": ")[2] or source, real)
            assert set(marks) == {expected}, (name, source)
    content = json.loads((folder / "evaluation.json").read_text())
    assert {item["name"]: item["leakage"] for item in content["synthetic"]} == leakage
    for item in [*content["verdict"]["items"], *content["trainings"]]:
        assert item["leakage"] == leakage.get(item["synthetic"], real)


def test_the_real_test_images_in_disguise_are_refused_or_marked(real, make_dataset, tmp_path, capsys):
    images, _ = real.pixels("test")
    copy = make_dataset("copy", classes=CLASSES, num_train=18, images=images, provenance=provenance(real))
    made = make_dataset("made", classes=CLASSES, kind="synthetic", seed=1, provenance=provenance(real))
    sets, options = [copy.path, made.path], {"seeds": 1, "epochs": 1, "out": tmp_path / "out", "workers": 0}
    with pytest.raises(UserError, match=r"--synthetic .*copy: .*18 of 18 test images .* --allow-leakage") as error:
        evaluate(real, sets, **options)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()

    said: list[str] = []
    folder = evaluate(real, sets, **options, allow_leakage=True, say=said.append)
    warning = "copy knows test images: 18 of 18 test images have a copy among its own images"
    assert f"warning: {warning}" in said
    check_marks(folder, {"copy": "touches", "made": "clean"}, real="clean")
    content = json.loads((folder / "evaluation.json").read_text())
    assert content["allow_leakage"]
    assert content["synthetic"][0]["contact"]["num_test_images"] == 18
    sentence = content["verdict"]["sentence"]
    assert warning in sentence
    assert "training on copy (which know test images) alone" in sentence
    assert "made (" not in sentence
    print_evaluation(folder, folder)
    assert "generated: copy [leakage: touches]" in capsys.readouterr().out


def test_a_training_set_that_holds_test_images_is_followed_through_the_generator(real, make_dataset, tmp_path):
    other = make_dataset("other", classes=CLASSES, num_train=18, images=real.pixels("test")[0])
    entries = [{**entry, "path": None} for entry in training_provenance(other).entries]
    shared = make_dataset("shared", classes=CLASSES, kind="synthetic", seed=2, provenance={"trained_on": entries})
    write_hashes(training_provenance(other).hashes, shared.path)  # the images stayed where they were
    with pytest.raises(UserError, match=r"18 of 18 test images .* its training images \(other\)"):
        evaluate(real, [shared.path], out=tmp_path / "out", workers=0)
    elsewhere = make_dataset("elsewhere", classes=CLASSES, num_test=12, seed=9)
    _, (item,) = load_inputs(elsewhere, [shared.path], print)
    assert item.leakage == "unknown"  # no equal image, but nothing to look for near copies in
    assert "near copies" in item.warnings[0]


def test_a_leaky_split_is_not_refused_and_marked_everywhere(make_dataset, tmp_path):
    images = make_dataset("images", classes=CLASSES, num_train=60).pixels()[0].copy()
    images[-3:] = images[:3]
    real = make_dataset("real", classes=CLASSES, num_train=48, num_test=12, images=images)
    made = make_dataset("made", classes=CLASSES, kind="synthetic", seed=1, provenance=provenance(real))
    folder = evaluate(real, [made.path], seeds=1, epochs=1, out=tmp_path / "out", workers=0)
    check_marks(folder, {"made": "leaky"}, real="leaky")
    content = json.loads((folder / "evaluation.json").read_text())
    assert content["synthetic"][0]["contact"]["num_test_images"] == 3
    assert "on a leaky split (3 test images" in content["verdict"]["sentence"]
    assert content["synthetic"][0]["warnings"] == []  # the split's own note says it

    entries = [*training_provenance(real).entries, {**training_provenance(made).entries[0], "fingerprint": "gone"}]
    both = make_dataset("both", classes=CLASSES, kind="synthetic", seed=2, provenance={"trained_on": entries})
    _, (item,) = load_inputs(real, [both.path], print)
    assert item.leakage == "leaky"
    assert "its training images (made) are neither at" in item.warnings[0]  # nor may that go under


def test_ray_is_only_started_where_it_pays(real, make_dataset, tmp_path, monkeypatch):
    """What comes first ends at once, and so tells that it was asked for."""
    made = make_dataset("made", classes=CLASSES)

    def starts_ray(**options) -> bool:
        try:
            evaluate(real, [made.path], seeds=1, out=tmp_path / "out", **{"epochs": 1, **options})
        except Started as error:
            return "ray" in error.args

    class Started(Exception):
        pass

    def started(**options):
        raise Started("ray")

    def compared(*arguments, with_ray, **options):
        raise Started("ray" if with_ray else "here")

    monkeypatch.setattr(module, "ray_session", started)
    monkeypatch.setattr(module, "compare_pixels", compared)
    monkeypatch.setattr(module, "num_cores", lambda: 2)
    assert not starts_ray()
    assert not starts_ray(workers=0)
    assert starts_ray(workers=2)
    assert starts_ray(epochs=50_000)
    monkeypatch.setattr(module, "joined_cluster", lambda: True)
    assert starts_ray()
    assert not starts_ray(workers=0)


def test_an_evaluation_that_breaks_off_does_not_look_whole(real, make_dataset, tmp_path, monkeypatch):
    def break_off(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "predict_all", break_off)
    with pytest.raises(KeyboardInterrupt):
        evaluate(real, [make_dataset("made", classes=CLASSES).path], epochs=1, seeds=1, out=tmp_path / "o", workers=0)
    (folder,) = (tmp_path / "o").glob("evaluation-*")
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


def test_curves(make_dataset, tmp_path, capsys):
    real = make_dataset("hospital", classes=("a", "b"), num_train=40, num_validation=8, num_test=12)
    made = make_dataset("made", classes=("a", "b"), num_train=40, kind="synthetic", seed=1, provenance=provenance(real))
    options = {"epochs": 2, "out": tmp_path / "out", "workers": 0, "seeds": 1}
    said: list[str] = []
    folder = evaluate(real.path, [made.path], **options, curves=True, say=said.append)
    assert any(": about " in line for line in said)
    assert json.loads((folder / "evaluation.json").read_text())["curves"]
    table = pd.read_csv(folder / "curves.csv")
    assert set(table["curve"]) == {"number of real images", "ratio"}
    assert set(table["leakage"]) == {"clean"}
    whole = table.query("arm == 'real' and num_real == 40").iloc[0]
    summary = pd.read_csv(folder / "scores_summary.csv").query("trained_on == 'real' and split == 'test'").iloc[0]
    assert whole["accuracy"] == pytest.approx(summary["accuracy_mean"])  # the same classifier, trained once
    files = list((tmp_path / "out" / "classifiers").iterdir())
    assert len(files) == 4 + 15 + 2 - 1  # the evaluation's, those of the shares, two more ratios, one that is the same
    print_evaluation(folder, folder)
    assert "Curves: test accuracy" in capsys.readouterr().out
    assert len(summarise_evaluation(folder, folder)["curves"]) == len(table)


def test_the_classifier_of_the_study(make_dataset, tmp_path):
    real = make_dataset("hospital", classes=("a", "b"), num_train=16, num_validation=8, num_test=12)
    made = make_dataset("made", classes=("a", "b"), num_train=8, kind="synthetic", seed=1, provenance=provenance(real))
    options = {"classifier": "transfer", "input_size": 64, "seeds": 1, "epochs": 2, "workers": 0}
    folder = evaluate(real.path, [made.path], **options, out=tmp_path / "out")
    content = json.loads((folder / "evaluation.json").read_text())
    assert content["classifier"]["name"] == "transfer"
    assert content["classifier"]["config"]["backbone"] == "efficientnet_lite0"
    assert content["classifier"]["config"]["input_size"] == 64
    assert {training["weights"].split("/")[-1].split("-")[0] for training in content["trainings"]} == {"transfer"}


def test_options_that_do_not_belong_together_are_refused(real, make_dataset, tmp_path):
    sets = [make_dataset(name, classes=CLASSES, seed=seed).path for seed, name in enumerate(("x", "y"))]
    for options, message in (
        ({"curves": True}, "--curves: 2 synthetic sets"),
        ({"classifier": "forest"}, "--classifier forest: want one of cnn, transfer"),
        ({"backbone": "resnet18"}, "--backbone resnet18: --classifier cnn has none; add --classifier transfer"),
        ({"input_size": 64}, "--input-size 64: --classifier cnn has none"),
        ({"classifier": "transfer", "input_size": 32}, "--input-size 32: want 64 to 224"),
        ({"classifier": "transfer", "weights": "/nowhere"}, "--weights /nowhere: cannot be read"),
    ):
        with pytest.raises(UserError, match=message):
            evaluate(real, sets, out=tmp_path / "out", workers=0, **options)
    assert not (tmp_path / "out").exists()


def test_floors_stand_below_the_scores(real, make_dataset, tmp_path, capsys):
    (real.path / "audit").mkdir()
    rules = [{"rule": "mean intensity", "looks_at": "stored pixels", "accuracy": 0.4375, "accuracy_low": 0.3}]
    (real.path / "audit" / "audit.json").write_text(json.dumps({"shortcuts": {"rules": rules}}))
    made = make_dataset("made", classes=CLASSES, kind="synthetic", seed=1, provenance=provenance(real))
    folder = evaluate(real.path, [made.path], seeds=1, epochs=1, out=tmp_path / "out", workers=0)
    print_evaluation(folder, folder)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("floor: ")]
    assert line.split()[:3] == ["floor:", "mean", "intensity"]
    assert "0.438" in line


def test_distillation_is_reported_apart(make_dataset, tmp_path):
    """The teacher says nothing of the labels that the images were generated for: those are shuffled here."""
    real = make_dataset("hospital", classes=("a", "b"), num_train=40, num_validation=8, num_test=12)
    made = make_dataset("made", classes=("a", "b"), num_train=40, kind="synthetic", seed=1, provenance=provenance(real))
    said: list[str] = []
    folder = evaluate(
        real, [made.path], seeds=2, epochs=2, out=tmp_path / "out", workers=0, soft_labels=True, say=said.append
    )
    trained = [line.split("'")[1] for line in said if line.startswith("classifier ")]
    assert trained.index("distilled: made") > max(place for place, name in enumerate(trained) if name == "real")
    content = json.loads((folder / "evaluation.json").read_text())
    kinds = {item["kind"]: item["sentence"] for item in content["verdict"]["items"]}
    assert set(kinds) == {"generated", "mixed", "distilled"}
    assert "(distillation)" in kinds["distilled"]
    training = next(t for t in content["trainings"] if t["kind"] == "distilled")
    assert training["real_exposures"] == 0
    summary = pd.read_csv(folder / "scores_summary.csv")
    assert {"distilled: made", "generated: made"} < set(summary["trained_on"])
    # Another teacher is another classifier.
    evaluate(real, [made.path], seeds=1, epochs=6, out=tmp_path / "out", workers=0, soft_labels=True)
    assert len(list((tmp_path / "out" / "classifiers").iterdir())) == 2 * 4 + 4
