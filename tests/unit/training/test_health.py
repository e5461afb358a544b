"""What is said of a run, from made-up metrics: collapse, a critic that learns nothing or is never beaten."""

from __future__ import annotations

import numpy as np
import pytest

from raysynth.training.health import at_the_end, describe, find_problems, is_hopeless
from raysynth.training.run_folder import RunFolder

GAP = ("critic_real", "critic_generated")
ACCURACIES = ("accuracy_real", "accuracy_generated")


def scores(diversities, score_every: int = 1) -> list[dict[str, float]]:
    """Rows with a diversity each `score_every` epochs, the least diverse class being 1."""
    rows = [{"epoch": float(epoch)} for epoch in range(1, score_every * len(diversities) + 1)]
    for row, diversity in zip(rows[score_every - 1 :: score_every], diversities, strict=True):
        row |= {"diversity": diversity, "diversity_class": 1.0}
    return rows


def judge(rows, num_epochs: int | None = None, critic_gap=None):
    return find_problems(
        rows, num_epochs=num_epochs or len(rows), classes=["glioma", "no tumour"], critic_gap=critic_gap
    )


def critic(names: tuple[str, str], real, generated) -> list[dict[str, float]]:
    return [
        {"epoch": float(epoch), names[0]: float(a), names[1]: float(b)}
        for epoch, (a, b) in enumerate(zip(real, generated, strict=True), 1)
    ]


def test_a_generator_that_loses_its_variety_has_collapsed():
    rows = scores([0.1, 0.4, 0.7, 0.8, 0.8, 0.7, 0.25, 0.12])
    (finding,) = judge(rows, num_epochs=100)
    assert (finding.kind, finding.first_epoch, finding.last_epoch) == ("collapse", 8, 8)
    assert finding.message.startswith("collapse: images of class no tumour differ by only 12 % of what real ones do; ")
    assert "try more critic steps (n_critic)" in finding.message
    assert not judge(rows[:7], num_epochs=100)  # once may be chance
    assert is_hopeless(rows, 100)


def test_a_slow_start_is_no_collapse_and_a_hopeless_one_is():
    slow = scores([0.01, 0.05, 0.1, 0.16, *[0.2] * 8, 0.3, 0.5, 0.6, 0.7])
    assert not judge(slow)
    assert not is_hopeless(scores([0.02, 0.05, 0.06, 0.07, 0.06, 0.08]), 60)
    assert [finding.first_epoch for finding in judge(scores([0.1] * 40))] == [11]  # the first quarter is over
    (finding,) = judge(scores([0.2] * 40))
    assert finding.first_epoch == 31  # the last quarter begins
    assert "try more epochs" in finding.message


def test_nothing_is_said_of_the_first_scores():
    assert not judge(scores([0.0] * 5))
    assert judge(scores([0.0] * 6))


def test_a_finding_ends_when_it_is_over():
    rows = scores([0.9] * 6 + [0.1, 0.1, 0.1, 0.8, 0.9])
    (finding,) = findings = judge(rows)
    assert (finding.first_epoch, finding.last_epoch) == (8, 9)
    assert at_the_end(findings, rows) == []
    assert is_hopeless(rows[:9], 11)
    assert not is_hopeless(rows, 11)


def test_between_two_scores_the_last_one_holds():
    rows = scores([0.9] * 6 + [0.1, 0.1], score_every=3)
    rows += [{"epoch": 25.0}, {"epoch": 26.0}]
    findings = judge(rows, num_epochs=30)
    assert [(finding.first_epoch, finding.last_epoch) for finding in findings] == [(24, 26)]
    assert at_the_end(findings, rows) == findings


def test_rows_of_an_unfinished_run_are_judged_as_they_were():
    """Findings up to an epoch depend on the rows up to it: a resumed run is told the same."""
    rng = np.random.default_rng(0)
    rows = scores([0.9] * 6 + list(rng.choice([0.1, 0.1, 0.6], 30)))
    whole = {epoch for finding in judge(rows) for epoch in range(finding.first_epoch, finding.last_epoch + 1)}
    stepwise = {end for end in range(1, len(rows) + 1) if is_hopeless(rows[:end], len(rows))}
    assert whole == stepwise


@pytest.mark.parametrize("offset", [0.0, -2400.0])
def test_a_critic_that_tells_images_apart_is_fine_whatever_its_offset(offset):
    rng = np.random.default_rng(0)
    generated = offset + np.cumsum(rng.normal(0, 5, 30))
    gaps = np.linspace(20, 3, 30) + rng.normal(0, 1, 30)
    assert not judge(critic(GAP, generated + gaps, generated), critic_gap=GAP)


@pytest.mark.parametrize(("mean", "spread"), [(0.0, 0.5), (-0.6, 0.1), (0.001, 0.0)])
def test_a_critic_that_does_not_is_said_to_learn_nothing(mean, spread):
    rng = np.random.default_rng(1)
    generated = rng.normal(8, 1, 12)
    real = generated + mean + np.tile([spread, -spread], 6)
    (finding,) = judge(critic(GAP, real, generated), critic_gap=GAP)
    assert (finding.kind, finding.first_epoch, finding.last_epoch) == ("idle critic", 8, 12)
    assert "the critic learns nothing: for 8 epochs" in finding.message
    assert "critic_learning_rate" in finding.message


@pytest.mark.parametrize(
    ("real", "generated", "kinds"),
    [
        (0.5, 0.52, ["idle critic"]),
        (1.0, 0.0, ["idle critic"]),  # it calls every image real
        (0.2, 0.3, ["idle critic"]),
        (0.8, 0.7, []),
        (0.95, 0.97, []),
        (1.0, 0.995, ["unbeaten critic"]),
    ],
)
def test_discriminators_are_judged_by_their_accuracies(real, generated, kinds):
    findings = judge(critic(ACCURACIES, [real] * 9, [generated] * 9), critic_gap=ACCURACIES)
    assert [finding.kind for finding in findings] == kinds
    assert not judge(critic(ACCURACIES, [real] * 7, [generated] * 7), critic_gap=ACCURACIES)


def test_findings_survive_their_file(tmp_path):
    run = RunFolder(tmp_path)
    assert run.findings() == []
    findings = judge(scores([0.05] * 12)) + judge(critic(GAP, [1.0] * 9, [1.0] * 9), critic_gap=GAP)
    assert len(findings) == 2
    run.write_findings(findings)
    assert run.findings() == findings
    assert describe(findings) == "; ".join(finding.message for finding in findings)
    run.write_findings([])
    assert run.findings() == []


def test_latents_that_say_nothing_are_told():
    def rows(kls):
        return [{"epoch": float(epoch), "kl": kl} for epoch, kl in enumerate(kls, 1)]

    assert not judge(rows([0.01] * 10), num_epochs=40)  # beta warms up
    assert not judge(rows([4.0] * 12 + [0.01] * 7), num_epochs=20)
    dead = rows([4.0] * 6 + [0.01] * 8)
    (finding,) = judge(dead, num_epochs=20)
    assert (finding.kind, finding.first_epoch, finding.last_epoch) == ("posterior collapse", 14, 14)
    assert "KL 0.01 nats" in finding.message
    assert is_hopeless(dead, 20)
    assert not at_the_end(judge(rows([0.01] * 14 + [1.0]), num_epochs=20), rows([0.01] * 14 + [1.0]))
