"""Candidates: a copy is among the neighbours of its original, with a first alignment that is nearly right."""

import numpy as np
import pytest
import torch

from raysynth.data.audit import candidates as module
from raysynth.data.audit.appearance import NUM_ORIENTATIONS, VIEWS, embed, orient, orientation_maps
from raysynth.data.audit.candidates import Candidates, EmbeddingIndex, first_maps

NUM = 40


@pytest.fixture(scope="module")
def pictures(draw) -> np.ndarray:
    """Forty patients, then the first eight of them in the eight orientations."""
    phantoms = draw(NUM)
    copies = [orient(phantoms[orientation], orientation) for orientation in range(NUM_ORIENTATIONS)]
    return np.concatenate([phantoms, np.stack(copies)])


def search(pictures: np.ndarray, rows: np.ndarray, **options) -> Candidates:
    embeddings, _ = embed(pictures)
    index = EmbeddingIndex(embeddings)
    return index.search(embeddings[rows], rows, **({"num_neighbours": 5, "min_similarity": 0.6} | options))


def best(found: Candidates, a: int, b: int) -> Candidates:
    """The most similar guess of a pair, as one row."""
    rows = np.flatnonzero((found.a == a) & (found.b == b))
    return found.take(rows[[found.similarity[rows].argmax()]])


def test_a_copy_in_any_orientation_is_found_with_its_map(pictures):
    found = search(pictures, np.arange(len(pictures)))
    _, views = embed(pictures)
    for orientation in range(NUM_ORIENTATIONS):
        guess = best(found, orientation, NUM + orientation)
        assert guess.similarity[0] > 0.95
        assert guess.sign[0] == 1
        # The copy at p shows the original at `maps[o] @ p`, so the original's point q lies at its inverse.
        expected = torch.linalg.inv(orientation_maps()[orientation])
        torch.testing.assert_close(first_maps(guess, views)[0, :, :2], expected, atol=0.1, rtol=0)


def test_inverted_copies_have_the_sign_of_one(pictures):
    both = np.concatenate([pictures[:NUM], 255 - pictures[:4]])
    found = search(both, np.arange(len(both)))
    for row in range(4):
        guess = best(found, row, NUM + row)
        assert (guess.sign[0], guess.orientation[0]) == (-1, 0)
        assert guess.similarity[0] > 0.95


def test_an_image_is_not_its_own_candidate_and_unlike_ones_are_left_out(pictures):
    rows = np.arange(NUM, len(pictures))
    found = search(pictures, rows, min_similarity=0.7)
    assert len(found) > 0
    assert (found.a != found.b).all()
    assert set(found.b) == set(rows)
    assert found.similarity.min() >= 0.7
    assert set(found.view_a) <= set(range(len(VIEWS)))


def test_the_guess_for_a_given_pair_is_the_best_of_the_search(pictures):
    embeddings, _ = embed(pictures)
    pairs = np.array([[orientation, NUM + orientation] for orientation in range(NUM_ORIENTATIONS)])
    index = EmbeddingIndex(embeddings)
    found = index.search(embeddings, np.arange(len(pictures)), num_neighbours=5, min_similarity=0.6)
    given = index.guess(embeddings, pairs)
    assert given.similarity.tolist() == pytest.approx(
        [best(found, a, b).similarity[0] for a, b in pairs.tolist()], abs=1e-4
    )
    assert (given.sign == 1).all()
    inverted = np.concatenate([pictures[:NUM], 255 - pictures[:1]])
    embeddings, _ = embed(inverted)
    assert EmbeddingIndex(embeddings).guess(embeddings, np.array([[0, NUM]])).sign[0] == -1


def test_an_index_of_lists_finds_what_comparing_all_finds(pictures, monkeypatch):
    def pairs(found: Candidates) -> set[tuple[int, ...]]:
        kept = found.take(np.flatnonzero(found.similarity > 0.75))  # what is near the limit, rounding decides
        return set(zip(*(values.tolist() for name, values in vars(kept).items() if name != "similarity"), strict=True))

    rows = np.arange(len(pictures))
    everything = search(pictures, rows)
    monkeypatch.setattr(module, "EXACT_SEARCH_ROWS", 0)  # few enough lists that all are probed
    assert isinstance(EmbeddingIndex(embed(pictures)[0]).index, module.faiss.IndexIVFScalarQuantizer)
    with_lists = search(pictures, rows)
    assert len(pairs(everything)) >= 2 * 2 * NUM_ORIENTATIONS  # by two views, from both sides
    assert pairs(with_lists) == pairs(everything)


def test_the_whitening_of_a_few_images_is_finite():
    few = np.random.default_rng(0).integers(0, 256, (2, 64, 64), dtype=np.uint8)
    embeddings, _ = embed(few)
    found = EmbeddingIndex(embeddings).search(embeddings, np.arange(2), num_neighbours=5, min_similarity=-1.0)
    assert np.isfinite(found.similarity).all()
    assert len(found) > 0


def test_candidates_are_taken_and_joined_by_rows():
    one = Candidates(*(np.arange(3) + 10 * column for column in range(7)))
    assert len(one) == 3
    joined = Candidates.concatenate([one, one.take(np.array([2, 0]))])
    assert joined.b.tolist() == [10, 11, 12, 12, 10]
