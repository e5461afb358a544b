import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from raysynth.evaluation.averages import averaged_scores, confusion_matrix
from raysynth.evaluation.scores import SCORES, score_tables
from raysynth.intervals import wilson_interval

CLASSES = ("a", "b", "c", "d")
PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


@given(PAIRS)
@settings(max_examples=100, deadline=None)
def test_scores_equal_scikit_learns(pairs):
    labels, predicted = (np.array(column) for column in zip(*pairs, strict=True))
    matrix = confusion_matrix(labels, predicted, 4)
    assert np.array_equal(matrix, metrics.confusion_matrix(labels, predicted, labels=range(4)))
    found = averaged_scores(matrix)
    for name in ("recall", "precision", "f1"):
        for average in ("micro", "macro"):
            wanted = getattr(metrics, f"{name}_score")(labels, predicted, average=average, zero_division=0)
            assert found[f"{name}_{average}"] == pytest.approx(wanted, abs=1e-12)
    assert found["f1_micro"] == pytest.approx(metrics.accuracy_score(labels, predicted))


@pytest.fixture
def predictions() -> pd.DataFrame:
    random = np.random.default_rng(0)
    frames = []
    for trained_on in ("real", "generated: made"):
        for seed in (0, 1, 2):
            for split, n in (("test", 40), ("train", 60)):
                labels = random.integers(0, 4, n)
                predicted = np.where(random.random(n) < 0.7, labels, random.integers(0, 4, n))
                frames.append(
                    pd.DataFrame(
                        {
                            "image_id": [f"{split}{i}" for i in range(n)],
                            "group": [f"{split}{i}" for i in range(n)],
                            "split": split,
                            "trained_on": trained_on,
                            "seed": seed,
                            "label": labels,
                            "predicted": predicted,
                            "confidence": 0.9,
                        }
                    )
                )
    return pd.concat(frames, ignore_index=True)


STEPS = {(name, seed): steps for name, steps in (("real", 10), ("generated: made", 20)) for seed in (0, 1, 2)}


def test_tables_agree_with_the_predictions(predictions):
    tables = score_tables(predictions, CLASSES, STEPS)
    assert len(tables.scores) == 2 * 2 * 3
    assert list(tables.scores["trained_on"].unique()) == ["real", "generated: made"]
    row = tables.scores.query("trained_on == 'generated: made' and split == 'test' and seed == 1").iloc[0]
    rows = predictions.query("trained_on == 'generated: made' and split == 'test' and seed == 1")
    assert row["steps"] == 20
    assert row["n"] == 40
    assert row["accuracy"] == pytest.approx((rows["label"] == rows["predicted"]).mean())
    assert (row["accuracy_low"], row["accuracy_high"]) == wilson_interval(row["accuracy"], 40)
    per_class = tables.class_scores.query("trained_on == 'real' and split == 'train' and seed == 0")
    rows = predictions.query("trained_on == 'real' and split == 'train' and seed == 0")
    wanted = metrics.precision_recall_fscore_support(rows["label"], rows["predicted"], zero_division=0)
    for values, column in zip(wanted, ("precision", "recall", "f1", "n"), strict=True):
        assert per_class[column].to_numpy() == pytest.approx(values)
    assert tables.confusion["count"].sum() == len(predictions)
    assert tables.label_counts["real"].sum() == tables.label_counts["predicted"].sum() == len(predictions)


def test_summary_is_mean_and_deviation_over_seeds(predictions):
    tables = score_tables(predictions, CLASSES, STEPS)
    of_seeds = tables.scores.query("trained_on == 'real' and split == 'test'")
    row = tables.scores_summary.query("trained_on == 'real' and split == 'test'").iloc[0]
    assert row["num_seeds"] == 3
    for score in SCORES:
        assert row[f"{score}_mean"] == pytest.approx(of_seeds[score].mean())
        assert row[f"{score}_std"] == pytest.approx(of_seeds[score].std())
    assert row["accuracy_low"] < row["accuracy_mean"] < row["accuracy_high"]


def test_one_seed_has_no_spread(predictions):
    one = predictions[predictions["seed"] == 0]
    summary = score_tables(one, CLASSES, {key: 1 for key in STEPS if key[1] == 0}).scores_summary
    assert summary["accuracy_std"].isna().all()
    assert summary["accuracy_mean"].notna().all()
