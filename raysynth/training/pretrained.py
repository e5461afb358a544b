"""A run that another one starts from (the config key `pretrained`): what it has seen, and whether that is allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from raysynth.data.audit.cross import find_copies_across
from raysynth.data.contact import Contact, FindCopies, provenance_contact
from raysynth.data.dataset import Dataset
from raysynth.data.provenance import Provenance, inherit
from raysynth.errors import UserError
from raysynth.models.context import Context
from raysynth.models.family import Family
from raysynth.training.checkpoints import restore
from raysynth.training.find_run import find_run
from raysynth.training.run_folder import RunFolder


def resolve_pretrained(family: type[Family], config: dict[str, Any], dataset: Dataset) -> dict[str, Any]:
    """A family's config with the run that it starts from by its whole path (of a sweep: its best run's), for workers
    run in folders of their own.

    Raises UserError when none is named, when its training has not ended, so that it may change yet, and when its
    classes are not those of `dataset` where the family needs them to be.
    """
    if "pretrained" not in config or config["pretrained"] is None:
        return config
    if not config["pretrained"]:
        raise UserError("--set pretrained: missing; name the folder of a trained run, e.g. --set pretrained=runs/NAME")
    option = "--set pretrained"
    run, _ = find_run(config["pretrained"], option)
    path = run.location.resolve()
    if (state := run.status()["state"]) not in ("finished", "stopped"):
        raise UserError(f"{option}={path}: {state}, not finished; finish it with `raysynth train --resume {path}`")
    theirs = run.settings()["data"]["classes"]
    if family.needs_same_classes and theirs != list(dataset.classes):
        raise UserError(
            f"{option}={path}: trained on the classes {', '.join(theirs)}, --data has {', '.join(dataset.classes)}; "
            "want the same in the same order"
        )
    return {**config, "pretrained": str(path)}


def load_pretrained(run: str, context: Context) -> Family:
    """The family of a run with its newest weights.

    Raises UserError when none is named, or it has no checkpoint.
    """
    from raysynth.training.worker import build_family

    if not run:
        raise UserError("--set pretrained: missing; name the folder of a trained run, e.g. --set pretrained=runs/NAME")
    folder = RunFolder.open(run, "--set pretrained")
    state = folder.newest_checkpoint()
    if state is None:
        raise UserError(f"--set pretrained={run}: no checkpoint yet; finish it with `raysynth train --resume {run}`")
    settings = folder.settings()
    family = build_family(settings, Context(seed=settings["config"]["seed"], device=context.device))
    restore(family, state, folder.checkpoints)
    return family


def inherited_provenance(config: Mapping[str, Any]) -> Provenance:
    """What the run that a config's `pretrained` names was trained on; nothing without one."""
    if not config.get("pretrained"):
        return Provenance()
    return inherit(RunFolder.open(config["pretrained"], "--set pretrained").provenance())


def check_pretrained(
    config: Mapping[str, Any],
    dataset: Dataset,
    *,
    allow_leakage: bool = False,
    find_copies: FindCopies = find_copies_across,
    say: Callable[[str], None] = print,
) -> Contact | None:
    """How the pre-trained run of a config touches the validation and test split of `dataset`; None without one.

    The validation split counts too: searches are ranked by it. Raises UserError where it touches one of them and that
    is not allowed.
    """
    provenance = inherited_provenance(config)
    if not provenance.entries:
        return None
    contact = provenance_contact(provenance, dataset, splits=("validation", "test"), find_copies=find_copies)
    if contact.status == "touches" and not allow_leakage:
        raise UserError(
            f"--set pretrained={config['pretrained']}: knows what it will be judged by: {contact.detail} of "
            f"{dataset.name}; pre-train without them, or go on with --allow-leakage and every result marked"
        )
    if contact.status in ("touches", "unknown"):
        may = "knows" if contact.status == "touches" else "may know"
        say(f"warning: {config['pretrained']} {may} validation or test images: {contact.detail}")
    return contact
