"""Ctrl-C, or SIGTERM, while Ray Tune runs: it ends when the trials have kept checkpoints."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray.tune import Callback

from raysynth.training.stop_request import StopRequest
from raysynth.tuning.progress import SweepProgress

END_OF_TUNE = signal.SIGUSR1  # at which Ray Tune ends as it would at Ctrl-C, which is ours


class EndWhenKept(Callback):
    """Ray Tune's callback that ends it once `request` has been sent and the running trials have answered.

    Until then Tune goes on: a trial that has reported an epoch waits for it, and could not answer.
    """

    def __init__(self, request: StopRequest, progress: SweepProgress) -> None:
        self.request = request
        self.progress = progress

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, as of `SweepProgress`."""
        return {}

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        progress = self.progress
        if self.request.is_sent and self.request.is_due(progress.interject, is_running=progress.is_running):
            signal.raise_signal(END_OF_TUNE)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While the block runs, Ctrl-C sends the request. To be put around `Tuner.fit`."""

        def end_if_not_begun() -> None:
            if signal.getsignal(END_OF_TUNE) == signal.SIG_DFL:  # Ray Tune does not listen yet
                raise KeyboardInterrupt

        try:
            with self.request.sent_on_interrupt(self.progress.interject, end_if_not_begun):
                yield
        finally:
            if threading.current_thread() is threading.main_thread():
                signal.signal(END_OF_TUNE, signal.SIG_DFL)  # Ray Tune leaves its handler behind
