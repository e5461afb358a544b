"""How well the audit's detector finds copies: recall and false alarms by transformation, beside a perceptual hash.

    python benchmarks/audit_detector.py [--data SRC] [--images 500] [--distractors 2000]

SRC is a folder or zip of class folders; without it, phantoms are drawn. Each transformation is done to the original
files of `--images` pictures, which are then looked for among all pictures, one transformation a run: copies of one
picture would help each other. A found pair of a picture and its own transform is right. Found pairs of pictures of
two classes are false alarms, except where the originals were found to be a pair too (public sets hold pictures under
two classes; these are listed, to be looked at). Pictures of one class may well be unlabelled copies or neighbouring
slices: such pairs are counted apart, neither right nor wrong. Of phantoms the patients are known: the pictures of all
others are certain negatives, and only slices of one patient, which may be all but the same, are counted apart.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from audit_transforms import TRANSFORMS, Original, Rendered, draw_phantoms, read_originals, render

from raysynth.cluster.session import num_cores, prepare_environment
from raysynth.data.audit.appearance import NUM_ORIENTATIONS
from raysynth.data.audit.candidates import Candidates
from raysynth.data.audit.copies import connected, find_copies
from raysynth.data.audit.thresholds import Thresholds
from raysynth.data.dataset import hash_pixels
from raysynth.intervals import wilson_interval

HASH_LIMITS = (4, 8, 10)  # bits of 64
SWEEP = (0.70, 0.75, 0.80, 0.85, 0.90, 0.95)
MAX_LISTED = 20
NEGATIVE, UNKNOWN, COPY = 0, 1, 2


@dataclass(frozen=True)
class Gallery:
    """All distinct pictures, the first of which are transformed, and what is known of every two of them.

    `truth` (M, M) holds NEGATIVE, UNKNOWN and, on its diagonal, COPY; `found` (M, M) bool, which originals the
    detector paired; `pairs` the same as a table.
    """

    originals: list[Original]
    thumbnails: np.ndarray
    hashes: np.ndarray
    truth: np.ndarray
    found: np.ndarray
    pairs: pd.DataFrame

    def class_names(self, rows: Iterable[int]) -> list[str]:
        return [self.originals[row].class_name for row in rows]


@dataclass
class Trial:
    """One transformation: counts, and tables of pairs.

    `scores` has the score and level (see `Recorder.table`) of every true pair, 0 for one that was never looked at;
    `verified` a row for every pair that was; `alarms` the found ones that are false.
    """

    name: str
    scores: pd.DataFrame
    num_found: int
    num_right_relation: int
    num_not_candidates: int
    num_negatives: int
    alarms: pd.DataFrame
    num_undecided: int
    num_undecided_new: int
    verified: pd.DataFrame
    hash_found: dict[int, int]
    hash_alarms: dict[int, int]

    @property
    def num_pairs(self) -> int:
        return len(self.scores)


class Recorder:
    """Runs batches here and keeps the score of every pair that is verified, of the rejected ones too."""

    def __init__(self, thumbnails: np.ndarray) -> None:
        self.rows = {grey.tobytes(): row for row, grey in reversed(list(enumerate(thumbnails)))}
        self.parts: list[pd.DataFrame] = []

    def __call__(
        self, function: Callable[[Any, dict[str, Any]], Any], batches: Sequence[Any], shared: dict[str, Any]
    ) -> Iterator[Any]:
        for batch in batches:
            result = function(batch, shared)
            if isinstance(batch, Candidates):
                a, b = ([self.rows[grey.tobytes()] for grey in shared["pictures"][side]] for side in (batch.a, batch.b))
                self.parts.append(pd.DataFrame({"a": a, "b": b, "score": result[0]}))
            yield result

    def table(self, origin: np.ndarray, gallery: Gallery, thresholds: Thresholds) -> pd.DataFrame:
        """A row for every pair that was looked at.

        Columns: a, b (originals), kind, score (the best of all attempts) and level, which is the score less what is
        asked of inverted pairs above others.
        """
        table = pd.concat(self.parts)
        table["level"] = table["score"].abs()
        table.loc[table["score"] < 0, "level"] -= thresholds.inverted_score - thresholds.score
        table["score"] = table["score"].abs()
        table["low"], table["high"] = np.sort(table[["a", "b"]].to_numpy(), axis=1).T
        table = table.groupby(["low", "high"], as_index=False)[["score", "level"]].max()
        table["a"], table["b"] = origin[table["low"]], origin[table["high"]]
        table["kind"] = gallery.truth[table["a"], table["b"]]
        return table.drop(columns=["low", "high"])


def build_gallery(originals: list[Original], rendered: list[Rendered], thresholds: Thresholds) -> Gallery:
    """Search the originals themselves, and settle what counts as a certain negative."""
    thumbnails = np.concatenate([each.thumbnails[:1] for each in rendered])
    pairs = find_copies(thumbnails, [hash_pixels(grey) for grey in thumbnails], thresholds=thresholds)
    found = np.zeros((len(originals), len(originals)), dtype=bool)
    found[pairs["a"], pairs["b"]] = found[pairs["b"], pairs["a"]] = True
    if originals[0].patient is not None:
        patients = np.array([original.patient for original in originals])
        unknown = patients[:, None] == patients
    else:
        names = np.array([original.class_name for original in originals])
        unknown = (names[:, None] == names) | found
    truth = np.where(unknown, UNKNOWN, NEGATIVE)
    np.fill_diagonal(truth, COPY)
    return Gallery(originals, thumbnails, np.stack([each.hashes[0] for each in rendered]), truth, found, pairs)


def hash_distances(asking: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Differing bits (n, m) of hashes (n, 8) in the best orientation and hashes (m, 8) upright."""
    each = (np.bitwise_count(asking[:, turn, None] ^ asked[None, :, 0]) for turn in range(NUM_ORIENTATIONS))
    return np.minimum.reduce(list(each))


def try_transform(name: str, number: int, gallery: Gallery, rendered: list[Rendered], thresholds: Thresholds) -> Trial:
    """Look for the transformed pictures, row `number` of each rendered one, among all originals."""
    base = np.flatnonzero([each.changed[number] for each in rendered])
    copies = np.stack([rendered[row].thumbnails[number] for row in base])
    origin = np.concatenate([np.arange(len(gallery.originals)), base])
    thumbnails = np.concatenate([gallery.thumbnails, copies])
    hashes = [hash_pixels(grey) for grey in thumbnails]
    is_copy = np.arange(len(origin)) >= len(gallery.originals)
    recorder = Recorder(thumbnails)
    pairs = find_copies(thumbnails, hashes, thresholds=thresholds, wanted=is_copy, run=recorder)
    pairs["a"], pairs["b"] = origin[pairs["a"]], origin[pairs["b"]]
    kind = gallery.truth[pairs["a"], pairs["b"]]
    true, undecided = pairs[kind == COPY], pairs[kind == UNKNOWN]

    verified = recorder.table(origin, gallery, thresholds)
    of_true = verified[verified["kind"] == COPY].set_index("a")
    exact = true.loc[true["relation"] == "exact", "a"]  # identical thumbnails need no verification
    scores = pd.DataFrame({"score": 0.0, "level": 0.0}, index=base)
    scores.loc[of_true.index] = of_true[["score", "level"]]
    scores.loc[exact] = 1.0
    is_negative, among_copies = gallery.truth[base] == NEGATIVE, np.triu(gallery.truth[np.ix_(base, base)] == NEGATIVE)
    asking = np.stack([rendered[row].hashes[number] for row in base])
    distances, distances_among = hash_distances(asking, gallery.hashes), hash_distances(asking, asking)
    own = distances[np.arange(len(base)), base]
    return Trial(
        name=name,
        scores=scores,
        num_found=len(true),
        num_right_relation=int(true["relation"].isin([TRANSFORMS[name][0], "exact"]).sum()),
        num_not_candidates=len(base) - len(of_true) - len(exact),
        num_negatives=int(is_negative.sum() + among_copies.sum()),
        alarms=pairs[kind == NEGATIVE].assign(transform=name),
        num_undecided=len(undecided),
        num_undecided_new=int((~gallery.found[undecided["a"], undecided["b"]]).sum()),
        verified=verified,
        hash_found={limit: int((own <= limit).sum()) for limit in HASH_LIMITS},
        hash_alarms={
            limit: int(((distances <= limit) & is_negative).sum() + ((distances_among <= limit) & among_copies).sum())
            for limit in HASH_LIMITS
        },
    )


def percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f}" if whole else "-"


def markdown(rows: list[dict[str, Any]]) -> str:
    """Rows as a table: the first column to the left, the others to the right."""
    names = list(rows[0])
    lines = [names, [":--", *["--:"] * (len(names) - 1)], *([str(row[name]) for name in names] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def detector_table(trials: list[Trial]) -> str:
    rows = []
    for trial in [*trials, total(trials)]:
        low, high = wilson_interval(trial.num_found / trial.num_pairs, trial.num_pairs)
        num_alarms = len(trial.alarms)
        missed = trial.num_pairs - trial.num_found
        rows.append(
            {
                "transformation": trial.name,
                "pairs": trial.num_pairs,
                "recall %": percent(trial.num_found, trial.num_pairs),
                "95 % interval": f"{100 * low:.1f}-{100 * high:.1f}",
                "right relation %": percent(trial.num_right_relation, trial.num_found),
                "score: median": f"{trial.scores['score'].median():.3f}",
                "10 %": f"{trial.scores['score'].quantile(0.1):.3f}",
                "missed by search": trial.num_not_candidates,
                "by score": missed - trial.num_not_candidates,
                "false alarms": num_alarms,
                "precision %": percent(trial.num_found, trial.num_found + num_alarms),
                "false alarms per million": f"{1e6 * num_alarms / trial.num_negatives:.1f}",
                "undecided": trial.num_undecided,
                "of them new": trial.num_undecided_new,
            }
        )
    return markdown(rows)


def total(trials: list[Trial]) -> Trial:
    """All trials as one."""
    counts = ("num_found", "num_right_relation", "num_not_candidates", "num_negatives", "num_undecided")
    return replace(
        trials[0],
        name="**all**",
        scores=pd.concat([trial.scores for trial in trials]),
        alarms=pd.concat([trial.alarms for trial in trials]),
        verified=pd.concat([trial.verified for trial in trials]),
        hash_found={limit: sum(trial.hash_found[limit] for trial in trials) for limit in HASH_LIMITS},
        hash_alarms={limit: sum(trial.hash_alarms[limit] for trial in trials) for limit in HASH_LIMITS},
        num_undecided_new=sum(trial.num_undecided_new for trial in trials),
        **{name: sum(getattr(trial, name) for trial in trials) for name in counts},
    )


def sweep_table(trials: list[Trial], thresholds: Thresholds) -> str:
    """What other thresholds would have found, of the pairs that were looked at."""
    everything = total(trials)
    rows = []
    for limit in sorted({*SWEEP, thresholds.score}):
        kinds = everything.verified.loc[everything.verified["level"] >= limit, "kind"]
        num_found, num_alarms = int((everything.scores["level"] >= limit).sum()), int((kinds == NEGATIVE).sum())
        rows.append(
            {
                "least score": f"{limit:.2f}" + (" (in force)" if limit == thresholds.score else ""),
                "recall %": percent(num_found, everything.num_pairs),
                "false alarms": num_alarms,
                "precision %": percent(num_found, num_found + num_alarms),
                "false alarms per million": f"{1e6 * num_alarms / everything.num_negatives:.1f}",
                "undecided": int((kinds == UNKNOWN).sum()),
            }
        )
    return markdown(rows)


def peer_table(trials: list[Trial]) -> str:
    rows = []
    for trial in [*trials, total(trials)]:
        row: dict[str, Any] = {
            "transformation": trial.name,
            "audit: recall %": percent(trial.num_found, trial.num_pairs),
            "false alarms": len(trial.alarms),
        }
        for limit in HASH_LIMITS:
            row[f"hash <= {limit}: recall %"] = percent(trial.hash_found[limit], trial.num_pairs)
            row[f"false alarms, <= {limit}"] = trial.hash_alarms[limit]
        rows.append(row)
    return markdown(rows)


def chaining_table(gallery: Gallery) -> str:
    """Groups that form among the originals."""
    num = len(gallery.originals)
    distances = hash_distances(gallery.hashes, gallery.hashes)
    methods = {"audit": gallery.pairs[["a", "b"]].to_numpy()}
    for limit in HASH_LIMITS:
        methods[f"hash <= {limit}"] = np.argwhere(np.triu(distances <= limit, 1))
    rows = []
    for name, pairs in methods.items():
        groups = connected(pairs, num)
        members = np.flatnonzero(groups == np.bincount(groups).argmax())
        names = np.array(gallery.class_names(range(num)))
        rows.append(
            {
                "originals": name,
                "pairs": len(pairs),
                "across classes": int((names[pairs[:, 0]] != names[pairs[:, 1]]).sum()),
                "largest group": len(members),
                "classes in it": len(set(names[members])),
            }
        )
    return markdown(rows)


def list_pairs(pairs: pd.DataFrame, gallery: Gallery) -> str:
    rows = []
    for pair in pairs.sort_values("score", ascending=False).head(MAX_LISTED).to_dict("records"):
        a, b = gallery.originals[pair["a"]], gallery.originals[pair["b"]]
        same_patient = "unknown" if a.patient is None else "yes" if a.patient == b.patient else "no"
        of = {name: pair[name] for name in ("transform", "relation", "score") if name in pair}
        rows.append({"a": a.name, "b": b.name, "same patient": same_patient, **of})
    return f"The {len(rows)} best of {len(pairs)}:\n\n" + markdown(rows) if rows else "None.\n"


def report(gallery: Gallery, trials: list[Trial], thresholds: Thresholds) -> Iterator[str]:
    everything = total(trials)
    num_alarms, num_negatives = len(everything.alarms), everything.num_negatives
    limits = f"least score {thresholds.score}, of inverted pairs {thresholds.inverted_score}"
    yield f"{len(gallery.originals)} distinct pictures; {limits}\n"
    yield detector_table(trials)
    high = 1e6 * wilson_interval(num_alarms / num_negatives, num_negatives)[1]
    yield (
        f"False alarms: {num_alarms} in {num_negatives:,} certain negatives, at most {high:.1f} per million (95 %, as"
        " if all were independent). Scores are of all true pairs, 0 where the search did not return one. Undecided:"
        " pairs found in one class, of phantoms in one patient; new are those whose originals were no pair.\n"
    )
    yield "### Other thresholds, all transformations\n\n" + sweep_table(trials, thresholds)
    yield "### Beside a perceptual hash (64-bit DCT, the best of 8 orientations)\n\n" + peer_table(trials)
    yield chaining_table(gallery)
    yield "### False alarms\n\n" + list_pairs(everything.alarms, gallery)
    names = [np.array(gallery.class_names(gallery.pairs[side])) for side in ("a", "b")]
    if gallery.originals[0].patient is not None:
        yield "### False alarms among the originals\n\n" + list_pairs(gallery.pairs, gallery)
    else:
        across = gallery.pairs[names[0] != names[1]]
        yield "### Originals paired across classes (left out of the negatives)\n\n" + list_pairs(across, gallery)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--distractors", type=int, default=2000)
    parser.add_argument("--size", type=int, default=160, help="pixels of the phantoms")
    parser.add_argument("--score", type=float, default=Thresholds.score)
    parser.add_argument("--inverted-score", type=float, default=Thresholds.inverted_score)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    thresholds = Thresholds(score=arguments.score, inverted_score=arguments.inverted_score)
    started = time.perf_counter()

    def say(line: str) -> None:
        print(f"{time.perf_counter() - started:6.1f} s  {line}", file=sys.stderr)

    num = arguments.images + arguments.distractors
    if arguments.data:
        originals = read_originals(arguments.data, num, np.random.default_rng(arguments.seed))
    else:
        originals = draw_phantoms(num, arguments.size, arguments.seed)
    with ProcessPoolExecutor(num_cores(), mp_context=get_context("spawn")) as pool:
        plain = partial(render, names=(), seed=arguments.seed)
        first: dict[str, tuple[Original, Rendered]] = {}
        for original, one in zip(
            originals, pool.map(plain, originals, range(len(originals)), chunksize=8), strict=True
        ):
            if one is not None:
                first.setdefault(hash_pixels(one.thumbnails[0]), (original, one))
        distinct = list(first.values())[:num]
        originals, rendered = [original for original, _ in distinct], [one for _, one in distinct]
        say(f"{len(originals)} distinct pictures")
        gallery = build_gallery(originals, rendered, thresholds)
        say(f"{len(gallery.pairs)} pairs among the originals")
        chosen = originals[: arguments.images]
        transform = partial(render, names=tuple(TRANSFORMS), seed=arguments.seed)
        done = pool.map(transform, chosen, range(len(chosen)), chunksize=8)
        transformed = [one for one in done if one is not None]
    say(f"{len(chosen)} pictures transformed")
    trials = []
    for number, name in enumerate(TRANSFORMS, start=1):
        if not any(one.changed[number] for one in transformed):
            continue
        trials.append(try_transform(name, number, gallery, transformed, thresholds))
        say(f"{name}: {trials[-1].num_found} of {trials[-1].num_pairs}, {len(trials[-1].alarms)} false alarms")
    for section in report(gallery, trials, thresholds):
        print(section)


if __name__ == "__main__":
    prepare_environment()
    main()
