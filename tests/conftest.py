"""Fixtures of all tests: a small data set, a run trained on it, and one Ray for the whole session."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from raysynth.cluster.session import prepare_environment

if "PYTEST_XDIST_WORKER" in os.environ:
    # Several of them share the cores: one thread each, and Ray's workers not at nice 15, where they only wait.
    os.environ |= {"OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}
prepare_environment()  # before anything imports torch or ray

from raysynth.data.dataset import Dataset  # noqa: E402
from raysynth.data.dataset_writer import write_dataset  # noqa: E402

settings.register_profile("same", derandomize=True)  # the same examples each time: a failure is the change's own
settings.load_profile("same")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks for the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Divide the tests among pytest-xdist's processes: a file stays whole, for what its tests share, and all that use
    the session's Ray stay in one process. That one takes longest, and begins first (`--no-loadscope-reorder`)."""
    for item in items:
        shares_ray = "ray_cluster" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("ray" if shares_ray else str(item.path)))


def make_dataset(
    path: Path,
    *,
    shape: tuple[int, int, int] = (1, 16, 16),
    num_per_class: int = 24,
    classes: tuple[str, ...] = ("left", "right"),
    seed: int = 0,
    **more: object,
) -> Dataset:
    """A data set that is easy to learn: class k is bright in the k-th vertical stripe of the image."""
    rng = np.random.default_rng(seed)
    channels, height, width = shape
    labels = np.repeat(np.arange(len(classes)), num_per_class)
    images = rng.integers(0, 90, (len(labels), channels, height, width), dtype=np.uint8)
    stripe = width // len(classes)
    for image, label in zip(images, labels, strict=True):
        image[:, :, label * stripe : (label + 1) * stripe] += rng.integers(90, 160, dtype=np.uint8)
    position = np.tile(np.arange(num_per_class), len(classes)) / num_per_class
    splits = np.where(position < 0.6, "train", np.where(position < 0.8, "validation", "test"))
    return write_dataset(
        path,
        name=path.name,
        kind="real",
        classes=classes,
        images=images,
        columns={"id": [f"{i:04d}" for i in range(len(labels))], "label": labels, "split": list(splits)},
        source={"made_by": "tests"},
        **more,  # type: ignore[arg-type]
    )


# Of the local S3 server. Set before any Ray begins, whose processes are asked for them.
S3_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "tests",
    "AWS_SECRET_ACCESS_KEY": "tests",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="session", autouse=True)
def own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache folder of the session's own: what another version left in the user's is not found there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        for name, value in S3_CREDENTIALS.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A data set of 16 px grey images in two classes; do not write to it."""
    return make_dataset(tmp_path_factory.mktemp("data") / "stripes")


@pytest.fixture(scope="session")
def stacked_stripes(stripes: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Volumes of 16 voxels a side: the images of `stripes`, each as all slices of one; train and validation only."""
    pixels, labels = zip(*(stripes.pixels(split) for split in ("train", "validation")), strict=True)
    images = np.concatenate(pixels)
    return write_dataset(
        tmp_path_factory.mktemp("data") / "stacked",
        name="stacked",
        kind="real",
        classes=stripes.classes,
        images=np.repeat(images[:, :, None], 16, axis=2),
        columns={
            "id": [f"{i:04d}" for i in range(len(images))],
            "label": np.concatenate(labels),
            "split": ["train"] * len(labels[0]) + ["validation"] * len(labels[1]),
        },
        source={"made_by": "tests"},
    )


@pytest.fixture(scope="session")
def tiny_run(stripes: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs of a narrow WCGAN-GP on `stripes`."""
    from raysynth.training.train import train

    return train(
        "wcgan_gp",
        data=stripes.path,
        epochs=2,
        overrides={"batch_size": 8, "width": 4, "latent_dim": 4, "n_critic": 2},
        workers=0,
        out=tmp_path_factory.mktemp("runs"),
        say=lambda line: None,
    )


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of a local S3 server; the environment says that S3 is there."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for every request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        yield f"{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_endpoint: str) -> str:
    """The URI of a new, empty bucket: s3://NAME. For Ray's processes, which may be older than the server, add
    `?endpoint_override=...` (`s3_options`)."""
    from pyarrow import fs

    name = f"tests-{uuid.uuid4().hex}"
    fs.S3FileSystem(endpoint_override=s3_endpoint, scheme="http", allow_bucket_creation=True).create_dir(name)
    return f"s3://{name}"


@pytest.fixture
def s3_options(s3_endpoint: str) -> str:
    """What a URI ends with that says where the server is."""
    return f"?endpoint_override={s3_endpoint}&scheme=http"


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """One local Ray for all tests that need one: starting it costs seconds."""
    from raysynth.cluster.session import ray_session

    os.environ.pop("RAY_ADDRESS", None)
    with ray_session(num_cpus=4, with_dashboard=True):
        yield
