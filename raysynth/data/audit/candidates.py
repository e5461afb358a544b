"""Which pairs of images may be copies? The nearest neighbours of every image, in all its orientations.

An embedding per view (see `appearance`) is whitened, so that what all heads share stops counting, and goes into an
index of faiss. Every image then asks for its neighbours as it is, turned, mirrored and inverted. What comes back is a
guess with a first alignment, to be verified by `alignment`; nothing is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
import torch
from torch import Tensor

from raysynth.data.audit.alignment import compose, invert
from raysynth.data.audit.appearance import NUM_ORIENTATIONS, VIEWS, orient, orientation_maps

NUM_DIMENSIONS = 128
QUERY_VIEWS = (0, 1)  # full, head: an "inner" view need only be found, its image asks with the other two
FIT_SAMPLE = 8192
EXACT_SEARCH_ROWS = 8192  # up to here all are compared, which is as fast as an index
NUM_PROBES = 24
MIN_ROWS_PER_LIST = 39  # fewer, and faiss warns that its clusters rest on too little
SIGNS = (1, -1)


@dataclass(frozen=True)
class Candidates:
    """Guessed pairs, one row each: image `a` (in the index), image `b` (that asked), and how `b` was looked at."""

    a: np.ndarray
    b: np.ndarray
    view_a: np.ndarray
    view_b: np.ndarray
    orientation: np.ndarray
    sign: np.ndarray
    similarity: np.ndarray

    def __len__(self) -> int:
        return len(self.a)

    def take(self, rows: np.ndarray) -> Candidates:
        return Candidates(**{name: values[rows] for name, values in vars(self).items()})

    @staticmethod
    def concatenate(parts: list[Candidates]) -> Candidates:
        return Candidates(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])})


class EmbeddingIndex:
    """Embeddings (N, views, 16, 16) of all images, searchable by cosine similarity after whitening."""

    def __init__(self, embeddings: np.ndarray, *, seed: int = 0) -> None:
        num_images = len(embeddings)
        self.whitening = _fit_whitening(embeddings, seed)
        rows = self._whiten(embeddings.reshape(num_images * len(VIEWS), -1))
        self.index: Any
        if len(rows) <= EXACT_SEARCH_ROWS:
            self.index = faiss.IndexFlatIP(rows.shape[1])
        else:
            num_lists = int(min(4 * np.sqrt(len(rows)), len(rows) / MIN_ROWS_PER_LIST))
            quantizer = faiss.IndexFlatIP(rows.shape[1])
            self.index = faiss.IndexIVFScalarQuantizer(
                quantizer, rows.shape[1], num_lists, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
            )
            self.index.cp.seed, self.index.cp.niter = seed + 1, 8
            sample = np.random.default_rng(seed).permutation(len(rows))[: 40 * num_lists]
            self.index.train(rows[np.sort(sample)])
            self.index.nprobe = NUM_PROBES
        self.index.add(rows)

    def search(
        self, embeddings: np.ndarray, rows: np.ndarray, *, num_neighbours: int, min_similarity: float
    ) -> Candidates:
        """The neighbours of images `rows` (n,) with `embeddings` (n, views, 16, 16), the images themselves left out."""
        parts = []
        for view in QUERY_VIEWS:
            for orientation in range(NUM_ORIENTATIONS):
                query = self._whiten(orient(embeddings[:, view], orientation).reshape(len(rows), -1))
                for sign in SIGNS:
                    # A picture's own three views come first, so some more are asked for.
                    similarity, found = self.index.search(sign * query, num_neighbours + len(VIEWS))
                    line, _ = np.nonzero((similarity >= min_similarity) & (found >= 0))
                    kept = (similarity >= min_similarity) & (found >= 0)
                    parts.append(
                        Candidates(
                            a=found[kept] // len(VIEWS),
                            b=rows[line],
                            view_a=found[kept] % len(VIEWS),
                            view_b=np.full(len(line), view),
                            orientation=np.full(len(line), orientation),
                            sign=np.full(len(line), sign),
                            similarity=similarity[kept],
                        )
                    )
        candidates = Candidates.concatenate(parts)
        return candidates.take(candidates.a != candidates.b)

    def guess(self, embeddings: np.ndarray, pairs: np.ndarray) -> Candidates:
        """For given pairs (n, 2) the most similar combination of views, orientation and sign."""
        a, b = pairs[:, 0], pairs[:, 1]
        every = np.arange(len(pairs))
        base = self._whiten(embeddings[a].reshape(len(a) * len(VIEWS), -1)).reshape(len(a), len(VIEWS), -1)
        similarity = np.stack(
            [
                np.einsum("nvd,nd->nv", base, self._whiten(orient(embeddings[b, view], turn).reshape(len(b), -1)))
                for view in QUERY_VIEWS
                for turn in range(NUM_ORIENTATIONS)
            ],
            1,
        ).reshape(len(a), -1)
        best = np.abs(similarity).argmax(1)
        query, view_a = np.divmod(best, len(VIEWS))
        view_b, orientation = np.divmod(query, NUM_ORIENTATIONS)
        return Candidates(
            a=a,
            b=b,
            view_a=view_a,
            view_b=np.array(QUERY_VIEWS)[view_b],
            orientation=orientation,
            sign=np.where(similarity[every, best] < 0.0, -1, 1),
            similarity=np.abs(similarity[every, best]),
        )

    def _whiten(self, rows: np.ndarray) -> np.ndarray:
        whitened = rows.astype(np.float32) @ self.whitening
        norm = np.linalg.norm(whitened, axis=1, keepdims=True)
        return np.ascontiguousarray(whitened / np.maximum(norm, 1e-6), dtype=np.float32)


def first_maps(candidates: Candidates, views: np.ndarray) -> Tensor:
    """The guessed maps (n, 2, 3) from the frame of `a` to that of `b`, given the maps of all views (N, views, 2, 3)."""
    turns = torch.cat([orientation_maps(), torch.zeros(NUM_ORIENTATIONS, 2, 1)], 2)[candidates.orientation]
    view_a, view_b = (
        torch.from_numpy(views[images, number])
        for images, number in ((candidates.a, candidates.view_a), (candidates.b, candidates.view_b))
    )
    return compose(compose(view_b, turns), invert(view_a))


def _fit_whitening(embeddings: np.ndarray, seed: int) -> np.ndarray:
    """Projection (256, d) to the directions of most variance, scaled to equal variance.

    The eight orientations of a sample are pooled, so that the whitening is as symmetric as the search; no mean is
    subtracted, so that an inverted image stays the negative of the other.
    """
    rows = embeddings.reshape(-1, *embeddings.shape[2:])
    rng = np.random.default_rng(seed)
    rows = rows[np.sort(rng.permutation(len(rows))[:FIT_SAMPLE])].astype(np.float32)
    flat = np.concatenate([orient(rows, orientation).reshape(len(rows), -1) for orientation in range(NUM_ORIENTATIONS)])
    variance, directions = np.linalg.eigh(flat.T @ flat / len(flat))
    variance, directions = variance[::-1][:NUM_DIMENSIONS], directions[:, ::-1][:, :NUM_DIMENSIONS]
    floor = max(float(variance[-1]), 1e-3 * float(variance[0]), 1e-9)  # few images have few directions
    return (directions / np.sqrt(variance + floor)).astype(np.float32)
