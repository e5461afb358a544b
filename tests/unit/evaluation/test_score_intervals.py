import numpy as np
import pytest
from sklearn import metrics

from raysynth.evaluation.averages import class_scores, confusion_matrix, macro_scores
from raysynth.evaluation.score_intervals import macro_intervals


def draw(num_images: int, num_seeds: int, accuracy: float = 0.7, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.repeat(random.integers(0, 3, (num_images, 1)), num_seeds, axis=1)
    wrong = (labels + random.integers(1, 3, labels.shape)) % 3
    return labels, np.where(random.random(labels.shape) < accuracy, labels, wrong)


def test_many_matrices_are_scored_as_one_is():
    labels, predicted = draw(60, 4)
    matrices = np.stack([confusion_matrix(labels[:, s], predicted[:, s], 3) for s in range(4)])
    macro = macro_scores(matrices.reshape(2, 2, 3, 3))
    for seed in range(4):
        for name in ("recall", "precision", "f1"):
            wanted = getattr(metrics, f"{name}_score")(labels[:, seed], predicted[:, seed], average="macro")
            assert macro[f"{name}_macro"].reshape(4)[seed] == pytest.approx(wanted)
    recall, precision, f1 = class_scores(matrices[0])
    assert f1 == pytest.approx(2 * recall * precision / (recall + precision))


def test_intervals_are_as_wide_as_the_spread_of_the_score_over_test_sets():
    """The standard deviation of macro recall over 300 independent test sets, against the width of one interval."""
    spread = np.std(
        [
            macro_scores(confusion_matrix(*(part[:, 0] for part in draw(200, 1, seed=seed)), 3))["recall_macro"]
            for seed in range(300)
        ]
    )
    labels, predicted = draw(200, 1, seed=1000)
    low, high = macro_intervals(labels, predicted, np.arange(200).astype(str), 3)["recall_macro"]
    assert high - low == pytest.approx(2 * 1.96 * spread, rel=0.2)


def test_groups_are_drawn_not_images():
    labels, predicted = (np.repeat(part, 4, axis=0) for part in draw(50, 1))
    widths = []
    for groups in (np.arange(200), np.repeat(np.arange(50), 4)):
        low, high = macro_intervals(labels, predicted, groups.astype(str), 3)["f1_macro"]
        widths.append(high - low)
    assert widths[1] == pytest.approx(2 * widths[0], rel=0.2)


def test_seeds_that_differ_widen_the_interval():
    labels, predicted = draw(400, 1, accuracy=0.9)
    alike = macro_intervals(labels.repeat(3, 1), predicted.repeat(3, 1), np.arange(400).astype(str), 3)["recall_macro"]
    worse = draw(400, 1, accuracy=0.5)[1]
    differing = np.concatenate([predicted, np.where(labels == worse, labels, worse), predicted], axis=1)
    mixed = macro_intervals(labels.repeat(3, 1), differing, np.arange(400).astype(str), 3)["recall_macro"]
    assert mixed[1] - mixed[0] > 2 * (alike[1] - alike[0])
    assert 0 <= mixed[0] <= mixed[1] <= 1
