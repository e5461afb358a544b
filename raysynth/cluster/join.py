"""A verb on a cluster's node, or in a job, which joins the cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from raysynth.cluster.job_command import places_of
from raysynth.cluster.job_package import packed
from raysynth.cluster.session import cluster_session

IN_A_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # Ray's, in the environment of a job's command: it brings its package along


@contextmanager
def joined(values: Mapping[str, Any]) -> Iterator[None]:
    """A session on the running cluster for the verb whose parameters have these values."""
    own = nullcontext((None, 0)) if IN_A_JOB in os.environ else packed({})
    out = next((place for name, place in places_of(values) if name == "out"), None)
    if isinstance(out, Path):
        # What is drawn or trained once and kept (the default data set, scoring networks) the workers read too.
        os.environ.setdefault("XDG_CACHE_HOME", str(out.absolute().parent / "cache"))
    with own as (runtime_env, _), cluster_session(runtime_env):
        yield
