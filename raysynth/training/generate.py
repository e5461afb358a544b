"""`raysynth generate`: a synthetic data set from a run, or from the best run of a sweep."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch

from raysynth.cluster.resources import available_resources
from raysynth.cluster.session import joined_cluster, ray_session
from raysynth.cluster.visibility import refuse_invisible
from raysynth.config import build_config
from raysynth.data.dataset import Dataset, load_dataset
from raysynth.data.dataset_writer import write_dataset
from raysynth.data.locations import Location, locate
from raysynth.data.new_folder import refuse_existing
from raysynth.data.provenance import write_hashes
from raysynth.errors import UserError
from raysynth.models.context import Context, hash_seed
from raysynth.models.registry import get_family
from raysynth.training.agreement import agreement_judge, ensure_agreement_classifier
from raysynth.training.checkpoints import restore
from raysynth.training.find_run import find_run
from raysynth.training.refuse_copies import copy_judge
from raysynth.training.run_folder import RunFolder
from raysynth.training.selection import draw_chosen
from raysynth.training.worker import CHUNK_SIZE, build_family, sample_uint8

DEFAULT_CONFIDENCE = 0.5  # of an image that is kept

Say = Callable[[str], None]


def generate(
    run: Location | str,
    *,
    out: Location | str,
    per_class: int | None = None,
    like: Location | str | None = None,
    seed: int = 0,
    workers: int | None = None,
    keep: str | None = None,
    confidence: float | None = None,
    refuse_copies: bool = False,
    overrides: Mapping[str, Any] | None = None,
    say: Say = print,
) -> Dataset:
    """Draw images from a run (or a sweep's best run) and write them as a data set whose rows are all `train`.

    As many of each class as the training data have, or `per_class` of each, or the train counts of the data set
    `like`. Image i of a class has the same bytes for any number of workers: its own seed, chunks of one size, one
    thread. `workers`: Ray tasks; 0 is in-process, and the default but for a cluster (see `Resources`). With `keep`
    "agreeing" only images are kept to which a classifier of the real train images gives their label with a probability
    above `confidence` (0.5); with `refuse_copies` those are left out that are copies of train images (see
    `raysynth.evaluation.copy_reference`). Others are drawn in their place, and the set says how many they were.
    `overrides` (`--set`) are the family's `sampling_options`, e.g. guidance, in place of the run's. Raises UserError
    before anything is drawn, and where hardly any image of a class is kept.
    """
    refuse_existing(out)
    source, sweep = find_run(run)
    settings = source.settings()
    settings["config"] = _sampling_config(settings, overrides or {})
    classes: list[str] = settings["data"]["classes"]
    counts = _counts(settings, classes, per_class, like)
    if workers is None:
        workers = available_resources().default_workers if joined_cluster() else 0
    if workers < 0:
        raise UserError(f"--workers {workers}: want 0 (in-process) or more")
    if not sum(counts):
        raise UserError(f"--like {like}: has no train images; name another data set, or use --per-class")
    state = source.newest_checkpoint(say=say)
    if state is None:
        raise UserError(
            f"RUN {source.location}: has no checkpoint yet; go on with `raysynth train --resume {source.location}`"
        )

    if keep not in (None, "agreeing"):
        raise UserError(f"--keep {keep}: want agreeing, or leave it out to keep all")
    if keep is None and confidence is not None:
        raise UserError(f"--confidence {confidence}: is for --keep agreeing; add it, or leave this out")
    confidence = DEFAULT_CONFIDENCE if confidence is None else confidence
    if not 0 <= confidence < 1:
        raise UserError(f"--confidence {confidence}: want at least 0 and less than 1")

    def seed_of(label: int, number: int) -> int:
        return hash_seed(seed, label, number)

    draw = partial(sample_sharded, source.location, workers=workers, config=settings["config"])
    chosen: dict[str, Any] = {}
    judges = []
    if keep:
        judges.append(agreement_judge(ensure_agreement_classifier(settings, say), confidence))
        chosen = {"keep": keep, "confidence": confidence}
    if refuse_copies:
        judge, threshold = copy_judge(settings)
        judges.append(judge)
        chosen |= {"refuse_copies": True, "copy_threshold": round(threshold, 5)}
    if judges:
        wanted = " that agree" * bool(keep) + " that are no copies" * refuse_copies
        say(f"drawing {sum(counts)} images{wanted} from {source.location}")
        with ray_session() if workers else nullcontext():  # one for all of its draws
            found = draw_chosen(draw, seed_of, counts, classes, judges)
        images, labels, numbers = found.images, found.labels, found.numbers
        of_class = dict(zip(classes, found.num_drawn, strict=True))
        if keep:
            agreeing = found.num_drawn - found.num_refused[0]
            shares = {
                name: round(int(agreed) / int(of_class[name]), 4)
                for name, agreed in zip(classes, agreeing, strict=True)
                if of_class[name]
            }
            say("kept: " + ", ".join(f"{share:.0%} of {name}" for name, share in shares.items()))
            chosen["kept_shares"] = shares
        if refuse_copies:
            refused = {name: int(num) for name, num in zip(classes, found.num_refused[-1], strict=True)}
            say(f"left out {sum(refused.values())} copies of training images, of {found.num_drawn.sum()} drawn")
            chosen |= {"num_copies_left_out": refused, "num_drawn": {k: int(num) for k, num in of_class.items()}}
    else:
        labels = np.repeat(np.arange(len(classes)), counts)
        numbers = np.concatenate([np.arange(count) for count in counts])
        say(f"drawing {len(labels)} images from {source.location}")
        images = draw(labels, np.array([seed_of(int(c), int(i)) for c, i in zip(labels, numbers, strict=True)]))
    seeds = np.array([seed_of(int(c), int(i)) for c, i in zip(labels, numbers, strict=True)], dtype=np.int64)
    seen = source.provenance()
    return write_dataset(
        out,
        name=locate(out).resolve().name,
        kind="synthetic",
        classes=classes,
        images=images,
        columns={
            "id": [f"{classes[c]}-{i:06d}" for c, i in zip(labels, numbers, strict=True)],
            "label": labels,
            "split": ["train"] * len(labels),
            "seed": seeds,
        },
        source={"generated_by": settings["family"]},
        provenance={
            "run": str(source.location.resolve()),
            "sweep": str(sweep.resolve()) if sweep else None,
            "family": settings["family"],
            "config": settings["config"],
            "epoch": state["epoch"],
            "epochs": settings["epochs"],
            "run_seed": settings["config"]["seed"],
            "training_data": settings["data"]["path"],
            "training_name": settings["data"]["name"],
            "training_fingerprint": settings["data"]["fingerprint"],
            "training_leakage": source.leakage(),
            "trained_on": list(seen.entries),
            "generate_seed": seed,
            **chosen,
        },
        extra_files=partial(write_hashes, seen.hashes),
    )


def _counts(
    settings: dict[str, Any], classes: list[str], per_class: int | None, like: Location | str | None
) -> list[int]:
    if per_class is not None and like is not None:
        raise UserError("--per-class, --like: want one of the two; leave the other out")
    if per_class is not None:
        if per_class < 1:
            raise UserError(f"--per-class {per_class}: want 1 or more")
        return [per_class] * len(classes)
    counts = settings["data"]["train_counts"]
    if like is not None:
        counts = load_dataset(like, "--like").counts["train"]
        unknown = sorted(set(counts) - set(classes))
        if unknown:
            raise UserError(f"--like {like}: class {unknown[0]!r} is none of the run's ({', '.join(classes)})")
    return [counts.get(name, 0) for name in classes]


def _sampling_config(settings: dict[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """A run's config with the options that say how samples are drawn, not how the run learnt, changed."""
    family = get_family(settings["family"])
    able = family.sampling_options(settings["config"]) if overrides else ()
    for option in overrides:
        if option not in able:
            remedy = f"want one of {', '.join(able)}" if able else "nothing can be changed after its training"
            raise UserError(f"--set {option}: not an option of how this {family.name} is sampled; {remedy}")
    values = {**settings["config"], **overrides}
    return build_config(family.Config, values, origin="--set").model_dump() if overrides else values


def sample_sharded(
    run: Location, labels: np.ndarray, seeds: np.ndarray, *, workers: int, config: dict[str, Any]
) -> np.ndarray:
    """Images (N, C, H, W) uint8 of a run, in the order of `labels` (N,) and `seeds` (N,).

    Shards are whole chunks, so that every image is drawn in the same company whatever the number of workers.
    """
    if workers == 0:
        return sample_run(str(run), labels, seeds, config)
    num_chunks = -(-len(labels) // CHUNK_SIZE)
    bounds = [round(shard * num_chunks / workers) * CHUNK_SIZE for shard in range(workers + 1)]
    with ray_session():
        import ray

        refuse_invisible({"RUN": run}, {})
        draw = ray.remote(num_cpus=1, num_gpus=min(1, available_resources().gpus))(sample_run)
        shards = [slice(a, b) for a, b in itertools.pairwise(bounds) if a < b]
        return np.concatenate(ray.get([draw.remote(str(run.resolve()), labels[s], seeds[s], config) for s in shards]))


def sample_run(run: str, labels: np.ndarray, seeds: np.ndarray, config: dict[str, Any] | None = None) -> np.ndarray:
    """Images (N, C, H, W) uint8 drawn from a run's newest checkpoint by one thread; by `config`, or the run's own."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # how a sum is split over threads decides its last bit
    try:
        folder = RunFolder.open(run)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        settings = folder.settings()
        settings["config"] = config or settings["config"]
        family = build_family(settings, Context(seed=settings["config"]["seed"], device=device))
        state = folder.newest_checkpoint()
        assert state is not None, f"{run}: the checkpoint has gone"
        restore(family, state, folder.checkpoints)
        return sample_uint8(family, torch.as_tensor(labels), torch.as_tensor(seeds))
    finally:
        torch.set_num_threads(num_threads)
