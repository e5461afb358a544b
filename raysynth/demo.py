"""`raysynth demo`: the whole way on images that the package draws itself."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from pathlib import Path

from raysynth.data.dataset import refuse_existing
from raysynth.errors import Interrupted
from raysynth.training.run_folder import check_out_folder

# Small enough for two CPU cores and a few minutes; every figure in the report is computed, none is canned.
NUM_IMAGES = 1200
SIZE = 32
NUM_SEEDS = 3
CLASSIFIER_EPOCHS = 22
SPACE = "demo"
Say = Callable[[str], None]


def demo(out: Path | str = "demo", *, seed: int = 0, say: Say = print) -> Path:
    """Data set, sweep, synthetic images, evaluation and report in the folder `out`; the report's path.

    Raises UserError when `out` is not empty, and Interrupted on Ctrl-C.
    """
    from raysynth.cluster.session import ray_session
    from raysynth.data.phantom import phantom
    from raysynth.evaluation.evaluate import evaluate
    from raysynth.report.report import report
    from raysynth.training.generate import generate
    from raysynth.tuning.tune import tune

    out = Path(out)
    check_out_folder(out)
    refuse_existing(out)
    stages = Stages(5, say)
    with ray_session():
        stages.begin("data set: drawing head slices in four classes")
        data = phantom(out / "data", num_images=NUM_IMAGES, size=SIZE, seed=seed, say=say)
        stages.begin("sweep: R3GANs, ranked by Frechet distance on validation images, stopped early by ASHA")
        overrides = {"seed": seed} if seed else {}
        try:
            sweep = tune(SPACE, data=data.path, overrides=overrides, out=out / "sweeps", say=say)
        except Interrupted:
            raise Interrupted(f"stopped; to begin again: rm -r {shlex.quote(str(out))}") from None
        stages.begin("synthetic images: from the best run")
        synthetic = generate(sweep, out=out / "synthetic", seed=seed, say=say)
        stages.begin("evaluation: the same classifier on real, synthetic and mixed images")
        evaluation = evaluate(
            data.path, [synthetic.path], seeds=NUM_SEEDS, epochs=CLASSIFIER_EPOCHS, out=out / "evaluations", say=say
        )
    stages.begin("report")
    page = report(evaluation, out / "report.html", say=say)
    stages.end()
    say(f"open {page.resolve()}")
    return page


class Stages:
    """Says which stage of how many begins, and how long it all took."""

    def __init__(self, num_stages: int, say: Say) -> None:
        self.num_stages = num_stages
        self.say = say
        self.number = 0
        self.started = time.monotonic()

    def begin(self, title: str) -> None:
        self.number += 1
        self.say(f"[{self.number}/{self.num_stages}, {time.monotonic() - self.started:.0f} s] {title}")

    def end(self) -> None:
        self.say(f"done in {time.monotonic() - self.started:.0f} s")
