"""What a training will be, checked before anything is written, and the run folder that it becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from raysynth.config import build_config
from raysynth.data.dataset import Dataset, load_dataset
from raysynth.data.default import cache_folder, default_dataset
from raysynth.data.locations import Location, locate
from raysynth.data.provenance import Provenance, training_provenance, write_hashes
from raysynth.errors import UserError
from raysynth.models.registry import get_family
from raysynth.training.disk_need import run_bytes
from raysynth.training.pretrained import check_pretrained, inherited_provenance, resolve_pretrained
from raysynth.training.run_folder import RunFolder

Say = Callable[[str], None]


def plan_run(
    family: str,
    data: Location | str | None,
    epochs: int,
    overrides: Mapping[str, Any],
    workers: int,
    say: Say,
    *,
    allow_leakage: bool = False,
) -> dict[str, Any]:
    """All that a run will be, checked; nothing is written but the default data set, where `data` is None."""
    if epochs < 1:
        raise UserError(f"--epochs {epochs}: want 1 or more")
    family_class = get_family(family, "FAMILY")
    config = build_config(family_class.Config, overrides, origin="--set").model_dump()
    dataset = load_dataset(data) if data is not None else default_dataset(say)
    warn_of_leakage(dataset, say)
    config = resolve_pretrained(family_class, config, dataset)
    num_bytes = check_fits(family, config, dataset, max(1, workers), epochs=epochs, say=say)
    contact = check_pretrained(config, dataset, allow_leakage=allow_leakage, say=say)
    return {
        "family": family,
        "epochs": epochs,
        "config": config,
        "dataset": dataset,
        "contact": contact,
        "num_bytes": num_bytes,
    }


def warn_of_leakage(dataset: Dataset, say: Say) -> None:
    """Say when scores on this data set's splits mean less than they seem to."""
    if dataset.leakage.status == "leaky":
        say(f"warning: leaky split: {dataset.leakage.detail}; frechet and every score on it flatter")


def check_fits(
    family: str, config: dict[str, Any], dataset: Dataset, world_size: int, *, epochs: int, say: Say = print
) -> int:
    """Build the networks and one batch's plan once, so that a bad combination is refused here, and say what they note.

    Returns the bytes that the run's folder will take at most. Raises UserError when the family cannot take these images
    or epochs, or the batch does not fit the split or the workers.
    """
    import numpy as np

    from raysynth.data.batches import Batches
    from raysynth.models.context import Context

    for split in ("train", "validation"):
        if dataset.num_images(split) == 0:
            raise UserError(f"--data {dataset.path}: has no {split} images; import it with a {split} split")
    family_class = get_family(family)
    context = Context(world_size=world_size)
    num_images = dataset.num_images("train")
    family_config = family_class.Config(**config)
    Batches(
        np.zeros((num_images, 1), np.uint8), np.zeros(num_images), batch_size=family_config.batch_size, context=context
    )
    model = family_class(family_config, shape=dataset.shape, num_classes=len(dataset.classes), context=context)
    model.phases(epochs)
    for note in model.notes():
        say(note)
    return run_bytes(model)


def check_restart(run: RunFolder, say: Say) -> None:
    """Say where a stopped run cannot go on from its newest checkpoint but from the one before it.

    Raises UserError when it cannot go on at all: none can be read, or what scores its epochs cannot.
    """
    from raysynth.evaluation.scoring_network import load_scoring_network

    run.newest_checkpoint(say=say)
    if network := run.settings().get("scoring_network"):
        load_scoring_network(locate(network))


def create_run(
    run: RunFolder,
    settings: dict[str, Any],
    *,
    scoring_network: Location | None = None,
    provenance: Provenance | None = None,
    say: Say,
) -> RunFolder:
    """Write the folder of the planned `run`; the scoring network is trained first where it is not cached yet.

    `provenance` is the data set's `training_provenance`, for those who write many runs on it.
    """
    from raysynth.evaluation.scoring_network import ensure_scoring_network

    dataset: Dataset = settings["dataset"]
    if scoring_network is None:
        scoring_network = ensure_scoring_network(
            dataset, fallback_folder=cache_folder() / "scoring", run_folder=run.location, say=say
        )
    seen = (provenance or training_provenance(dataset)) + inherited_provenance(settings["config"])
    run.path.mkdir(parents=True, exist_ok=True)
    write_hashes(seen.hashes, run.path)
    return RunFolder.create(
        run.location,
        mirror=run.mirror,
        family=settings["family"],
        dataset=dataset,
        num_epochs=settings["epochs"],
        config=settings["config"],
        scoring_network=str(scoring_network.resolve()),
        trained_on=list(seen.entries),
        contact=asdict(settings["contact"]) if settings.get("contact") else None,
    )


def describe(settings: dict[str, Any], run: RunFolder, workers: int, *, num_images: int | None = None) -> str:
    """The plan in one line; `num_images` are the train images, where some of the data set's are left out."""
    data = settings.get("data") or {
        "name": settings["dataset"].name,
        "train_counts": settings["dataset"].counts["train"],
        "shape": settings["dataset"].shape,
    }
    where = "in-process" if workers == 0 else f"{workers} workers"
    side = " x ".join(str(size) for size in data["shape"])
    num_images = sum(data["train_counts"].values()) if num_images is None else num_images
    config = ", ".join(f"{key}={value}" for key, value in settings["config"].items())
    return (
        f"{settings['family']}, {settings['epochs']} epochs, {where}, on {num_images} train images "
        f"({side}) of {data['name']} -> {run.location}\n  {config}"
    )
