"""Predictions of all classifiers on all images, through a Ray Data pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from raysynth.data.dataset import Dataset, tensor_column
from raysynth.data.locations import Location, locate
from raysynth.evaluation.chunks import Chunk, list_chunks, read_chunk
from raysynth.evaluation.classes import label_mapping
from raysynth.evaluation.classifiers import THREADS
from raysynth.evaluation.plan import REAL, Training
from raysynth.evaluation.tasks import run_tasks

COLUMNS = ("image_id", "group", "split", "trained_on", "seed", "label", "predicted", "confidence")


@dataclass(frozen=True)
class Source:
    """A data set to be scored: `name` is "real" or the synthetic set's name in this evaluation."""

    name: str
    dataset: Dataset


class Scorer:
    """Scores chunks of images with every classifier that is concerned with them.

    Real images are scored by all classifiers, under their own split, and once more as `fit` by those that were
    trained on them; synthetic ones as `fit` only.
    """

    def __init__(
        self, sources: Sequence[tuple[str, Sequence[str]]], trainings: Sequence[Training], files: Sequence[str]
    ):
        """`sources` are names and classes, the real set first; `files` hold the trained classifiers."""
        import torch

        from raysynth.evaluation.fit import load_network

        torch.set_num_threads(THREADS)
        self.trainings = trainings
        self.networks = [load_network(locate(file)) for file in files]
        self.names = [name for name, _ in sources]
        self.mappings = [label_mapping(classes, sources[0][1]) for _, classes in sources]

    def __call__(self, batch: dict[str, Any]) -> dict[str, np.ndarray]:
        """Chunks (see `list_chunks`) as columns, to the columns of predictions."""
        chunks = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
        parts = [frame for chunk in chunks for frame in self.score(chunk)]
        table = pd.concat(parts, ignore_index=True)
        return {column: table[column].to_numpy() for column in COLUMNS}

    def score(self, chunk: Chunk) -> Iterator[pd.DataFrame]:
        """Predictions of one chunk, a table for each classifier; empty tables where none is concerned."""
        from raysynth.evaluation.fit import predict_probabilities

        source = self.names[chunk["set"]]
        table = read_chunk(chunk, ("id", "image", "label", "group", "split"))
        images = tensor_column(table, "image")
        rows = table.select(["id", "group", "split", "label"]).to_pandas().rename(columns={"id": "image_id"})
        rows["label"] = self.mappings[chunk["set"]][rows["label"]]
        in_train = (rows["split"] == "train").to_numpy()
        for training, network in zip(self.trainings, self.networks, strict=True):
            scored = np.full(len(rows), source == REAL) | (in_train & (source == training.synthetic))
            probabilities = predict_probabilities(network, images[scored])
            frame = rows[scored].assign(
                trained_on=training.trained_on,
                seed=training.seed,
                predicted=probabilities.argmax(axis=1).astype(np.int64),
                confidence=probabilities.max(axis=1),
            )
            own = source == training.synthetic or (source == REAL and training.kind in ("real", "mixed"))
            if source == REAL:
                yield frame
            if own:
                yield frame[frame["split"] == "train"].assign(split="fit")


def predict_all(
    sources: Sequence[Source],
    trainings: Sequence[Training],
    files: Sequence[Location],
    *,
    with_ray: bool,
    say: Callable[[str], None] = lambda line: None,
) -> pd.DataFrame:
    """The predictions, one row an image, split and classifier, in an order that does not depend on the workers.

    `sources` holds the real set first, under the name "real"; `files` are those of the classifiers. With Ray, a session
    must be running.
    """
    chunks = list_chunks([source.dataset for source in sources])
    arguments = ([(source.name, source.dataset.classes) for source in sources], list(trainings), list(map(str, files)))
    batches = run_tasks(Scorer, arguments, chunks, with_ray=with_ray)
    predictions = pd.concat([pd.DataFrame(batch) for batch in batches], ignore_index=True)[list(COLUMNS)]
    num_images = sum(source.dataset.num_images() for source in sources)
    say(f"scored {num_images} images with {len(trainings)} classifiers: {len(predictions)} predictions")
    ranks = {training.trained_on: rank for rank, training in enumerate(trainings)}
    return (
        predictions.assign(rank=predictions["trained_on"].map(ranks))
        .sort_values(["rank", "seed", "split", "image_id", "label"], kind="stable", ignore_index=True)
        .drop(columns="rank")
    )
