"""Every pair of images that show the same picture: exact, near, mirrored, turned, cropped or inverted copies.

Candidates (`candidates`) are verified one by one (`alignment`); then the members of each connected component are
compared with one another, so that the result is every pair and not a spanning set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from raysynth.data.audit.alignment import align, invert
from raysynth.data.audit.appearance import embed
from raysynth.data.audit.batches import Run, run_here
from raysynth.data.audit.candidates import Candidates, EmbeddingIndex, first_maps
from raysynth.data.audit.relations import describe
from raysynth.data.audit.thresholds import Thresholds
from raysynth.data.thumbnails import is_blank

# Pairs (n, 2) of pictures, the maps (n, 2, 3) from the first to the second, and their scores (n,).
Verified = tuple[np.ndarray, np.ndarray, np.ndarray]

BATCH_SIZE = 256
MAX_GUESSES = 2  # first alignments that are tried for one pair, the most similar first
MAX_COMPARED_COMPONENT = 400  # members of one component that are all compared with one another
MIN_TOLD = 1000  # pictures whose search takes a while
MAX_LISTED_TWINS = 1000  # of more identical images only the pairs with the first are listed


def find_copies(
    thumbnails: np.ndarray,
    hashes: Sequence[str],
    *,
    thresholds: Thresholds | None = None,
    wanted: np.ndarray | None = None,
    run: Run = run_here,
    say: Callable[[str], None] = lambda line: None,
) -> pd.DataFrame:
    """All copies among thumbnails (N, 64, 64) uint8 with their pixel hashes (N,): one row a pair, `a` < `b`.

    Columns: a, b (row numbers), relation (exact, near, mirrored, rotated, inverted), score, and what `describe` finds
    of the transformation from `a` to `b`. `wanted` (N,) bool leaves out pairs of which neither image is wanted. `run`
    maps a function over batches, in this process or with Ray Data.
    """
    thresholds = thresholds or Thresholds()
    rows = np.flatnonzero(~is_blank(thumbnails))  # one blank picture is like another, and a copy of none
    if not len(rows):
        return _as_table(np.zeros((0, 2), dtype=np.int64), np.zeros((0, 2, 3)), np.zeros(0))
    _, first, picture_of = np.unique(np.asarray(hashes)[rows], return_index=True, return_inverse=True)
    is_wanted = np.ones(len(rows), dtype=bool) if wanted is None else wanted[rows]
    matters = np.bincount(picture_of, weights=is_wanted, minlength=len(first)) > 0
    pairs = _expand(*_find_near(thumbnails[rows[first]], matters, thresholds, run, say), picture_of)
    pairs = pairs[is_wanted[pairs["a"].to_numpy()] | is_wanted[pairs["b"].to_numpy()]]
    pairs = pairs.assign(a=rows[pairs["a"].to_numpy()], b=rows[pairs["b"].to_numpy()])
    return pairs.sort_values(["a", "b"], ignore_index=True)


def _find_near(
    pictures: np.ndarray, matters: np.ndarray, thresholds: Thresholds, run: Run, say: Callable[[str], None]
) -> Verified:
    """The copies among distinct pictures (P, 64, 64)."""
    if len(pictures) < 2:
        return np.zeros((0, 2), dtype=np.int64), np.zeros((0, 2, 3)), np.zeros(0)
    rows = np.array_split(np.arange(len(pictures)), -(-len(pictures) // BATCH_SIZE))
    shared: dict[str, Any] = {"pictures": pictures}
    tell = say if len(pictures) >= MIN_TOLD else _keep_silent
    tell(f"audit: embedding {len(pictures)} distinct pictures")
    embedded = list(run(_embed_rows, rows, shared))
    shared["embeddings"] = np.concatenate([embeddings for embeddings, _ in embedded])
    shared["views"] = np.concatenate([views for _, views in embedded])
    shared["index"] = EmbeddingIndex(shared["embeddings"])
    search = partial(_search_rows, thresholds=thresholds)
    guesses = Candidates.concatenate(list(run(search, rows, shared)))
    guesses = _rank(guesses.take(matters[guesses.a] | matters[guesses.b]))
    num_pairs = len(np.unique(_pair_key(guesses.a, guesses.b, len(pictures))))
    tell(f"audit: verifying {num_pairs} candidate pairs")
    found = _verify(guesses, shared, thresholds, run)
    # The rest of each component: pairs that no search returned.
    rest = _unseen_pairs(found[0], guesses, len(pictures), matters)
    if len(rest):
        tell(f"audit: comparing {len(rest)} pairs more within groups")
        parts = np.array_split(rest, -(-len(rest) // BATCH_SIZE))
        more = _verify(Candidates.concatenate(list(run(_guess, parts, shared))), shared, thresholds, run)
        pairs, maps, scores = (np.concatenate(both) for both in zip(found, more, strict=True))
        return pairs, maps, scores
    return found


def _keep_silent(line: str) -> None:
    """Of what takes no time there is nothing to tell."""


def _embed_rows(rows: np.ndarray, shared: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    embeddings, views = embed(shared["pictures"][rows])
    return embeddings.astype(np.float16), views  # half the memory, and far more than the search resolves


def _search_rows(rows: np.ndarray, shared: dict[str, Any], thresholds: Thresholds) -> Candidates:
    embeddings = shared["embeddings"][rows].astype(np.float32)
    return shared["index"].search(
        embeddings, rows, num_neighbours=thresholds.num_neighbours, min_similarity=thresholds.similarity
    )


def _guess(pairs: np.ndarray, shared: dict[str, Any]) -> Candidates:
    """The likeliest view, orientation and sign of given pairs (n, 2), by the embeddings themselves."""
    return shared["index"].guess(shared["embeddings"], pairs)


def _rank(guesses: Candidates) -> Candidates:
    """At most MAX_GUESSES guesses of a pair, the most similar first; the guess from `b`'s side counts as well."""
    if not len(guesses):
        return guesses
    key = _pair_key(guesses.a, guesses.b, int(max(guesses.a.max(), guesses.b.max())) + 1)
    order = np.lexsort((-guesses.similarity, key))
    return guesses.take(order[_rank_in_runs(key[order]) < MAX_GUESSES])


def _verify(guesses: Candidates, shared: dict[str, Any], thresholds: Thresholds, run: Run) -> Verified:
    """Align and correlate; the second guess of a pair is tried where the first one failed."""
    num = len(shared["pictures"])
    pairs, maps, scores = [np.zeros((0, 2), dtype=np.int64)], [np.zeros((0, 2, 3), dtype=np.float32)], [np.zeros(0)]
    done = np.zeros(0, dtype=np.int64)
    key = _pair_key(guesses.a, guesses.b, num)
    rank = _rank_in_runs(key)
    for attempt in range(MAX_GUESSES):
        left = guesses.take(np.flatnonzero((rank == attempt) & ~np.isin(key, done)))
        if not len(left):
            break
        parts = [left.take(part) for part in np.array_split(np.arange(len(left)), -(-len(left) // BATCH_SIZE))]
        results = list(run(_align_rows, parts, shared))
        score = np.concatenate([score for score, _ in results])
        good = np.where(score < 0.0, -score >= thresholds.inverted_score, score >= thresholds.score)
        pairs.append(np.stack([left.a, left.b], 1)[good])
        maps.append(np.concatenate([found for _, found in results])[good])
        scores.append(score[good])
        done = np.union1d(done, _pair_key(left.a, left.b, num)[good])
    return np.concatenate(pairs), np.concatenate(maps), np.concatenate(scores)


def _align_rows(guesses: Candidates, shared: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    a, b = shared["pictures"][guesses.a], shared["pictures"][guesses.b]
    aligned = align(a, b, first_maps(guesses, shared["views"]), torch.from_numpy(guesses.sign.astype(np.float32)))
    return aligned.score, aligned.maps


def _unseen_pairs(found: np.ndarray, guesses: Candidates, num: int, matters: np.ndarray) -> np.ndarray:
    """Pairs (n, 2) of pictures in one component that were not looked at."""
    component = connected(found, num)
    order = np.argsort(component, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(component[order])) + 1)
    pairs = [
        np.stack(np.triu_indices(len(part), 1), 1).reshape(-1, 2)
        for part in parts
        if 2 < len(part) <= MAX_COMPARED_COMPONENT
    ]
    members = [part for part in parts if 2 < len(part) <= MAX_COMPARED_COMPONENT]
    if not pairs:
        return np.zeros((0, 2), dtype=np.int64)
    every = np.concatenate([np.sort(part)[index] for part, index in zip(members, pairs, strict=True)])
    seen = _pair_key(guesses.a, guesses.b, num)
    new = ~np.isin(_pair_key(every[:, 0], every[:, 1], num), seen) & matters[every].any(1)
    return every[new]


def connected(pairs: np.ndarray, num: int) -> np.ndarray:
    """The connected component (num,) of every row, given pairs (n, 2) of rows."""
    graph = coo_array((np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), shape=(num, num))
    return connected_components(graph, directed=False)[1]


def _as_table(pairs: np.ndarray, maps: np.ndarray, scores: np.ndarray) -> pd.DataFrame:
    """Pairs with the smaller row first, and what the maps say."""
    swapped = pairs[:, 0] > pairs[:, 1]
    between = torch.from_numpy(np.array(maps, dtype=np.float32).reshape(-1, 2, 3))
    between[swapped] = invert(between[swapped])
    ordered = np.sort(pairs, axis=1)
    return pd.DataFrame({"a": ordered[:, 0], "b": ordered[:, 1], **describe(between.numpy(), scores)})


def _expand(pairs: np.ndarray, maps: np.ndarray, scores: np.ndarray, picture_of: np.ndarray) -> pd.DataFrame:
    """From pairs of pictures to pairs of images: every image of one with every image of the other, and twins."""
    order = np.argsort(picture_of, kind="stable")
    count = np.bincount(picture_of)
    start = np.cumsum(count) - count
    a, b = pairs.T
    many = count[a] * count[b] > MAX_LISTED_TWINS**2  # then each image with one of the other picture
    num_each = np.where(many, np.maximum(count[a], count[b]), count[a] * count[b])
    line = np.repeat(np.arange(len(pairs)), num_each)
    nth = np.arange(len(line)) - np.repeat(np.cumsum(num_each) - num_each, num_each)
    nth_a = np.where(many[line], nth % count[a[line]], nth // count[b[line]])
    images_a, images_b = order[start[a[line]] + nth_a], order[start[b[line]] + nth % count[b[line]]]
    near = _as_table(np.stack([images_a, images_b], 1), maps[line], scores[line])
    twins = [np.zeros((0, 2), dtype=np.int64)]
    for picture in np.flatnonzero(count > 1):
        images = order[start[picture] : start[picture] + count[picture]]
        if len(images) > MAX_LISTED_TWINS:
            twins.append(np.stack([np.full(len(images) - 1, images[0]), images[1:]], 1))
        else:
            twins.append(images[np.stack(np.triu_indices(len(images), 1), 1)])
    identical = np.concatenate(twins)
    exact = _as_table(identical, np.broadcast_to(np.eye(2, 3), (len(identical), 2, 3)), np.ones(len(identical)))
    return pd.concat([exact.assign(relation="exact"), near], ignore_index=True)


def _pair_key(a: np.ndarray, b: np.ndarray, num: int) -> np.ndarray:
    """One whole number for an unordered pair of rows."""
    return np.minimum(a, b).astype(np.int64) * num + np.maximum(a, b)


def _rank_in_runs(keys: np.ndarray) -> np.ndarray:
    """Position of every element in its run of equal neighbours."""
    is_first = np.r_[True, keys[1:] != keys[:-1]] if len(keys) else np.zeros(0, dtype=bool)
    start = np.flatnonzero(is_first)
    return np.arange(len(keys)) - np.repeat(start, np.diff(np.r_[start, len(keys)]))
