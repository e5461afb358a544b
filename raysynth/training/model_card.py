"""The model card of a run: what it is, what it was trained on and how far, what is wrong with it, what it is for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raysynth.cards import (
    LICENCE,
    NOT_FOR,
    bullets,
    card,
    describe_images,
    origins_table,
    settings_table,
    table,
    text,
    versions_table,
)
from raysynth.data.data_card import FILE_NAME as DATA_CARD

if TYPE_CHECKING:
    from raysynth.training.run_folder import RunFolder  # which writes the card

FILE_NAME = "model_card.md"
STATUS = {
    "clean": "Clean: as far as copies can be found, no validation or test image of its data set is among what it was "
    "trained on.",
    "unknown": "Unknown: not all that it was trained on could be compared with the validation and test images.",
    "leaky": "LEAKY: the data set's own split has copies on two sides, so the model has seen some of the images that "
    "it is judged by, and scores flatter.",
    "touches": "TOUCHES: what it was trained on holds copies of validation or test images. Scores on them mean "
    "nothing; this was allowed by --allow-leakage.",
}
NOT_METRICS = ("epoch", "seconds", "score_seconds", "images_per_s", "diversity_class", "phase")
LIMITS = (
    "It may have copied the images that it was trained on: patients may be recognisable in what it draws. Treat the "
    "folder as confidential as those images until somebody has looked.",
    "A grouped split separates copies. It separates patients only where the data name them: the data set's own "
    f"`{DATA_CARD}` says whether they do.",
    "It knows these classes, this size and these sources only: rare findings may be missing, and faults of the images "
    "(borders, burnt-in text, wrong labels) may be learnt.",
    "No loss says how good its images are. `frechet`, where it was measured, ranks the runs of one data set, no more.",
)


def model_card(run: RunFolder) -> str:
    """Markdown, from the files of the run alone.

    Raises UserError where `config.yaml` is missing or not one of a run.
    """
    settings, history = run.settings(), run.history()
    data = settings["data"]
    return card(
        f"Model card: {text(settings['family'])} on {text(data['name'])}",
        f"A generative model of the family {text(settings['family'])}: it draws {describe_images(data['shape'])}, by "
        f"class. Trained on the {sum(data['train_counts'].values())} train images of the data set {text(data['name'])} "
        f"(fingerprint `{text(data['fingerprint'])}`), with the seed {text(settings['config'].get('seed'))}.",
        {
            "Training": _training(run.status(), history, settings["epochs"]),
            "Trained on": _trained_on(run, data),
            "Leakage": _leakage(run.leakage(), settings.get("contact")),
            "Metrics": _metrics(history),
            "Health": _health(run),
            "Config": settings_table(settings["config"], only_name=["pretrained"]),
            "Drawing images": _drawing(),
            "Intended use": "Research: drawing images that are added to real ones for training, where "
            "`raysynth evaluate` finds that they help.",
            "Limits": bullets(LIMITS),
            "Not for": bullets(
                [*NOT_FOR, "Images that are passed off as real, or that stand in for a patient's own scan."]
            ),
            "Licence": LICENCE,
            "Software": _software(run),
        },
    )


def _training(status: Mapping[str, Any], history: Sequence[Mapping[str, float]], num_epochs: int) -> str:
    seconds = sum(row.get("seconds", 0.0) for row in history)
    duration = f", in {seconds:.0f} seconds" if history else ""
    ended = ""
    if status["state"] not in ("finished", "new"):
        reason = f" ({text(status['message'])})" if status["message"] else ""
        ended = f" Not finished: {text(status['state'])} when this was written{reason}."
    return f"{len(history)} of {num_epochs} epochs{duration}.{ended}"


def _trained_on(run: RunFolder, data: Mapping[str, Any]) -> str:
    parts = [table(["class", "train images"], data["train_counts"].items()), origins_table(run.provenance().entries)]
    if (run.location / "data" / DATA_CARD).is_file():
        parts.append(f"Which images were left out, and why: [data card](data/{DATA_CARD}).")
    return "\n\n".join(parts)


def _leakage(status: str, contact: Mapping[str, Any] | None) -> str:
    header = ["its images", "data set", "status", "validation images with a copy among them", "test images"]
    rows = (
        (entry["role"], entry["name"], entry["status"], entry["num_validation_images"], entry["num_test_images"])
        for entry in (contact or {}).get("entries", ())
    )
    started_from = table(header, rows)
    return STATUS[status] + (f"\n\nWhat it started from:\n\n{started_from}" if started_from else "")


def _metrics(history: Sequence[Mapping[str, float]]) -> str:
    """The newest value of each metric, and the best Frechet distance."""
    newest = {name: (value, int(row["epoch"])) for row in history for name, value in row.items()}
    rows = [(name, f"{value:.4g}", epoch) for name, (value, epoch) in newest.items() if name not in NOT_METRICS]
    parts = [table(["metric", "newest value", "epoch"], rows)]
    scored = [row for row in history if "frechet" in row]
    if scored:
        best = min(scored, key=lambda row: row["frechet"])
        parts.append(
            f"The lowest `frechet` (on validation images, less is better): {best['frechet']:.4g}, after epoch "
            f"{best['epoch']:.0f}. Images are drawn from the newest weights, whatever their score."
        )
    return "\n\n".join(part for part in parts if part)


def _health(run: RunFolder) -> str:
    findings = [(each.kind, f"{each.first_epoch}-{each.last_epoch}", each.message) for each in run.findings()]
    header = ["finding", "epochs", "what was seen, and what to try"]
    return table(header, findings) or "Nothing was found to be wrong."


def _drawing() -> str:
    command = "raysynth generate RUN --out synthetic --per-class 500 --seed 0"
    return (
        f"```sh\n{command}\n```\n\nwhere RUN is this folder. An image depends on its own seed alone, not on how many "
        "are drawn. Grids of samples by epoch are in `samples`, the weights in `checkpoints`."
    )


def _software(run: RunFolder) -> str:
    file = run.path / "environment.json"
    if not file.is_file():
        return ""
    environment = json.loads(file.read_text(encoding="utf-8"))
    versions = {"python": environment["python"], **environment["packages"]}
    if environment.get("code_revision"):
        versions["raysynth's revision"] = environment["code_revision"]
    return versions_table(versions)
