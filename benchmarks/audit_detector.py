"""How well the audit's detector finds copies: recall and false alarms by transformation, beside a perceptual hash.

    python benchmarks/audit_detector.py [--data SRC] [--images 500] [--distractors 2000]

SRC is a folder or zip of class folders, of which the original files are read; without it, phantoms are drawn. Every
transformation is done to `--images` pictures, which are then looked for among all pictures. In one run a picture has
one copy at most: several would help each other. A found pair of a copy and its original is right. A found pair of a
copy and a picture of another class is a false alarm, unless the originals of both were found to be a pair too (public
sets hold pictures under two classes; these are listed, to be looked at). Pictures of one class may well be unlabelled
copies or neighbouring slices: such pairs are counted apart, neither right nor wrong. Of phantoms the patients are
known: pictures of all others are certain negatives, and only slices of one patient, which may be all but the same,
are counted apart. Pairs of two copies are not counted.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from audit_transforms import TRANSFORMS, Original, Rendered, draw_phantoms, read_originals, render

from raysynth.cluster.session import num_cores, prepare_environment
from raysynth.data.audit.appearance import NUM_ORIENTATIONS
from raysynth.data.audit.batches import run_here
from raysynth.data.audit.candidates import Candidates
from raysynth.data.audit.copies import connected, find_copies
from raysynth.data.audit.thresholds import Thresholds
from raysynth.data.thumbnails import hash_pixels
from raysynth.intervals import wilson_interval

HASH_LIMITS = (4, 8, 10)  # bits of 64
SWEEP = (0.70, 0.75, 0.80, 0.85, 0.90, 0.95)
MAX_LISTED = 20
NEGATIVE, UNDECIDED, COPY = 0, 1, 2


@dataclass(frozen=True)
class Gallery:
    """All distinct pictures, and what is known of every two of them.

    `truth` (M, M) holds NEGATIVE, UNDECIDED and, on its diagonal, COPY; `found` (M, M) bool, which originals the
    detector paired; `pairs` the same as a table.
    """

    originals: list[Original]
    thumbnails: np.ndarray
    hashes: np.ndarray
    truth: np.ndarray
    found: np.ndarray
    pairs: pd.DataFrame

    @property
    def class_names(self) -> np.ndarray:
        return np.array([original.class_name for original in self.originals])


@dataclass(frozen=True)
class Results:
    """Tables of one run, or of all.

    `copies`: a row for every transformed picture: transform; is_found; relation (found or None); was_candidate; score
    and level (see `Recorder.table`, 0 if it was no candidate); num_negatives; bits (between the hashes of it and of
    its original); alarms_4 and so on, negatives within so many bits.
    `others`: a row for every found pair of a copy and a picture that is not its original: transform, a, b (rows of
    originals), kind, is_new (not found between the originals), score, relation.
    `looked_at`: kind and level of every such pair that was verified, found or not.
    """

    copies: pd.DataFrame
    others: pd.DataFrame
    looked_at: pd.DataFrame

    @staticmethod
    def concatenate(parts: list[Results]) -> Results:
        names = ("copies", "others", "looked_at")
        return Results(*(pd.concat([getattr(part, name) for part in parts], ignore_index=True) for name in names))

    def by_transform(self) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame]]:
        """Copies and other pairs of each transformation, then of all."""
        for name in TRANSFORMS:
            copies = self.copies[self.copies["transform"] == name]
            if len(copies):
                yield name, copies, self.others[self.others["transform"] == name]
        yield "**all**", self.copies, self.others


class Recorder:
    """Runs batches in this process and keeps the score of every pair that is verified, of the rejected ones too."""

    def __init__(self, thumbnails: np.ndarray) -> None:
        self.rows = {grey.tobytes(): row for row, grey in reversed(list(enumerate(thumbnails)))}
        self.parts: list[pd.DataFrame] = []

    def __call__(
        self, function: Callable[[Any, dict[str, Any]], Any], batches: Sequence[Any], shared: dict[str, Any]
    ) -> Iterator[Any]:
        for batch, result in zip(batches, run_here(function, batches, shared), strict=True):
            if isinstance(batch, Candidates):
                a, b = ([self.rows[grey.tobytes()] for grey in shared["pictures"][side]] for side in (batch.a, batch.b))
                self.parts.append(pd.DataFrame({"a": a, "b": b, "score": result[0]}))
            yield result

    def table(self, thresholds: Thresholds) -> pd.DataFrame:
        """A row for every pair that was looked at.

        Columns: a < b (rows of the thumbnails), score (the best of all attempts) and level, which is the score less
        what is asked of inverted pairs above others.
        """
        table = pd.concat(self.parts)
        table["level"] = table["score"].abs()
        table.loc[table["score"] < 0, "level"] -= thresholds.inverted_score - thresholds.score
        table["score"] = table["score"].abs()
        table[["a", "b"]] = np.sort(table[["a", "b"]].to_numpy(), axis=1)
        return table.groupby(["a", "b"], as_index=False).max()


def build_gallery(pictures: Sequence[tuple[Original, Rendered]], thresholds: Thresholds) -> Gallery:
    """Search the originals themselves, and settle what counts as a certain negative."""
    originals = [original for original, _ in pictures]
    thumbnails = np.stack([rendered.thumbnail for _, rendered in pictures])
    pairs = find_copies(thumbnails, [hash_pixels(grey) for grey in thumbnails], thresholds=thresholds)
    found = np.zeros((len(originals), len(originals)), dtype=bool)
    found[pairs["a"], pairs["b"]] = found[pairs["b"], pairs["a"]] = True
    if originals[0].patient is not None:
        patients = np.array([original.patient for original in originals])
        undecided = patients[:, None] == patients
    else:
        names = np.array([original.class_name for original in originals])
        undecided = (names[:, None] == names) | found
    truth = np.where(undecided, UNDECIDED, NEGATIVE)
    np.fill_diagonal(truth, COPY)
    hashes = np.stack([rendered.hashes for _, rendered in pictures])
    return Gallery(originals, thumbnails, hashes, truth, found, pairs)


def hash_distances(asking: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Differing bits (n, m) of hashes (n, 8) in the best orientation and hashes (m, 8) upright."""
    each = (np.bitwise_count(asking[:, turn, None] ^ asked[None, :, 0]) for turn in range(NUM_ORIENTATIONS))
    return np.minimum.reduce(list(each))


def transforms_of(row: int, num_pictures: int, num_each: int) -> list[str]:
    """The transformation of picture `row` in each run: every transformation gets `num_each` pictures in a row."""
    names = list(TRANSFORMS)
    return [names[slot // num_each] for slot in range(row, len(names) * num_each, num_pictures)]


def try_run(
    base: np.ndarray, names: Sequence[str], copies: Sequence[Rendered], gallery: Gallery, thresholds: Thresholds
) -> Results:
    """Look for copies of the originals `base` (n,), made by the transformations `names` (n,), in the gallery."""
    num = len(gallery.originals)
    thumbnails = np.concatenate([gallery.thumbnails, np.stack([each.thumbnail for each in copies])])
    recorder = Recorder(thumbnails)
    found = find_copies(
        thumbnails,
        [hash_pixels(grey) for grey in thumbnails],
        thresholds=thresholds,
        wanted=np.arange(len(thumbnails)) >= num,
        run=recorder,
    )
    found, verified = (_copy_and_original(table, base, gallery) for table in (found, recorder.table(thresholds)))
    distances = hash_distances(np.stack([each.hashes for each in copies]), gallery.hashes)
    is_negative = gallery.truth[base] == NEGATIVE
    table = pd.DataFrame({"transform": names, "relation": None, "was_candidate": False, "score": 0.0, "level": 0.0})
    for rows, columns in ((verified, ["score", "level"]), (found, ["relation"])):
        true = rows[rows["kind"] == COPY].set_index("copy")
        table.loc[true.index, columns] = true[columns]
        table.loc[true.index, "was_candidate"] = True
    table.loc[table["relation"] == "exact", ["score", "level"]] = 1.0  # identical thumbnails need no verification
    table["is_found"] = table["relation"].notna()
    table["num_negatives"] = is_negative.sum(axis=1)
    table["bits"] = distances[np.arange(len(base)), base]
    for limit in HASH_LIMITS:
        table[f"alarms_{limit}"] = ((distances <= limit) & is_negative).sum(axis=1)
    others = found[found["kind"] != COPY]
    others = others.assign(transform=np.array(names)[others["copy"]], is_new=~gallery.found[others["a"], others["b"]])
    return Results(table, others, verified[verified["kind"] != COPY])


def _copy_and_original(table: pd.DataFrame, base: np.ndarray, gallery: Gallery) -> pd.DataFrame:
    """Of pairs of thumbnails, a < b, those of an original and a copy: a, b as originals, copy, kind."""
    num = len(gallery.originals)
    table = table[(table["a"] < num) & (table["b"] >= num)]
    table = table.assign(copy=table["b"] - num, b=base[table["b"] - num])
    return table.assign(kind=gallery.truth[table["a"], table["b"]])


def percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f}" if whole else "-"


def markdown(rows: list[dict[str, Any]]) -> str:
    """Rows as a table: the first column to the left, the others to the right."""
    names = list(rows[0])
    lines = [names, [":--", *["--:"] * (len(names) - 1)], *([str(row[name]) for name in names] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def detector_table(results: Results) -> str:
    rows = []
    for name, copies, others in results.by_transform():
        found = copies[copies["is_found"]]
        low, high = wilson_interval(len(found) / len(copies), len(copies))
        undecided, num_alarms = others[others["kind"] == UNDECIDED], int((others["kind"] == NEGATIVE).sum())
        expected = found["transform"].map({name: relation for name, (relation, _) in TRANSFORMS.items()})
        is_right = (found["relation"] == expected) | (found["relation"] == "exact")
        num_unseen = int((~copies["was_candidate"]).sum())
        rows.append(
            {
                "transformation": name,
                "copies": len(copies),
                "recall %": percent(len(found), len(copies)),
                "95 % interval": f"{100 * low:.1f}-{100 * high:.1f}",
                "right relation %": percent(is_right.sum(), len(found)),
                "score: median": f"{copies['score'].median():.3f}",
                "10 %": f"{copies['score'].quantile(0.1):.3f}",
                "missed by search": num_unseen,
                "by score": len(copies) - len(found) - num_unseen,
                "false alarms": num_alarms,
                "precision %": percent(len(found), len(found) + num_alarms),
                "false alarms per million": f"{1e6 * num_alarms / copies['num_negatives'].sum():.2f}",
                "undecided": len(undecided),
                "of them new": int(undecided["is_new"].sum()),
            }
        )
    return markdown(rows)


def sweep_table(results: Results, thresholds: Thresholds) -> str:
    """What other thresholds would have found, of the pairs that were looked at."""
    rows = []
    for limit in sorted({*SWEEP, thresholds.score}):
        kinds = results.looked_at.loc[results.looked_at["level"] >= limit, "kind"]
        num_found, num_alarms = int((results.copies["level"] >= limit).sum()), int((kinds == NEGATIVE).sum())
        rows.append(
            {
                "least score": f"{limit:.2f}" + (" (in force)" if limit == thresholds.score else ""),
                "recall %": percent(num_found, len(results.copies)),
                "false alarms": num_alarms,
                "precision %": percent(num_found, num_found + num_alarms),
                "false alarms per million": f"{1e6 * num_alarms / results.copies['num_negatives'].sum():.2f}",
                "undecided": int((kinds == UNDECIDED).sum()),
            }
        )
    return markdown(rows)


def peer_table(results: Results) -> str:
    rows = []
    for name, copies, others in results.by_transform():
        row: dict[str, Any] = {
            "transformation": name,
            "audit: recall %": percent(copies["is_found"].sum(), len(copies)),
            "false alarms": int((others["kind"] == NEGATIVE).sum()),
        }
        for limit in HASH_LIMITS:
            row[f"hash <= {limit}: recall %"] = percent((copies["bits"] <= limit).sum(), len(copies))
            row[f"false alarms, <= {limit}"] = int(copies[f"alarms_{limit}"].sum())
        rows.append(row)
    return markdown(rows)


def chaining_table(gallery: Gallery) -> str:
    """Groups that form among the originals."""
    num, names = len(gallery.originals), gallery.class_names
    distances = hash_distances(gallery.hashes, gallery.hashes)
    methods: dict[str, np.ndarray] = {"audit": gallery.pairs[["a", "b"]].to_numpy()}
    for limit in HASH_LIMITS:
        methods[f"hash <= {limit}"] = np.argwhere(np.triu(distances <= limit, 1))
    rows = []
    for method, pairs in methods.items():
        groups = connected(pairs, num)
        members = np.flatnonzero(groups == np.bincount(groups).argmax())
        rows.append(
            {
                "originals": method,
                "pairs": len(pairs),
                "across classes": int((names[pairs[:, 0]] != names[pairs[:, 1]]).sum()),
                "largest group": len(members),
                "classes in it": len(set(names[members])),
            }
        )
    return markdown(rows)


def list_pairs(pairs: pd.DataFrame, gallery: Gallery) -> str:
    """The pairs of originals that scored best, each once."""
    if not len(pairs):
        return "None.\n"
    pairs = pairs.assign(low=pairs[["a", "b"]].min(axis=1), high=pairs[["a", "b"]].max(axis=1), times=1)
    pairs = pairs.sort_values("score", ascending=False)
    first_of = {"relation": "first", "score": "first", "times": "sum"}
    distinct = pairs.groupby(["low", "high"], sort=False, as_index=False).agg(first_of)
    rows = []
    for pair in distinct.head(MAX_LISTED).to_dict("records"):
        names = [gallery.originals[pair[side]].name for side in ("low", "high")]
        rows.append({"one": names[0], "other": names[1], **{key: pair[key] for key in ("score", "relation", "times")}})
    return f"{len(distinct)} pairs of originals; the {len(rows)} that scored best:\n\n" + markdown(rows)


def report(gallery: Gallery, results: Results, thresholds: Thresholds) -> Iterator[str]:
    limits = f"least score {thresholds.score}, of inverted pairs {thresholds.inverted_score}"
    yield f"{len(gallery.originals)} distinct pictures; {limits}\n"
    yield detector_table(results)
    alarms = results.others[results.others["kind"] == NEGATIVE]
    num_negatives = int(results.copies["num_negatives"].sum())
    high = 1e6 * wilson_interval(len(alarms) / num_negatives, num_negatives)[1]
    yield (
        f"False alarms: {len(alarms)} in {num_negatives:,} certain negatives, at most {high:.2f} per million (95 %, as"
        " if all were independent). Scores are of all true pairs, 0 where the search did not return one. Undecided:"
        " pairs found in one class, of phantoms in one patient; new are those whose originals were no pair.\n"
    )
    yield f"### Other thresholds, all transformations\n\n{sweep_table(results, thresholds)}"
    yield f"### Beside a perceptual hash (64-bit DCT, the best of 8 orientations)\n\n{peer_table(results)}"
    yield chaining_table(gallery)
    yield f"### False alarms\n\n{list_pairs(alarms, gallery)}"
    kinds = gallery.truth[gallery.pairs["a"], gallery.pairs["b"]]
    if gallery.originals[0].patient is not None:
        num_found, num_pairs = (kinds == UNDECIDED).sum(), (gallery.truth == UNDECIDED).sum() // 2
        yield f"### False alarms among the originals\n\n{list_pairs(gallery.pairs[kinds == NEGATIVE], gallery)}"
        yield f"Beside them {num_found} of all {num_pairs} pairs of one patient were found.\n"
    else:
        names = gallery.class_names
        across = gallery.pairs[names[gallery.pairs["a"]] != names[gallery.pairs["b"]]]
        yield f"### Originals paired across classes (left out of the negatives)\n\n{list_pairs(across, gallery)}"


def distinct(pictures: Iterable[tuple[Original, list[Rendered | None]]], num: int) -> list[tuple[Original, Rendered]]:
    """The first `num` that are pictures and whose thumbnails differ."""
    kept: dict[str, tuple[Original, Rendered]] = {}
    for original, rendered in pictures:
        if len(kept) < num and rendered and rendered[0] is not None:
            kept.setdefault(hash_pixels(rendered[0].thumbnail), (original, rendered[0]))
    return list(kept.values())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path)
    parser.add_argument("--images", type=int, default=500, help="copies of each transformation")
    parser.add_argument("--distractors", type=int, default=2000, help="pictures beside as many as --images")
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
        draw = partial(render, seed=arguments.seed)
        plain = pool.map(draw, originals, range(len(originals)), [()] * len(originals), chunksize=16)
        pictures = distinct(zip(originals, plain, strict=True), num)
        num = len(pictures)
        say(f"{num} distinct pictures")
        names = [transforms_of(row, num, arguments.images) for row in range(num)]
        transformed = pool.map(draw, [original for original, _ in pictures], range(num), names, chunksize=16)
        gallery = build_gallery(pictures, thresholds)
        say(f"{len(gallery.pairs)} pairs among the originals")
        copies = [each[1:] for each in transformed]
    say(f"{sum(map(len, copies))} copies made")
    parts = []
    for run in range(max(map(len, copies))):
        made = [(row, copy) for row in range(num) if run < len(copies[row]) and (copy := copies[row][run])]
        rows = np.array([row for row, _ in made])
        parts.append(try_run(rows, [names[row][run] for row in rows], [copy for _, copy in made], gallery, thresholds))
        say(f"run {run + 1}: {int(parts[-1].copies['is_found'].sum())} of {len(rows)} copies found")
    for section in report(gallery, Results.concatenate(parts), thresholds):
        print(section)


if __name__ == "__main__":
    prepare_environment()
    main()
