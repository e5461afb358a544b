"""One worker's part of a training, the same for Ray Train, for a trial of Ray Tune and in-process."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import torch

from raysynth.config import build_config
from raysynth.data.batches import Batches, to_uint8
from raysynth.data.dataset import Dataset, load_dataset
from raysynth.data.locations import locate
from raysynth.data.pixels import machine_memory_bytes, split_pixels
from raysynth.errors import NotUploaded, TrainingStopped, UserError
from raysynth.interruption import noticing
from raysynth.models.context import Context, hash_seed
from raysynth.models.family import Family
from raysynth.models.registry import get_family
from raysynth.training.loop import Row, run_epochs
from raysynth.training.preemption import Reasons, noticing_reasons
from raysynth.training.recorder import RunRecorder
from raysynth.training.run_folder import RunFolder

CHUNK_SIZE = 64  # images sampled at once


def build_family(settings: dict[str, Any], context: Context) -> Family:
    """The family of a run's `config.yaml`, with fresh weights."""
    family = get_family(settings["family"])
    config = build_config(family.Config, settings["config"], origin="config.yaml")
    data = settings["data"]
    return family(config, shape=tuple(data["shape"]), num_classes=len(data["classes"]), context=context)


def train_run(
    run_path: str,
    *,
    num_threads: int,
    rank: int = 0,
    world_size: int = 1,
    device: torch.device | None = None,
    report: Callable[[Row], None] | None = None,
    reasons_to_keep: Reasons | None = None,
    kept: Callable[[], None] | None = None,
) -> None:
    """Train the run in `run_path` to its last epoch, from its newest checkpoint if it has one.

    All that it needs stands in the run's `config.yaml`. Every worker calls `report` once an epoch, and asks for
    `reasons_to_keep` a checkpoint in its middle (see `noticing_reasons`); when it is there, the first calls `kept`.
    Raises TrainingStopped at a non-finite value; the run's `status.json` then says so too. Raises NotUploaded when the
    run is in a bucket that was out of reach at its end. In a main thread, Ctrl-C and SIGTERM end a single worker after
    the step under way, with a checkpoint: KeyboardInterrupt.
    """
    torch.set_num_threads(num_threads)
    run = RunFolder.open(run_path)
    settings = run.settings()
    device = device or torch.device("cpu")
    context = Context(seed=settings["config"]["seed"], device=device, rank=rank, world_size=world_size)
    dataset = load_dataset(settings["data"]["path"])
    if dataset.fingerprint != settings["data"]["fingerprint"]:
        raise UserError(f"--data {dataset.path}: changed since the run began (another fingerprint); train a new run")
    family = build_family(settings, context)
    memory_bytes = machine_memory_bytes()
    if device.type == "cuda":  # on which they lie
        memory_bytes = min(memory_bytes, torch.cuda.get_device_properties(device).total_memory)
    share = family.config.memory_share
    images, labels = split_pixels(dataset, "train", memory_share=share, memory_bytes=memory_bytes)
    recorder = RunRecorder(run, family, num_epochs=settings["epochs"], kept=kept)
    try:
        with noticing() as told_to_stop:
            run_epochs(
                family,
                Batches(images, labels, batch_size=family.config.batch_size, context=context),
                context=context,
                num_epochs=settings["epochs"],
                validation=dataset.pixels("validation"),
                recorder=recorder,
                score=frechet_score(family, dataset, settings) if rank == 0 else None,
                report=report,
                should_keep=noticing_reasons(reasons_to_keep, context) if reasons_to_keep else None,
                should_stop=told_to_stop if world_size == 1 else None,  # several would have to agree at every step
            )
    except NotUploaded:
        raise
    except TrainingStopped as stop:
        if rank == 0:
            _write_failed(run, str(stop))
        raise
    except (RuntimeError, MemoryError) as error:
        if world_size > 1 or not is_out_of_memory(error):  # of several, Ray has to end the ones that wait
            raise
        reason = (
            f"epoch {run.status()['epoch'] + 1}: out of memory ({str(error).splitlines()[0][:120]}); use a smaller "
            f"batch_size than {family.config.batch_size}, or a smaller network"
        )
        _write_failed(run, reason)
        raise TrainingStopped(reason) from error
    finally:
        recorder.close()


def _write_failed(run: RunFolder, reason: str) -> None:
    with suppress(OSError):  # storage that cannot be written to may be what stopped it
        run.write_status("failed", run.status()["epoch"], reason)
        run.keep()


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out, a GPU's or this machine's; trying the same again would come to the same."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return "can't allocate memory" in str(error) or "not enough memory" in str(error)


def frechet_score(family: Family, dataset: Dataset, settings: dict[str, Any]) -> Callable[[int], Row] | None:
    """What a search ranks by: `score(epoch)` gives `frechet`, joint with the label, on the validation split.

    With it the diversity of the least diverse class, by which a collapse is seen (`raysynth.training.health`).
    None without a scoring network in the settings. Every `score_every` epochs, and always at the last.
    """
    if not settings.get("scoring_network"):
        return None
    from raysynth.evaluation.scoring_network import FrechetScorer, load_scoring_network

    scorer = FrechetScorer(
        dataset, load_scoring_network(locate(settings["scoring_network"]), str(family.context.device))
    )
    labels = torch.as_tensor(scorer.labels)
    seeds = torch.tensor([hash_seed("frechet", index) for index in range(len(labels))])

    def score(epoch: int) -> Row:
        if epoch % family.config.score_every and epoch != settings["epochs"]:
            return {}
        started = time.perf_counter()
        measured = scorer.measure(sample_uint8(family, labels, seeds), scorer.labels)
        return {**measured, "score_seconds": time.perf_counter() - started}

    return score


def sample_uint8(family: Family, labels: torch.Tensor, seeds: torch.Tensor) -> np.ndarray:
    """Images (N, C, H, W) uint8, sampled in chunks of one size, the last one padded.

    A kernel may round differently for another batch size, so all images are drawn at one.
    """
    chunks = []
    for start in range(0, len(labels), CHUNK_SIZE):
        rows = torch.arange(start, start + CHUNK_SIZE).clamp_(max=len(labels) - 1)
        num_wanted = min(CHUNK_SIZE, len(labels) - start)
        chunks.append(to_uint8(family.sample(labels[rows], seeds[rows]))[:num_wanted].cpu().numpy())
    return np.concatenate(chunks) if chunks else np.zeros((0, *family.shape), np.uint8)
