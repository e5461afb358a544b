"""A quiet local Ray for as long as a verb needs it."""

from __future__ import annotations

import ctypes
import importlib.util
import logging
import os
import platform
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from raysynth.errors import UserError
from raysynth.interruption import terminate_as_interrupt

# Set before Ray is imported: most are read by the processes that Ray starts. The figures behind them were measured
# on two cores: importing torch and ray again is what every new process pays, so idle workers are kept (Ray Data
# would start fresh ones for each pipeline), and Train's controller asks its workers' health often enough that a
# finished `fit` returns at once.
WORKERS_START_TIMEOUT_S = "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"
PREEMPTION_WATCHER = "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER"
PRELOAD = "RAY_preload_python_modules"  # read by the raylet, which tells its workers
QUIET_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_idle_worker_killing_time_threshold_ms": "600000",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    # Where a node is lost its place may take minutes to be filled; Ray would give a training up after one.
    WORKERS_START_TIMEOUT_S: "1800",
    PREEMPTION_WATCHER: "0",  # one machine does not outlive its node
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # ours asks the trials for a checkpoint first
    "RAY_DEDUP_LOGS": "1",
    # torch's threads spin when they wait, and two processes that share cores then wait for each other. Spinning for
    # a shorter while made two at once 1.9 times as fast and costs one alone nothing (benchmarks/thread_waiting.py).
    "GOMP_SPINCOUNT": "50000",
    # glibc gives large blocks back to the system when they are freed, and each activation's pages are then fetched and
    # zeroed anew at every step. Keeping them made a GAN's step 1.03 to 1.06 times as fast.
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str((1 << 31) - 1),
}
MALLOPT_PARAMETERS = {"MALLOC_TRIM_THRESHOLD_": -1, "MALLOC_MMAP_THRESHOLD_": -3}  # of glibc's malloc.h


def prepare_environment() -> None:
    """Set the variables that Ray and torch read when they are imported; a user's own settings win.

    Without bytecode every Ray process compiles torch, ray and pandas again, which doubles each start: where there is
    none beside the sources (setup.sh makes it) and the user forbids to write it there, it goes to a cache folder.
    """
    for variable, value in QUIET_ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    _keep_freed_memory()
    if os.environ.get("PYTHONDONTWRITEBYTECODE") and not _has_bytecode("torch"):
        del os.environ["PYTHONDONTWRITEBYTECODE"]
        cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        os.environ.setdefault("PYTHONPYCACHEPREFIX", str(cache / "raysynth" / "bytecode"))
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="ray")
    warnings.filterwarnings("ignore", category=FutureWarning, module="ray")


def _keep_freed_memory() -> None:
    """Set for this process what glibc reads from the environment only when a process begins; elsewhere do nothing."""
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        for variable, parameter in MALLOPT_PARAMETERS.items():
            ctypes.CDLL(None).mallopt(parameter, int(os.environ[variable]))


def _has_bytecode(module: str) -> bool:
    """Whether an installed module is compiled already; nothing is imported."""
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.cached is not None and Path(spec.cached).is_file()


@contextmanager
def ray_session(
    *, num_cpus: int | None = None, with_dashboard: bool = False, preload: Sequence[str] = ()
) -> Iterator[None]:
    """A local Ray (never somebody else's cluster) unless one is already initialised here; ended when we began it.

    Only who has this user's token may use it (`raysynth.cluster.tokens`). Ray Train over workers needs the dashboard,
    bound to loopback: its clean-up under Tune asks the State API. For all else its ten processes would only delay the
    first ones of ours, by 2 to 4 s on two cores. Each worker imports the modules `preload` as it starts, so that
    nobody waits for them later.
    """
    prepare_environment()
    if _starting is not None:
        _starting.result()
    import ray

    if ray.is_initialized():
        with terminate_as_interrupt():  # a Ray that `ray_starting` has begun meanwhile put a handler of its own there
            yield
        return
    _start_ray(num_cpus, with_dashboard, preload)
    try:
        with terminate_as_interrupt():  # `ray.init` has put a handler of its own there, which says nothing
            yield
    finally:
        ray.shutdown()


_starting: Future[None] | None = None  # of `ray_starting`


@contextmanager
def ray_starting(
    *, num_cpus: int | None = None, with_dashboard: bool = False, preload: Sequence[str] = ()
) -> Iterator[None]:
    """As `ray_session`, for a block whose beginning needs no Ray yet: it goes on at once, while Ray and its workers
    start beside it, on another core. A `ray_session` in the block waits until Ray is there, and says why it is not."""
    global _starting
    prepare_environment()
    if _starting is not None or _is_initialized():
        yield
        return
    with ThreadPoolExecutor(1, "ray-start") as thread:
        _starting = thread.submit(_start_ray, num_cpus, with_dashboard, preload)
        try:
            with terminate_as_interrupt():
                yield
        finally:
            wait([_starting])
            _starting = None
            if _is_initialized():
                sys.modules["ray"].shutdown()


def _is_initialized() -> bool:
    """Whether this process has a Ray; it is not imported for the question."""
    return "ray" in sys.modules and sys.modules["ray"].is_initialized()


def _start_ray(num_cpus: int | None, with_dashboard: bool, preload: Sequence[str]) -> None:
    """Start a local Ray. Raises UserError when it does not start."""
    import ray

    from raysynth.cluster.tokens import ensure_token

    ensure_token()
    os.environ[PRELOAD] = ",".join(preload)
    try:
        with _apart_from_our_group():
            ray.init(
                address="local",
                num_cpus=num_cpus or num_cores(),
                logging_level=logging.ERROR,
                log_to_driver=False,
                include_dashboard=with_dashboard,
                dashboard_host="127.0.0.1",
                configure_logging=True,
            )
    except Exception as error:  # of which Ray has no kind of its own for this
        ray.shutdown()
        reason = str(error).strip().split("\n")[0][:200]
        raise UserError(
            f"Ray did not start on this machine ({reason}); try again when it is less busy, or look into "
            "/tmp/ray/session_latest/logs"
        ) from error
    finally:
        del os.environ[PRELOAD]
    quiet_ray()


@contextmanager
def _apart_from_our_group() -> Iterator[None]:
    """While the block runs, Ray's processes get a process group of their own: a signal to ours, as by `timeout` or a
    shell, is for us to answer while the workers are still there. The system ends them with this process all the same.

    Ray is pinned to one minor version; with another one a test of such a signal would fail.
    """
    if sys.platform != "linux":  # where Ray ends them by their group
        yield
        return
    from ray._private import services

    before = services.ConsolePopen
    services.ConsolePopen = partial(before, process_group=0)
    try:
        yield
    finally:
        services.ConsolePopen = before


@contextmanager
def cluster_session(runtime_env: Mapping[str, Any] | None = None) -> Iterator[None]:
    """A running cluster, of which this machine is a node, for as long as the block runs: `--address auto`.

    In a job it is the job's cluster. `runtime_env` is Ray's, for all of its workers. Raises UserError when there is no
    cluster, or it refuses this user's token.
    """
    prepare_environment()
    os.environ[PREEMPTION_WATCHER] = "1"  # or an announced node would count among the failures of a training
    import ray

    from raysynth.cluster.tokens import REMEDY

    try:
        ray.init(
            address="auto",
            logging_level=logging.ERROR,
            log_to_driver=False,
            configure_logging=True,
            runtime_env=dict(runtime_env) if runtime_env else None,
        )
    except ray.exceptions.AuthenticationError as error:
        raise UserError(f"--address auto: the cluster refuses this user's token; {REMEDY}") from error
    except ConnectionError as error:
        raise UserError(
            "--address auto: no Ray cluster runs on this machine; start one (`ray start --head`), or give the address "
            "of one elsewhere, http://HEAD:8265"
        ) from error
    try:
        with terminate_as_interrupt():
            quiet_ray()
            yield
    finally:
        ray.shutdown()


def joined_cluster() -> bool:
    """Whether the Ray of this process is a cluster that somebody else started."""
    if _starting is not None:  # our own; while its thread imports Ray, nothing can be asked of it
        return False
    return _is_initialized() and not sys.modules["ray"]._private.worker._global_node.head


def quiet_ray() -> None:
    """Turn off the log lines and progress bars of Ray's libraries: our verbs print their own.

    To be called when they have been imported, since each sets up its own logger then.
    """
    import ray.data
    import ray.train
    import ray.tune
    from ray.util.annotations import RayDeprecationWarning

    warnings.simplefilter("ignore", RayDeprecationWarning)  # Ray is pinned to one minor version
    ray.data.DataContext.get_current().enable_progress_bars = False
    for name in ("ray.data", "ray.train", "ray.tune"):
        logging.getLogger(name).setLevel(logging.ERROR)


def num_cores() -> int:
    """CPU cores that this process may use: a batch system's affinity and a container's quota count."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota_file = Path("/sys/fs/cgroup/cpu.max")  # "max 100000", or microseconds allowed and period
    if quota_file.is_file():
        quota, period = quota_file.read_text().split()
        if quota != "max":
            cores = min(cores, max(1, int(quota) // int(period)))
    return cores


def num_threads(cores: int | None = None) -> int:
    """Threads for one process that may use so many cores (default: all), or fewer where OMP_NUM_THREADS says so.

    Whoever runs several things at once says so: threads that wait for each other on busy cores took 40 times as long
    for a network of 16 px images as one thread did.
    """
    cores = num_cores() if cores is None else cores
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores, int(asked))) if asked.isdigit() else cores
