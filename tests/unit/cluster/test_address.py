from __future__ import annotations

import pytest

from raysynth.cluster.address import VARIABLES, find_address, needed_address
from raysynth.errors import UserError


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def test_the_option_counts_before_the_environment(monkeypatch):
    assert find_address(None) is None
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://c:8265")
    assert find_address(None) == "http://c:8265"
    monkeypatch.setenv("RAYSYNTH_ADDRESS", "https://b/")
    assert find_address(None) == "https://b"
    assert find_address("http://a:1") == "http://a:1"
    assert find_address("auto") == "auto"
    assert find_address("local") is None


@pytest.mark.parametrize("address", ["head:8265", "ray://head:10001", "http://", "http://head/path", "ftp://head"])
def test_a_wrong_address_is_named_with_where_it_came_from(address, monkeypatch):
    with pytest.raises(UserError, match=f"^--address {address}: want http://HEAD:8265"):
        find_address(address)
    monkeypatch.setenv("RAYSYNTH_ADDRESS", address)
    with pytest.raises(UserError, match=f"^RAYSYNTH_ADDRESS {address}: want"):
        find_address(None)


@pytest.mark.parametrize("given", [None, "auto", "local"])
def test_jobs_are_asked_over_http(given):
    with pytest.raises(UserError, match=r"^--address: .*want http://HEAD:8265"):
        needed_address(given)
