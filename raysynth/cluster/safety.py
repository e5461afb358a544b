"""Who can reach a Ray, and what it asks of them."""

from __future__ import annotations

import os

from raysynth.cluster.check import Check
from raysynth.cluster.http import ask_version
from raysynth.cluster.session import joined_cluster
from raysynth.cluster.tokens import find_token, is_readable_by_others, token_file

DEFAULT_DASHBOARD = "127.0.0.1:8265"
NODE = "head"


def check_dashboard() -> Check:
    """Whether the dashboard, through which jobs come, wants a token and listens to its own machine only."""
    dashboard = DEFAULT_DASHBOARD
    if joined_cluster():
        import ray

        dashboard = ray._private.worker._global_node.address_info["webui_url"] or ""
        if not dashboard:
            return Check("dashboard", NODE, "warning", "none", "start the head with --include-dashboard=true")
    try:
        status, version = ask_version(f"http://{dashboard}")
    except OSError:
        found = "not reached from here: it listens to the head alone" if joined_cluster() else "no Ray runs here"
        return Check("dashboard", NODE, "ok", f"{dashboard}: {found}")
    return judge_dashboard(dashboard, is_ray=version is not None or status in (401, 403), is_open=version is not None)


def judge_dashboard(dashboard: str, *, is_ray: bool, is_open: bool) -> Check:
    """The check, from what was answered to a question without a token."""
    is_loopback = dashboard.rpartition(":")[0] in ("127.0.0.1", "localhost", "[::1]")
    if not is_ray:
        return Check(
            "dashboard", NODE, "warning", f"{dashboard}: something else than Ray answers", "free the port for Ray"
        )
    if is_open:
        found = f"{dashboard}: answers without a token: whoever reaches it can run anything"
        return Check(
            "dashboard", NODE, "warning" if is_loopback else "wrong", found, "start it with RAY_AUTH_MODE=token"
        )
    if not is_loopback:
        remedy = "start the head with --dashboard-host=127.0.0.1, and use a tunnel"
        return Check("dashboard", NODE, "warning", f"{dashboard}: wants a token, open to the network", remedy)
    return Check("dashboard", NODE, "ok", f"{dashboard}: wants a token")


def check_token() -> Check:
    """Where this user's token comes from, and whether others can read it."""
    if os.environ.get("RAY_AUTH_MODE", "token").lower() != "token":
        found = f"RAY_AUTH_MODE={os.environ['RAY_AUTH_MODE']}: Ray starts without one"
        return Check("token", "here", "warning", found, "unset RAY_AUTH_MODE, or set it to token")
    if os.environ.get("RAY_AUTH_TOKEN"):
        return Check("token", "here", "ok", "from RAY_AUTH_TOKEN")
    file = token_file()
    if find_token() is None:
        return Check("token", "here", "ok", f"{file}: none yet; the first Ray that a verb starts makes one")
    if is_readable_by_others(file):
        return Check("token", "here", "warning", f"{file}: others on this machine can read it", f"chmod 600 {file}")
    return Check("token", "here", "ok", f"{file}: readable by you alone")
