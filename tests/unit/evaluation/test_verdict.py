import numpy as np
import pandas as pd

from raysynth.evaluation.verdict import Comparison, verdict

CLEAN = {"status": "clean", "num_test": 0}
MIXED = Comparison("made", "mixed", "mixed: made", ("real", "real, 20 steps"))


def predictions(accuracy: dict[str, float], *, n: int = 300, seeds: int = 3, validation: dict | None = None):
    """Images that are right with the given probability; the same images are hard for every classifier."""
    random = np.random.default_rng(0)
    frames = []
    for split, wanted in (("test", accuracy), ("validation", validation or accuracy)):
        difficulty = random.random(n)
        for trained_on, probability in wanted.items():
            for seed in range(seeds):
                right = difficulty + random.normal(0, 0.02, n) < probability
                frames.append(
                    pd.DataFrame(
                        {
                            "image_id": [f"{split}{i}" for i in range(n)],
                            "group": [f"{split}{i // 2}" for i in range(n)],
                            "split": split,
                            "trained_on": trained_on,
                            "seed": seed,
                            "label": 0,
                            "predicted": np.where(right, 0, 1),
                        }
                    )
                )
    return pd.concat(frames, ignore_index=True)


def decide(accuracy: dict[str, float], **options):
    result = verdict(predictions(accuracy, **options), [MIXED], leakage=CLEAN)
    return result["items"][0], result["sentence"]


def test_a_clear_gain_helps():
    item, sentence = decide({"real": 0.7, "real, 20 steps": 0.72, "mixed: made": 0.85})
    assert item["conclusion"] == "helps"
    assert item["low"] > 0
    assert item["low"] < item["difference"] < item["high"]
    assert "helps" in sentence
    assert "3 seeds" in sentence
    assert "300 test images" in sentence
    assert sentence.endswith(".")


def test_a_clear_loss_hurts():
    item, sentence = decide({"real": 0.9, "real, 20 steps": 0.9, "mixed: made": 0.7})
    assert item["conclusion"] == "hurts"
    assert item["high"] < 0
    assert "hurts" in sentence


def test_equal_classifiers_cannot_be_told_apart():
    item, sentence = decide({"real": 0.8, "real, 20 steps": 0.8, "mixed: made": 0.8})
    assert item["conclusion"] == "cannot tell"
    assert f"{100 * item['smallest_detectable']:.1f} points would go unseen" in sentence


def test_the_baseline_is_the_better_one_on_validation_not_on_test():
    item, _ = decide(
        {"real": 0.85, "real, 20 steps": 0.8, "mixed: made": 0.8},
        validation={"real": 0.7, "real, 20 steps": 0.8, "mixed: made": 0.8},
    )
    assert item["baseline"] == "real, 20 steps"


def test_a_mix_helps_only_if_it_beats_both_baselines():
    """On validation the weaker baseline looked better by chance; the mix beats that one alone."""
    item, _ = decide(
        {"real": 0.9, "real, 20 steps": 0.7, "mixed: made": 0.9},
        validation={"real": 0.7, "real, 20 steps": 0.8, "mixed: made": 0.8},
    )
    assert item["conclusion"] == "cannot tell"
    assert item["baseline"] == "real"


def test_a_handful_of_test_images_proves_nothing():
    item, _ = decide({"real": 0.0, "real, 20 steps": 0.0, "mixed: made": 1.0}, n=8)
    assert item["conclusion"] == "cannot tell"
    assert item["smallest_detectable"] == 1


def test_one_seed_and_a_leaky_split_are_named():
    data = predictions({"real": 0.8, "real, 20 steps": 0.8, "mixed: made": 0.8}, seeds=1)
    sentence = verdict(data, [MIXED], leakage={"status": "leaky", "num_test": 68})["sentence"]
    assert "1 seed, whose own variation is not in the interval" in sentence
    assert "on a leaky split (68 test images" in sentence


def test_mixes_come_first_in_the_sentence():
    data = predictions({"real": 0.8, "real, 20 steps": 0.8, "mixed: made": 0.8, "generated: made": 0.4})
    comparisons = [Comparison("made", "generated", "generated: made", ("real",)), MIXED]
    result = verdict(data, comparisons, leakage=CLEAN, warnings=["made holds test images"])
    assert result["sentence"].startswith("Adding the synthetic images made")
    assert "training on made alone is worse" in result["sentence"]
    assert "; made holds test images." in result["sentence"]
    assert [item["kind"] for item in result["items"]] == ["generated", "mixed"]


def test_the_sentence_names_the_sets_that_know_test_images():
    data = predictions({"real": 0.7, "real, 20 steps": 0.7, "mixed: made": 0.9})
    result = verdict(data, [MIXED], leakage=CLEAN, leakage_of={"made": "touches"})
    assert result["sentence"].startswith("Adding the synthetic images made (which know test images) to the real ones")
    assert result["items"][0]["leakage"] == "touches"
    assert verdict(data, [MIXED], leakage=CLEAN)["items"][0]["leakage"] == "clean"


def test_several_sets_are_corrected_for():
    """A gain that one set alone would show is no finding beside nine sets that show none."""
    accuracy = {"real": 0.8, "mixed: 0": 0.8167} | {f"mixed: {number}": 0.8 for number in range(1, 10)}
    data = predictions(accuracy, seeds=1, n=400)
    comparisons = [Comparison(str(number), "mixed", f"mixed: {number}", ("real",)) for number in range(10)]
    alone = verdict(data, comparisons[:1], leakage=CLEAN)["items"][0]
    assert alone["conclusion"] == "helps"
    assert alone["p_value"] == alone["p_corrected"] < 0.05
    assert "corrected" not in alone["sentence"]
    beside = verdict(data, comparisons, leakage=CLEAN)["items"][0]
    assert beside["p_value"] == alone["p_value"]
    assert beside["p_corrected"] == min(1, 10 * alone["p_value"])
    assert beside["conclusion"] == "cannot tell"
    assert "corrected for 10 sets" in beside["sentence"]


def test_several_sets_are_summed_up_first():
    accuracy = {"real": 0.7, "mixed: a": 0.9, "mixed: b": 0.7, "mixed: c": 0.7, "generated: a": 0.4}
    comparisons = [Comparison(name, "mixed", f"mixed: {name}", ("real",)) for name in "abc"]
    alone = Comparison("a", "generated", "generated: a", ("real",))

    def summary(*chosen: Comparison) -> str:
        return verdict(predictions(accuracy), [alone, *chosen], leakage=CLEAN)["sentence"].partition(";")[0]

    start = (
        "Of 3 synthetic sets, added to the real images, 1 helps (a), 2 cannot be told from real images alone (b, c) ("
    )
    assert summary(*comparisons).startswith(start)
    none = "Of 2 synthetic sets, added to the real images, none can be told from real images alone (differences below"
    assert summary(*comparisons[1:]).startswith(none)
    assert summary(comparisons[0]).startswith("Adding the synthetic images a to the real ones helps")
