"""Predictions of all classifiers on all images, through a Ray Data pipeline with a pool of actors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from raysynth.data.dataset import Dataset, tensor_column
from raysynth.evaluation.classifiers import THREADS, label_mapping
from raysynth.evaluation.plan import REAL, Training

COLUMNS = ("image_id", "group", "split", "trained_on", "seed", "label", "predicted", "confidence")
INPUT_COLUMNS = ("id", "image", "label", "group", "split")
BATCH_SIZE = 256
CPUS_PER_READER = CPUS_PER_ACTOR = 0.5  # readers always find room beside the actors, on one CPU too

Batch = dict[str, np.ndarray]


@dataclass(frozen=True)
class Source:
    """A data set to be scored: `name` is "real" or the synthetic set's name in this evaluation."""

    name: str
    dataset: Dataset


class Scorer:
    """Scores batches of images with every classifier that is concerned with them.

    Real images are scored by all classifiers, under their own split, and once more as `fit` by those that were
    trained on them; synthetic ones as `fit` only.
    """

    def __init__(self, trainings: Sequence[Training], folder: str, classes: dict[str, tuple[str, ...]]) -> None:
        import torch

        from raysynth.evaluation.fit import load_network

        torch.set_num_threads(THREADS)
        self.trainings = trainings
        self.networks = [load_network(Path(folder) / training.weights) for training in trainings]
        real_classes = classes[REAL]
        self.mappings = {name: label_mapping(own, real_classes) for name, own in classes.items()}

    def __call__(self, batch: Batch) -> Batch:
        """Columns of INPUT_COLUMNS and `source`, as arrays, to the columns of predictions."""
        parts: list[Batch] = []
        for source in np.unique(batch["source"]):
            rows = batch["source"] == source
            parts += self._score(str(source), {name: values[rows] for name, values in batch.items()})
        if not parts:
            return _empty()
        return {column: np.concatenate([part[column] for part in parts]) for column in COLUMNS}

    def _score(self, source: str, batch: Batch) -> Iterator[Batch]:
        from raysynth.evaluation.fit import predict_probabilities

        if source != REAL:
            chosen = batch["split"] == "train"
            batch = {name: values[chosen] for name, values in batch.items()}
        if not len(batch["label"]):
            return
        labels = self.mappings[source][batch["label"]]
        for training, network in zip(self.trainings, self.networks, strict=True):
            if source not in (REAL, training.synthetic):
                continue
            probabilities = predict_probabilities(network, batch["image"])
            count = len(labels)
            scored: Batch = {
                "image_id": batch["id"].astype(object),
                "group": batch["group"].astype(object),
                "split": batch["split"].astype(object),
                "trained_on": np.full(count, training.trained_on, dtype=object),
                "seed": np.full(count, training.seed, dtype=np.int64),
                "label": labels,
                "predicted": probabilities.argmax(axis=1).astype(np.int64),
                "confidence": probabilities.max(axis=1).astype(np.float32),
            }
            if source == REAL:
                yield scored
            # The classifier's own training images.
            if source != REAL or training.kind != "synthetic":
                own = batch["split"] == "train"
                fit = {name: values[own] for name, values in scored.items()}
                yield {**fit, "split": np.full(int(own.sum()), "fit", dtype=object)}


def predict_all(
    sources: Sequence[Source],
    trainings: Sequence[Training],
    folder: Path,
    *,
    with_ray: bool,
    say: Callable[[str], None] = lambda line: None,
) -> pd.DataFrame:
    """The predictions, one row an image, split and classifier, in an order that does not depend on the workers.

    `sources` holds the real set under the name "real". With Ray, a session must be running.
    """
    classes = {source.name: source.dataset.classes for source in sources}
    arguments = (list(trainings), str(folder), classes)
    batches = _ray_batches(sources, arguments) if with_ray else _local_batches(sources, arguments)
    num_images = sum(source.dataset.num_images() for source in sources)
    frames = [pd.DataFrame(batch) for batch in batches if len(batch["label"])]
    predictions = pd.concat(frames, ignore_index=True)[list(COLUMNS)]
    say(f"scored {num_images} images with {len(trainings)} classifiers: {len(predictions)} predictions")
    ranks = {training.trained_on: rank for rank, training in enumerate(trainings)}
    return (
        predictions.assign(rank=predictions["trained_on"].map(ranks))
        .sort_values(["rank", "seed", "split", "image_id", "label"], kind="stable", ignore_index=True)
        .drop(columns="rank")
    )


def _ray_batches(sources: Sequence[Source], arguments: tuple) -> Iterator[Batch]:
    import ray

    def read(source: Source) -> ray.data.Dataset:
        def name_source(table: pa.Table) -> pa.Table:
            return table.append_column("source", pa.array([source.name] * table.num_rows, pa.string()))

        rows = ray.data.read_parquet(
            str(source.dataset.images_folder),
            columns=list(INPUT_COLUMNS),
            num_cpus=CPUS_PER_READER,
        )
        return rows.map_batches(name_source, batch_format="pyarrow", num_cpus=CPUS_PER_READER)

    first, *others = [read(source) for source in sources]
    rows = first.union(*others) if others else first
    num_actors = max(1, int(ray.cluster_resources().get("CPU", 1)))
    # Actors on nodes that may go away are started again (for ever: Ray Data's default). On one machine nothing is
    # gained by that, and Ray warns of it at every start.
    restarts = {"max_restarts": 0} if len(ray.nodes()) == 1 else {}
    scored = rows.map_batches(
        Scorer,
        fn_constructor_args=arguments,
        batch_size=BATCH_SIZE,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(size=num_actors),
        num_cpus=CPUS_PER_ACTOR,
        **restarts,
    )
    yield from scored.iter_batches(batch_size=None, batch_format="numpy")


def _local_batches(sources: Sequence[Source], arguments: tuple) -> Iterator[Batch]:
    from raysynth.evaluation.fit import limited_threads

    with limited_threads(None):  # a Scorer sets the threads of its process
        scorer = Scorer(*arguments)
        for source in sources:
            table = source.dataset.read(INPUT_COLUMNS)
            for start in range(0, table.num_rows, BATCH_SIZE):
                rows = table.slice(start, BATCH_SIZE)
                batch = {name: rows[name].to_numpy() for name in INPUT_COLUMNS if name != "image"}
                batch["image"] = tensor_column(rows, "image")
                batch["source"] = np.full(rows.num_rows, source.name, dtype=object)
                yield scorer(batch)


def _empty() -> Batch:
    kinds = {"seed": np.int64, "label": np.int64, "predicted": np.int64, "confidence": np.float32}
    return {column: np.zeros(0, dtype=kinds.get(column, object)) for column in COLUMNS}
