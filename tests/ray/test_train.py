"""Training over two workers is training by one: the same losses and weights, penalty and batch statistics included."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from pretrained_runs import pretrained_overrides

from raysynth.config import build_config
from raysynth.data.dataset import Dataset
from raysynth.models.registry import family_names, get_family
from raysynth.training.checkpoints import load_newest_checkpoint
from raysynth.training.run_folder import RunFolder
from raysynth.training.train import train
from raysynth.training.worker import train_run

pytestmark = pytest.mark.usefixtures("ray_cluster")
# Steps are few and rates low, so that differences of rounding cannot grow: Adam's first steps are as long where a
# gradient is nothing but rounding, and two trainings may take them to opposite sides. No dropout, whose masks are a
# worker's own.
LEARNING_RATE = 2e-5
CONFIG = {
    "batch_size": 8,
    "width": 4,
    "latent_dim": 4,
    "n_critic": 1,
    "critic": "batchnorm",
    "score_every": 2,
    "generator_learning_rate": LEARNING_RATE,
    "critic_learning_rate": LEARNING_RATE,
}
NOT_COMPARED = {"seconds", "images_per_s", "leakage"}


def test_two_workers_equal_one(stripes: Dataset, tmp_path: Path):
    """By the command's own way, from its plan to its last line."""
    lines: list[str] = []
    runs = [
        train(
            "wcgan_gp",
            data=stripes.path,
            epochs=2,
            overrides=CONFIG,
            workers=workers,
            out=tmp_path / str(workers),
            say=lines.append,
        )
        for workers in (0, 2)
    ]
    compare(*runs)
    assert [RunFolder(run).status()["state"] for run in runs] == ["finished", "finished"]
    assert sum(line.startswith("epoch 2/2") for line in lines) == 2


def test_two_workers_equal_one_for_every_family(stripes: Dataset, stacked_stripes: Dataset, tmp_path: Path):
    """All families in one start of two workers, for that takes longer than the trainings."""
    import ray.train
    from ray.train.torch import TorchTrainer

    datasets = {2: stripes, 3: stacked_stripes}
    runs = {
        workers: [
            create(name, datasets[get_family(name).num_dims], tmp_path / workers / name) for name in family_names()
        ]
        for workers in ("one", "two")
    }
    for run in runs["one"]:
        train_run(str(run), num_threads=1)

    def train_all(job: dict[str, list[str]]) -> None:
        worker = ray.train.get_context()
        for run in job["runs"]:
            train_run(run, num_threads=1, rank=worker.get_world_rank(), world_size=worker.get_world_size())

    TorchTrainer(
        train_all,
        train_loop_config={"runs": [str(run) for run in runs["two"]]},
        scaling_config=ray.train.ScalingConfig(num_workers=2),
        run_config=ray.train.RunConfig(storage_path=str(tmp_path / "ray")),
    ).fit()
    for one, two in zip(runs["one"], runs["two"], strict=True):
        compare(one, two)


def create(name: str, dataset: Dataset, path: Path) -> Path:
    """A run of one epoch, or one a phase, without a scoring network."""
    config_class = get_family(name).Config
    wanted = CONFIG | {"learning_rate": LEARNING_RATE} | ({"width": 8} if name == "pixel_diffusion" else {})
    wanted |= {"depth": 4}  # of stacks: rounding grows through many normalisations of few rows
    overrides = {key: value for key, value in wanted.items() if key in config_class.model_fields}
    overrides |= pretrained_overrides(name, dataset.shape, len(dataset.classes))
    config = build_config(config_class, overrides, origin="test").model_dump()
    num_epochs = 2 if name == "transfer_cvae" else 1
    return RunFolder.create(path, family=name, dataset=dataset, num_epochs=num_epochs, config=config).path


def compare(one: Path, two: Path) -> None:
    """The metrics and the weights of two runs are equal but for rounding."""
    tables = [pd.read_csv(run / "metrics.csv") for run in (one, two)]
    family = get_family(RunFolder(one).settings()["family"])
    assert set(family.metrics) - {"frechet"} <= set(tables[0].columns)
    for column in set(tables[0].columns) - NOT_COMPARED:
        if not column.startswith(("frechet", "score", "diversity")):  # of few images, and of another kind of network
            first, second = (table[column].tolist() for table in tables)
            assert second == pytest.approx(first, rel=1e-3, abs=1e-4, nan_ok=True), f"{one.name} {column}"
    states = [load_newest_checkpoint(run / "checkpoints") for run in (one, two)]
    assert states[0] is not None
    assert states[1] is not None
    compared = 0
    for part in {"generator", "critic", "network"} & set(states[0]["model"]):
        for name, value in states[0]["model"][part].items():
            other = states[1]["model"][part][name]
            torch.testing.assert_close(other, value, rtol=2e-3, atol=2 * LEARNING_RATE, msg=f"{one.name} {part}.{name}")
            compared += 1
    assert compared > 15
