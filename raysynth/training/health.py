"""What is wrong with a run, in plain words, from its metrics alone: a collapse, of the latents too, a critic that
learns nothing.

A value that is not finite needs no judging: the loop stops there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Row = dict[str, float]
Kind = Literal["collapse", "posterior collapse", "idle critic", "unbeaten critic"]

# Of the least diverse class, measured with WCGAN-GP at 32 and 64 px: 0.56 to 1.2 in good trainings (real images,
# however blurred, have 0.68), under 0.3 in those whose images of a class all looked alike.
MIN_DIVERSITY, GOOD_DIVERSITY = 0.3, 0.5
# A slow start looks like a collapse: good trainings of few generator steps stayed at 0.15 to 0.25 for half their
# epochs, hopeless ones at 0.05 to 0.12.
MIN_EARLY_DIVERSITY = 0.15
START, END = 0.25, 0.75  # shares of a run: nothing is said before the one, and no start is slow after the other
NUM_FIRST_SCORES = 5  # of which nothing is said: an untrained generator's images are all alike
NUM_SCORES = 2  # in a row, for a collapse
NUM_EPOCHS = 8  # in a row, for whatever is said of a critic or of latents
MIN_RELATIVE_GAP = 1e-3  # of the scores' size; a drift of all scores, which means nothing, makes 1e-2 common
IDLE_ACCURACY, UNBEATEN_ACCURACY = 0.55, 0.99
MIN_KL = 0.1  # nats of a whole latent; good trainings of two latent numbers had 4, one that had collapsed 0.002


@dataclass(frozen=True)
class Finding:
    """Something wrong from `first_epoch` to `last_epoch`; `message` is what the last of them showed, and a remedy."""

    kind: Kind
    first_epoch: int
    last_epoch: int
    message: str


def find_problems(
    history: Sequence[Row], *, num_epochs: int, classes: Sequence[str], critic_gap: tuple[str, str] | None = None
) -> list[Finding]:
    """All findings of a run's rows (one an epoch), in the order in which they began.

    A function of the rows alone, so a resumed run is judged like one that never stopped. `num_epochs` is what the run
    was asked for; `critic_gap` as in `Family`.
    """
    findings = _find_collapse(history, num_epochs, classes) + _find_posterior_collapse(history, num_epochs)
    if critic_gap is not None:
        findings += _find_critic(history, *critic_gap)
    return sorted(findings, key=lambda finding: finding.first_epoch)


def at_the_end(findings: Sequence[Finding], history: Sequence[Row]) -> list[Finding]:
    """The findings that still held when last measured."""
    return [finding for finding in findings if history and finding.last_epoch == int(history[-1]["epoch"])]


def describe(findings: Sequence[Finding]) -> str:
    """The messages in one line; "" without any."""
    return "; ".join(finding.message for finding in findings)


def is_hopeless(history: Sequence[Row], num_epochs: int, critic_gap: tuple[str, str] | None = None) -> bool:
    """Whether a search should give the run up: it has collapsed, or something has been wrong with its critic and the
    Frechet distance has not become better since (a critic may find nothing because the images are good)."""
    findings = at_the_end(find_problems(history, num_epochs=num_epochs, classes=(), critic_gap=critic_gap), history)
    if any("collapse" in finding.kind for finding in findings):
        return True
    for finding in findings:
        before = [row["frechet"] for row in history if "frechet" in row and row["epoch"] < finding.first_epoch]
        since = [row["frechet"] for row in history if "frechet" in row and row["epoch"] >= finding.first_epoch]
        if before and since and min(since) >= min(before):
            return True
    return False


def _find_collapse(history: Sequence[Row], num_epochs: int, classes: Sequence[str]) -> list[Finding]:
    """Images of a class under 0.3 of the real ones' diversity in two scores in a row; under 0.15 as long as it has
    never been 0.5 and the last quarter of the run has not begun."""
    scored = [row for row in history if "diversity" in row]
    held: list[tuple[int, str]] = []
    best = 0.0
    for place in range(len(scored)):
        recent = scored[max(0, place + 1 - NUM_SCORES) : place + 1]
        epoch = int(scored[place]["epoch"])
        best = max(best, scored[place]["diversity"])
        started = best >= GOOD_DIVERSITY or epoch > END * num_epochs
        limit = MIN_DIVERSITY if started else MIN_EARLY_DIVERSITY
        too_early = place < NUM_FIRST_SCORES or (not started and epoch <= START * num_epochs)
        if too_early or any(row["diversity"] >= limit for row in recent):
            held.append((epoch, ""))
            continue
        label = int(scored[place]["diversity_class"])
        name = classes[label] if label < len(classes) else str(label)
        held.append(
            (
                epoch,
                f"collapse: images of class {name} differ by only {100 * scored[place]['diversity']:.0f} % of what "
                f"real ones do; try {'' if best >= GOOD_DIVERSITY else 'more epochs, '}more critic steps (n_critic), a "
                "lower generator_learning_rate, or augmentation",
            )
        )
    return _merge("collapse", held, history)


def _find_posterior_collapse(history: Sequence[Row], num_epochs: int) -> list[Finding]:
    """Latents that say nothing of their images (Bowman et al. 2016) for some epochs, once a quarter of the run is over:
    at first beta is small, and so may be what is known."""
    measured = [row for row in history if "kl" in row]
    held: list[tuple[int, str]] = []
    for place in range(NUM_EPOCHS - 1, len(measured)):
        recent = [row["kl"] for row in measured[place + 1 - NUM_EPOCHS : place + 1]]
        epoch = int(measured[place]["epoch"])
        message = (
            f"posterior collapse: for {NUM_EPOCHS} epochs the latents have said nothing of their images (KL "
            f"{recent[-1]:.2g} nats); try a lower beta, a longer beta_warm_up, free_bits, a lower adversarial_weight, "
            "or another seed"
        )
        held.append((epoch, message if max(recent) < MIN_KL and epoch > START * num_epochs else ""))
    return _merge("posterior collapse", held, history)


def _find_critic(history: Sequence[Row], real: str, generated: str) -> list[Finding]:
    measured = [row for row in history if real in row and generated in row]
    judge = _judge_accuracies if real.startswith("accuracy") else _judge_scores
    held: dict[Kind, list[tuple[int, str]]] = {"idle critic": [], "unbeaten critic": []}
    for place in range(NUM_EPOCHS - 1, len(measured)):
        recent = measured[place + 1 - NUM_EPOCHS : place + 1]
        messages = judge([row[real] for row in recent], [row[generated] for row in recent])
        for kind, points in held.items():
            points.append((int(measured[place]["epoch"]), messages.get(kind, "")))
    return [finding for kind, points in held.items() for finding in _merge(kind, points, history)]


def _judge_scores(real: Sequence[float], generated: Sequence[float]) -> dict[Kind, str]:
    """Idle: the gap is no larger than twice its standard error over the epochs, or nothing beside the scores' size."""
    gaps = [a - b for a, b in zip(real, generated, strict=True)]
    count = len(gaps)
    mean = sum(gaps) / count
    error = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / (count - 1) / count)
    size = sum(max(abs(a), abs(b)) for a, b in zip(real, generated, strict=True)) / count
    if mean > max(2 * error, MIN_RELATIVE_GAP * size):
        return {}
    return {
        "idle critic": f"the critic learns nothing: for {count} epochs it has not scored real images above generated "
        f"ones (by {mean:.3g} ± {error:.2g}); unless the images are good, try a higher critic_learning_rate "
        "or n_critic, or a weaker penalty or clipping"
    }


def _judge_accuracies(real: Sequence[float], generated: Sequence[float]) -> dict[Kind, str]:
    """Idle: right as often as a coin, over both kinds of image; unbeaten: hardly ever wrong about either."""
    count = len(real)
    mean = (sum(real) + sum(generated)) / (2 * count)
    if mean <= IDLE_ACCURACY:
        return {
            "idle critic": f"the discriminator learns nothing: for {count} epochs it has been right about "
            f"{100 * mean:.0f} % of real and generated images, like a coin; unless the images are good, try a higher "
            "critic_learning_rate or n_critic"
        }
    if min(*real, *generated) >= UNBEATEN_ACCURACY:
        return {
            "unbeaten critic": f"the discriminator always wins: for {count} epochs it has been right about "
            f"{100 * mean:.1f} % of real and generated images, so the generator is told nothing; try a lower "
            "critic_learning_rate or n_critic, or augmentation"
        }
    return {}


def _merge(kind: Kind, held: Sequence[tuple[int, str]], history: Sequence[Row]) -> list[Finding]:
    """Stretches of measurements (epoch, message or "") with a message as findings; a stretch lasts until the next
    measurement without one."""
    findings: list[Finding] = []
    first = None
    for place, (epoch, message) in enumerate(held):
        if not message:
            first = None
            continue
        last_of_all = place == len(held) - 1
        until = int(history[-1]["epoch"]) if last_of_all else held[place + 1][0] - 1
        if first is None:
            first = epoch
            findings.append(Finding(kind, first, until, message))
        else:
            findings[-1] = Finding(kind, first, until, message)
    return findings
