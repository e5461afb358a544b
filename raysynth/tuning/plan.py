"""What a sweep will be, checked before anything is written: its trials' configs, how many at once, how much disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from raysynth.data.contact import Contact
from raysynth.data.dataset import Dataset, load_dataset
from raysynth.data.default import default_dataset
from raysynth.data.locations import Location
from raysynth.errors import UserError
from raysynth.training.disk_need import format_bytes, refuse_full
from raysynth.training.run_folder import check_out_folder
from raysynth.tuning.space import SearchSpace, load_space
from raysynth.tuning.sweep_folder import name_trials

Say = Callable[[str], None]


@dataclass(frozen=True)
class SweepPlan:
    """`configs` are the trials' by name, `contacts` what each pre-trained run (or None) has to do with the data set's
    held-out images; `num_bytes` is what the sweep's folder will hold at most."""

    search: SearchSpace
    dataset: Dataset
    configs: dict[str, dict[str, Any]]
    contacts: dict[str | None, Contact | None]
    num_concurrent: int
    workers_per_trial: int
    num_bytes: int


def plan_sweep(
    space: str | None,
    *,
    data: Location | str | None = None,
    epochs: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    max_concurrent: int | None = None,
    workers_per_trial: int = 1,
    out: Location | str,
    allow_leakage: bool = False,
    say: Say,
) -> SweepPlan:
    """The plan of `tune` with the same arguments. Raises UserError for whatever would not do."""
    from raysynth.models.registry import get_family
    from raysynth.training.plan import check_fits, warn_of_leakage
    from raysynth.training.pretrained import check_pretrained, resolve_pretrained

    if space is None:
        raise UserError("SPACE: missing; name one, e.g. `raysynth tune wcgan_gp`")
    search = load_space(space, overrides or {})
    concurrent = num_concurrent(search, max_concurrent, workers_per_trial, say)
    if epochs is not None and epochs < 1:
        raise UserError(f"--epochs {epochs}: want 1 or more")
    parent = check_out_folder(out)
    if epochs is not None:
        search = search.model_copy(update={"epochs": epochs})
    dataset = load_dataset(data) if data is not None else default_dataset(say)
    family_class = get_family(search.family)
    configs = {
        trial.name: resolve_pretrained(family_class, {**search.fixed, **trial.parameters}, dataset)
        for trial in name_trials(search)
    }
    warn_of_leakage(dataset, say)
    num_bytes = sum(
        check_fits(search.family, config, dataset, workers_per_trial, epochs=search.epochs, say=lambda line: None)
        for config in configs.values()
    )
    refuse_full(parent, num_bytes, f"{len(configs)} trials")
    contacts = {
        pretrained: check_pretrained({"pretrained": pretrained}, dataset, allow_leakage=allow_leakage, say=say)
        for pretrained in dict.fromkeys(config.get("pretrained") for config in configs.values())
    }
    say(f"up to {format_bytes(num_bytes)} of disk")
    return SweepPlan(search, dataset, configs, contacts, concurrent, workers_per_trial, num_bytes)


def num_concurrent(space: SearchSpace, asked: int | None, workers_per_trial: int, say: Say) -> int:
    """Trials at a time: as many as there are cores and GPUs for.

    Raises UserError when there are not enough for one: Ray would wait for them in vain.
    """
    from raysynth.cluster.resources import available_resources
    from raysynth.cluster.session import joined_cluster

    if asked is not None and asked < 1:
        raise UserError(f"--max-concurrent {asked}: want 1 or more")
    if workers_per_trial < 1:
        raise UserError(f"--workers-per-trial {workers_per_trial}: want 1 or more")
    there = available_resources()
    # Of a cluster's cores one is left to the trials that only wait for their workers; here one more is given to Ray.
    spare = int(joined_cluster() and workers_per_trial > 1)
    fitting = (there.cores - spare) / (cpu_per_worker(space) * workers_per_trial)
    if gpu_per_worker(space) > 0:
        fitting = min(fitting, there.gpus / (gpu_per_worker(space) * workers_per_trial))
    if fitting < 1:
        needs = f"{cpu_per_worker(space):g} cores and {gpu_per_worker(space):g} GPUs for each of {workers_per_trial}"
        raise UserError(
            f"--workers-per-trial {workers_per_trial}: a trial needs {needs} workers, {there.place} has {there.cores} "
            f"cores and {there.gpus} GPUs; use fewer, or other resources in the search space"
        )
    if asked is not None and asked > int(fitting):
        say(f"--max-concurrent {asked}: {int(fitting)} trials at a time is what {there.place} has room for")
    return min(asked or int(fitting), int(fitting), len(space.trials()))


def cpu_per_worker(space: SearchSpace) -> float:
    """Cores of each worker of a trial: what the space asks for, or one."""
    return 1.0 if space.resources.cpu is None else space.resources.cpu


def gpu_per_worker(space: SearchSpace) -> float:
    """A worker has one GPU where there are any, or what the space asks for, which may be none."""
    from raysynth.cluster.resources import available_resources

    return min(1.0, float(available_resources().gpus)) if space.resources.gpu is None else space.resources.gpu
