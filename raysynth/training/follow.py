"""Prints a run's epochs as they end, by watching its metrics.csv: the same wherever its workers are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from raysynth.data.buckets import BucketError
from raysynth.training.loop import Row
from raysynth.training.run_folder import PROGRESS, RunFolder

POLL_S = 0.3
BUCKET_POLL_S = 3.0  # each is a few requests


@contextmanager
def following(run: RunFolder, say: Callable[[str], None]) -> Iterator[None]:
    """While the block runs, say a line for each new epoch of `run`, and one for whatever goes wrong.

    A bucket that is out of reach is whoever writes there to speak of; here its epochs are told when it is back.
    """
    num_epochs = run.settings()["epochs"]
    done = threading.Event()
    read = run.versions()
    seen = len(run.history())
    if seen:
        say(f"going on after epoch {seen}")
    warned = {(finding.kind, finding.first_epoch) for finding in run.findings()}  # said when they were found

    def say_new() -> None:
        nonlocal seen
        history = run.history()
        seen = min(seen, len(history))  # a resume cuts back to the newest checkpoint
        for row in history[seen:]:
            say(describe_epoch(row, num_epochs))
        seen = len(history)
        for finding in run.findings():
            if (finding.kind, finding.first_epoch) not in warned:
                warned.add((finding.kind, finding.first_epoch))
                say(f"warning: epoch {finding.first_epoch}: {finding.message}")

    def watch() -> None:
        nonlocal read
        while not done.wait(POLL_S if run.mirror is None else BUCKET_POLL_S):
            with suppress(BucketError):
                run.refresh(*PROGRESS)
            # Only what was written anew is read: the time of this thread is lost to an in-process training.
            if (written := run.versions()) != read:
                read = written
                say_new()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        with suppress(BucketError):
            run.refresh(*PROGRESS)
        say_new()


def describe_epoch(row: Row, num_epochs: int) -> str:
    """One line on an epoch: its number, time left, speed, and the metrics."""
    epoch = int(row["epoch"])
    left_s = (num_epochs - epoch) * row["seconds"]
    hidden = ("epoch", "seconds", "images_per_s", "score_seconds", "diversity_class")
    metrics = "  ".join(f"{name} {value:.4g}" for name, value in row.items() if name not in hidden)
    return f"epoch {epoch}/{num_epochs}  {metrics}  {row['images_per_s']:.0f} images/s  {format_duration(left_s)} left"


def format_duration(seconds: float) -> str:
    """Seconds as `8 s`, `3 min 20 s` or `2 h 05 min`."""
    total = round(seconds)
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60:02d} s"
    return f"{total // 3600} h {total % 3600 // 60:02d} min"
