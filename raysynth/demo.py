"""`raysynth demo`: a study of images that the package draws itself."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from raysynth.data.locations import refuse_bucket
from raysynth.errors import UserError

# Small enough for two CPU cores and a few minutes; every figure in the report is computed, none is canned.
NUM_IMAGES = 1200
SIZE = 32
NUM_SEEDS = 3
CLASSIFIER_EPOCHS = 22
SPACE = "demo"
Say = Callable[[str], None]


def demo(out: Path | str = "demo", *, seed: int = 0, say: Say = print) -> Path:
    """Draw a data set in the folder `out`, make a study of it there, and return its report's path.

    The same call again goes on where it was stopped. Raises UserError when `out` holds something else, and Interrupted
    on Ctrl-C.
    """
    from raysynth.data.dataset import load_dataset
    from raysynth.data.phantom import phantom
    from raysynth.study.study import check_out, study
    from raysynth.study.study_folder import StudyFolder
    from raysynth.tuning.workers import ray_for_trials

    refuse_bucket(out, "--out")
    out = Path(out)
    check_out(StudyFolder(out))
    data = out / "data"
    asked = {"num_images": NUM_IMAGES, "size": SIZE, "seed": seed}
    with ExitStack() as ray_runs:
        if not (data / "dataset.json").is_file():
            ray_runs.enter_context(ray_for_trials())  # it starts while the images are drawn
            say("drawing head slices in four classes")
            phantom(data, num_images=NUM_IMAGES, size=SIZE, seed=seed, say=say)
        elif load_dataset(data).source.get("phantom") != asked:
            raise UserError(f"--out {out}: holds another data set than --seed {seed} draws; choose another folder")
        study(
            [SPACE],
            data=data,
            overrides={"seed": seed} if seed else None,
            seed=seed,
            seeds=NUM_SEEDS,
            classifier_epochs=CLASSIFIER_EPOCHS,
            out=out,
            say=say,
        )
    return out / "report.html"
