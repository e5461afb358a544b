"""The folder of a run, which explains itself: what was trained on what, its metrics, samples and checkpoints."""

from __future__ import annotations

import json
import os
import platform
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from raysynth.cards import write_card
from raysynth.config import load_yaml
from raysynth.data.buckets import BucketError, BucketPath
from raysynth.data.contact import Status, worst
from raysynth.data.dataset import Dataset
from raysynth.data.locations import Location, locate, naming
from raysynth.data.mirror import KeptFolder, Mirror, remove_folder
from raysynth.data.provenance import Provenance, run_provenance
from raysynth.errors import UserError
from raysynth.files import write_text
from raysynth.training.health import Finding
from raysynth.training.model_card import FILE_NAME as MODEL_CARD
from raysynth.training.model_card import model_card

ENDED = ("finished", "stopped", "failed")  # states in which nothing more is written by itself
NOTES = ("*.yaml", "*.json", "*.csv", "*.parquet")  # what a run says of itself: all but pictures, events and weights
PROGRESS = ("metrics.csv", "findings.csv", "status.json")  # what changes while it is trained


def name_folder(parent: Location, prefix: str) -> Location:
    """A new name `parent/<prefix>-<date>-<time>-<4 hex digits>` in which nothing stands yet."""
    return parent / f"{prefix}-{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def describe_environment() -> dict[str, Any]:
    """Versions and code revision, for `environment.json`."""
    packages = ("raysynth", "ray", "torch", "numpy", "scikit-learn", "scipy", "pandas", "pyarrow")
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": {package: version(package) for package in packages},
        "code_revision": _code_revision(),
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def _code_revision() -> str | None:
    """The revision of our own checkout; None for an installed package, or without git."""
    checkout = Path(__file__).parents[2]
    if not (checkout / ".git").exists():
        return None
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or None
    except OSError:
        return None


def check_out_folder(out: Location | str, option: str = "--out") -> Location:
    """The folder or place in a bucket in which another folder shall be made.

    Raises UserError when none can be: `out` is a file, or it may not be written to.
    """
    with naming(option):
        location = locate(out)
        if isinstance(location, BucketPath):
            location.exists()  # for a message without the next line's name
            probe = location / f".raysynth-{secrets.token_hex(8)}"
            probe.write_bytes(b"")
            probe.unlink()
            return location
    existing = next(path for path in (location.absolute(), *location.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise UserError(f"{option} {out}: {existing} is not a folder that can be written to; choose another")
    return location


def describe_dataset(dataset: Dataset) -> dict[str, Any]:
    """What a run must know of its data to be generated from and judged without them."""
    return {
        "path": str(dataset.path.resolve()),
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "shape": list(dataset.shape),
        "classes": list(dataset.classes),
        "train_counts": dataset.counts["train"],
        "leakage": dataset.leakage.status,
    }


class RunFolder(KeptFolder):
    """Reading and writing a run. `config.yaml` says all that the training was asked; see `create`.

    `location` is where it is, a folder or a place in a bucket; `path` is the folder that is read and written here: the
    same one, or the bucket's working folder (see `raysynth.data.mirror`). There `refresh` brings what others have
    written, and `keep` takes away what was written here; both do nothing for a folder.
    """

    @classmethod
    def create(
        cls,
        place: Location | str,
        *,
        family: str,
        dataset: Dataset,
        num_epochs: int,
        config: dict[str, Any],
        mirror: Mirror | None = None,
        **more: Any,
    ) -> RunFolder:
        """Make the folder with `config.yaml` and `environment.json`; `config` is the family's complete config."""
        run = cls(place, mirror)
        path = run.path
        path.mkdir(parents=True, exist_ok=True)
        content = {
            "family": family,
            "epochs": num_epochs,
            "config": config,
            "data": describe_dataset(dataset),
            **more,
        }
        content = json.loads(json.dumps(content))  # no object twice, which YAML would write as a reference
        write_text(path / "config.yaml", yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
        environment = describe_environment() | {"data_fingerprint": dataset.fingerprint, "seed": config["seed"]}
        write_text(path / "environment.json", json.dumps(environment, indent=2) + "\n")
        return run

    @classmethod
    def open(cls, place: Location | str, option: str = "RUN") -> RunFolder:
        """An existing run.

        Raises UserError, naming `option`, when the folder is none.
        """
        with naming(option):
            run = cls(place)
            run.refresh()
        if not (run.path / "config.yaml").is_file():
            raise UserError(f"{option} {place}: not a run (no config.yaml in it); `raysynth train` makes one")
        return run

    def refresh(self, *names: str) -> None:
        """Bring here what others have written: the files with these names (default: all `NOTES`)."""
        if self.mirror is not None:
            self.mirror.fetch(*(names or NOTES))

    def keep(self, *, try_again_later: bool = False) -> bool:
        """Take what was written here to the bucket; whether that was done.

        A bucket may be out of reach for a while: with `try_again_later` that is said, on standard error, and left to
        the next call. Else it is tried for some time; raises NotUploaded when it cannot be done, naming the folder
        here, which stays and is a run of its own.
        """
        if self.mirror is None:
            return True
        if not try_again_later:
            self.mirror.push_at_last()
            return True
        try:
            self.mirror.push()
        except BucketError as error:
            print(f"warning: not uploaded: {error}; tried again after the next epoch", file=sys.stderr)
            return False
        return True

    def discard(self) -> None:
        """Remove all of it."""
        shutil.rmtree(self.path, ignore_errors=True)
        remove_folder(self.location)

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def newest_checkpoint(self, *, say: Callable[[str], None] | None = None) -> dict[str, Any] | None:
        """See `load_newest_checkpoint`, whose errors it raises."""
        from raysynth.training.checkpoints import load_newest_checkpoint

        self.refresh("checkpoints/*")
        return load_newest_checkpoint(self.checkpoints, say=say)

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    def settings(self) -> dict[str, Any]:
        """`config.yaml`."""
        content = load_yaml(self.path / "config.yaml", "RUN")
        missing = {"family", "epochs", "config", "data"} - set(content if isinstance(content, dict) else ())
        if missing:
            raise UserError(f"RUN {self.location}: config.yaml lacks {sorted(missing)[0]!r}; train a new run")
        settings: dict[str, Any] = content
        return settings

    def provenance(self) -> Provenance:
        """What it is trained on: the data sets and the hashes of the images it sees."""
        return run_provenance(self.path, self.settings())

    def leakage(self) -> Status:
        """The worse of its data set's own split and of what a pre-training that it starts from has seen of it."""
        settings = self.settings()
        return worst(settings["data"]["leakage"], (settings.get("contact") or {}).get("status", "clean"))

    def history(self) -> list[dict[str, float]]:
        """`metrics.csv`: one row an epoch; a metric that an epoch did not measure is missing from its row."""
        file = self.path / "metrics.csv"
        if not file.is_file():
            return []
        rows = pd.read_csv(file).drop(columns="leakage", errors="ignore").to_dict("records")
        return [{str(key): value for key, value in row.items() if pd.notna(value)} for row in rows]

    def write_history(self, history: list[dict[str, float]], *, leakage: Status | None = None) -> None:
        """Write `metrics.csv` whole, `leakage` on every row: what is measured on a leaky split means less."""
        table = pd.DataFrame(history)
        if leakage is not None:
            table["leakage"] = leakage
        write_text(self.path / "metrics.csv", table.to_csv(index=False))

    def versions(self) -> list[tuple[int, int, int] | None]:
        """What changes when `metrics.csv` or `findings.csv` is written, without reading them; None: there is none."""
        versions: list[tuple[int, int, int] | None] = []
        for name in ("metrics.csv", "findings.csv"):
            try:
                stat = (self.path / name).stat()
            except FileNotFoundError:
                versions.append(None)
            else:
                versions.append((stat.st_ino, stat.st_mtime_ns, stat.st_size))
        return versions

    def findings(self) -> list[Finding]:
        """`findings.csv`: what was wrong, from which epoch to which; nothing in most runs."""
        file = self.path / "findings.csv"
        if not file.is_file():
            return []
        rows = pd.read_csv(file, keep_default_na=False).to_dict("records")
        return [Finding(**{str(key): value for key, value in row.items()}) for row in rows]

    def write_findings(self, findings: Sequence[Finding]) -> None:
        """Write `findings.csv` whole; without findings there is none."""
        file = self.path / "findings.csv"
        if findings:
            write_text(file, pd.DataFrame([asdict(finding) for finding in findings]).to_csv(index=False))
        else:
            file.unlink(missing_ok=True)  # of epochs that a resumed run trains again

    def status(self) -> dict[str, Any]:
        """`status.json`: `state` (new, running, finished, stopped or failed), `epoch`, `message`."""
        file = self.path / "status.json"
        if not file.is_file():
            return {"state": "new", "epoch": 0, "message": ""}
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return content

    def write_status(self, state: str, epoch: int, message: str = "") -> None:
        """Write `status.json` and, where the training has ended, the card: also of a run that Ray Tune stopped."""
        write_text(self.path / "status.json", json.dumps({"state": state, "epoch": epoch, "message": message}) + "\n")
        if state in ENDED:
            self.write_card()

    def write_card(self) -> None:
        """Write `model_card.md` anew, from what stands in the folder now."""
        write_card(self.path / MODEL_CARD, lambda: model_card(self))
