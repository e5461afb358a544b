"""Ray Jobs on a cluster that is reached over HTTP: sending a verb there, following it, stopping it."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from raysynth.cluster.http import ask_version
from raysynth.cluster.job_package import format_size, packed
from raysynth.cluster.tokens import REMEDY, find_token
from raysynth.errors import Interrupted, UserError

POLL_S = 1.0
PATIENCE_S = 60.0  # with a cluster that has just begun, whose nodes do not take jobs yet
PYTHON = "python3"  # of the cluster's nodes
TALKATIVE = (  # in lines of Ray's own, on what we say ourselves
    "ray.dashboard.modules.job.sdk",
    "ray.dashboard.modules.dashboard_sdk",
    "ray._private.runtime_env.packaging",
)
NO_AGENT = "No available agent"  # in Ray's refusal while no node takes jobs
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
Say = Callable[[str], None]


class Cluster:
    """A cluster's job server.

    Making one asks it who it is. Raises UserError when nobody answers, no Ray does, or it refuses the token.
    `is_open` tells that it answers without one.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        token = None
        try:
            status, version = ask_version(address)
            self.is_open = version is not None
            if status in (401, 403) and (token := find_token()):
                status, version = ask_version(address, token=token)
        except OSError as error:
            raise UserError(
                f"--address {address}: cannot be reached ({getattr(error, 'reason', error)}); is the cluster up, and "
                "the tunnel to it open (`ray dashboard cluster.yaml`)?"
            ) from error
        if status in (401, 403):
            wrong = "refuses this user's token" if token else "wants a token, and there is none here"
            raise UserError(f"--address {address}: {wrong}; {REMEDY}")
        if version is None:
            raise UserError(
                f"--address {address}: no Ray answers there (status {status}); want the dashboard, http://HEAD:8265"
            )
        self.ray_version = version
        from ray.job_submission import JobSubmissionClient

        for name in TALKATIVE:
            logging.getLogger(name).setLevel(logging.ERROR)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with _without_addresses():
            self.client = JobSubmissionClient(address, headers=headers)

    def warn(self, say: Say) -> None:
        """Say what is unsafe, or may not work."""
        from ray import __version__

        if self.is_open:
            say(
                f"warning: {self.address} answers without a token: whoever reaches it can run anything there; start it "
                "with RAY_AUTH_MODE=token"
            )
        if self.ray_version.split(".")[:2] != __version__.split(".")[:2]:
            say(f"warning: Ray {self.ray_version} on the cluster, {__version__} here; `raysynth doctor` says more")

    def submit(self, verb: str, words: Sequence[str], files: Mapping[str, Path], say: Say) -> str:
        """Send `raysynth VERB WORDS...` and return the job's id."""
        job = f"{verb}-{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        command = shlex.join([PYTHON, "-m", "raysynth", verb, *words, "--address", "auto"])
        with packed(files) as (runtime_env, num_bytes), _explained(self.address):
            shipped = f"raysynth{''.join(f', {file.name}' for file in files.values())}"
            say(f"job {job} on {self.address}: sending {shipped} ({format_size(num_bytes)})")
            self._submit(
                entrypoint=command,
                submission_id=job,
                runtime_env=runtime_env,
                metadata={"raysynth": shlex.join(["raysynth", verb, *words])},
            )
        return job

    def _submit(self, **job: Any) -> None:
        deadline = time.monotonic() + PATIENCE_S
        was_refused = False
        while True:
            try:
                self.client.submit_job(**job)
                return
            except RuntimeError as error:
                problem = str(error).strip().splitlines()[-1][:300]
                if was_refused and "already exists" in problem:  # the cluster had taken it all the same
                    return
                if NO_AGENT not in problem or time.monotonic() > deadline:
                    refused = f"--address {self.address}: does not take the job ({problem}); try again"
                    raise UserError(refused) from error
            was_refused = True
            time.sleep(POLL_S)

    def job(self, job: str) -> dict[str, Any]:
        """What is known of a job. Raises UserError for one that is not there."""
        try:
            with _explained(self.address):
                return describe(self.client.get_job_info(job))
        except RuntimeError as error:
            raise UserError(
                f"JOB {job}: not on {self.address}; `raysynth jobs list --address {self.address}` lists them"
            ) from error

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs that were sent, the newest first."""
        with _explained(self.address):
            found = [describe(details) for details in self.client.list_jobs() if details.submission_id]
        return sorted(found, key=lambda job: job["started"] or "", reverse=True)

    def log(self, job: str, say: Say) -> None:
        """Say what a job has printed so far."""
        with _explained(self.address):
            JobLines(say).add(self.client.get_job_logs(job))

    def stop(self, job: str, say: Say) -> dict[str, Any]:
        """Stop a job as Ctrl-C would, and wait until it has ended."""
        if self.job(job)["status"] not in ENDED:
            with _explained(self.address):
                self.client.stop_job(job)
            say(f"stopping {job}")
        return self.wait(job)

    def wait(self, job: str, timeout_s: float | None = None) -> dict[str, Any]:
        """What is known of a job when it has ended, or when the time is up."""
        deadline = time.monotonic() + timeout_s if timeout_s is not None else None
        while (known := self.job(job))["status"] not in ENDED and (deadline is None or time.monotonic() < deadline):
            time.sleep(POLL_S)
        return known

    def follow(self, job: str, say: Say) -> dict[str, Any]:
        """Say a job's lines as they come, until it has ended; what is known of it then.

        Ctrl-C ends the following and not the job: Interrupted says how to go on, and how to stop it.
        """
        from aiohttp import ClientError

        lines = JobLines(say)
        try:
            while True:
                with suppress(RuntimeError, ClientError):  # a connection that broke is made again
                    asyncio.run(self._tail(job, lines))
                if self.job(job)["status"] in ENDED:
                    break
                time.sleep(POLL_S)
        except KeyboardInterrupt:
            raise Interrupted(self.how_to_follow(job)) from None
        with _explained(self.address):
            lines.begin()
            lines.add(self.client.get_job_logs(job) + "\n")  # what was printed while nobody listened
        return self.job(job)

    def how_to_follow(self, job: str) -> str:
        """Said to whoever follows no longer."""
        return (
            f"the job goes on; follow it again: raysynth jobs logs -f {job} --address {self.address}; "
            f"stop it: raysynth jobs stop {job} --address {self.address}"
        )

    async def _tail(self, job: str, lines: JobLines) -> None:
        lines.begin()
        async for text in self.client.tail_job_logs(job):
            lines.add(text)


class JobLines:
    """Says the lines of a job's own command, each once, though its log may be read from the beginning again."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.num_said = 0
        self.begin()

    def begin(self) -> None:
        """What comes next is the log's beginning."""
        self.is_own = False  # Ray writes before the command begins
        self.num_read = 0
        self.rest = ""

    def add(self, text: str) -> None:
        """The next piece of the log; a line is said when it is complete."""
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            if not self.is_own:
                self.is_own = line.startswith("Running entrypoint for job ")
                continue
            self.num_read += 1
            if self.num_read > self.num_said:
                self.num_said += 1
                self.say(line)


def describe(details: Any) -> dict[str, Any]:
    """Plain values of Ray's `JobDetails`: times as ISO texts, `exit_status` None until there is one."""
    status = str(getattr(details.status, "value", details.status))
    message = (details.message or "").strip()
    return {
        "job": details.submission_id,
        "status": status,
        "command": (details.metadata or {}).get("raysynth") or details.entrypoint,
        "started": _iso(details.start_time),
        "ended": _iso(details.end_time),
        "exit_status": details.driver_exit_code,
        "message": message.splitlines()[0] if message else "",
    }


def exit_status(job: Mapping[str, Any]) -> int:
    """A job's own status, as a shell would see it: 1 for one that was stopped, or died without a status."""
    if job["status"] == "SUCCEEDED":
        return 0
    return int(job["exit_status"] or 1)


def _iso(milliseconds: int | None) -> str | None:
    if not milliseconds:
        return None
    return datetime.fromtimestamp(milliseconds / 1000).astimezone().isoformat(timespec="seconds")


@contextmanager
def _without_addresses() -> Iterator[None]:
    """Take the variables away that Ray's client would let win over the address that it is given."""
    kept = {name: os.environ.pop(name) for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS") if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


@contextmanager
def _explained(address: str) -> Iterator[None]:
    """Raise UserError for a cluster that went away, or changed its token."""
    import requests
    from ray.exceptions import AuthenticationError

    try:
        yield
    except (ConnectionError, requests.exceptions.ConnectionError) as error:
        raise UserError(f"--address {address}: no longer answers; the job may go on there; try again") from error
    except AuthenticationError as error:
        raise UserError(f"--address {address}: refuses this user's token; {REMEDY}") from error
