"""A machine that a cloud takes back: hearing of it, and what is then told to Ray."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping

import pytest

from raysynth.cluster import leave as module
from raysynth.cluster.leave import CLOUDS, leave, leave_when_told
from raysynth.errors import UserError

AWS_NOTICE = "/latest/meta-data/spot/instance-action"


class Metadata:
    """The pages of a machine; the notice appears at the given question."""

    def __init__(self, notice: str, text: str, at: int) -> None:
        self.notice, self.text, self.at = notice, text, at
        self.num_asked = 0

    def __call__(self, method: str, url: str, headers: Mapping[str, str]) -> str | None:
        if method == "PUT":
            return "a token" if url.endswith("/latest/api/token") else None
        assert headers in ({"X-aws-ec2-metadata-token": "a token"}, {"Metadata-Flavor": "Google"})
        assert url.endswith(self.notice)
        self.num_asked += 1
        return self.text if self.num_asked >= self.at else None


@pytest.fixture(autouse=True)
def left(monkeypatch) -> list[int]:
    """The seconds that were announced, in place of a cluster."""
    told: list[int] = []
    monkeypatch.setattr(module, "POLL_S", 0.001)
    monkeypatch.setattr(module, "leave", lambda grace_s: told.append(grace_s) or "node")
    return told


@pytest.mark.parametrize(
    ("cloud", "notice", "text"),
    [("aws", AWS_NOTICE, '{"action": "terminate"}'), ("gcp", "/computeMetadata/v1/instance/preempted", "TRUE")],
)
def test_a_notice_of_the_cloud_is_passed_on(left, cloud, notice, text):
    said: list[str] = []
    metadata = Metadata(notice, text, at=3)
    assert leave_when_told(cloud, said.append, ask=metadata) == "node"
    assert metadata.num_asked == 3
    assert left == [CLOUDS[cloud].grace_s]
    assert said == [f"this machine will be taken away in about {CLOUDS[cloud].grace_s} s"]


def test_google_says_false_until_then(left):
    metadata = Metadata("/preempted", "FALSE", at=1)

    def ask(method: str, url: str, headers: Mapping[str, str]) -> str | None:
        return "TRUE" if metadata.num_asked == 4 else metadata(method, url, headers)

    leave_when_told("gcp", lambda line: None, ask=ask)
    assert metadata.num_asked == 4


def test_a_signal_that_ends_the_machine_is_a_notice_too(left):
    handler = signal.getsignal(signal.SIGTERM)

    def ask(method: str, url: str, headers: Mapping[str, str]) -> str | None:
        os.kill(os.getpid(), signal.SIGTERM)

    leave_when_told("aws", lambda line: None, ask=ask)
    assert left == [CLOUDS["aws"].grace_s]
    assert signal.getsignal(signal.SIGTERM) is handler


def test_mistakes_are_one_line(monkeypatch):
    with pytest.raises(UserError, match="--when-told azure: want aws or gcp"):
        leave_when_told("azure", lambda line: None)
    with pytest.raises(UserError, match="--grace-s -1: want 0 or more seconds"):
        leave(-1)
