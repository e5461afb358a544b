"""The first question to a cluster's dashboard, which tells who answers and whether a token is wanted."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

TIMEOUT_S = 10.0


def ask_version(address: str, *, token: str | None = None) -> tuple[int, str | None]:
    """The status of the answer, and the version of the Ray that gave it: None when it is no Ray, or refuses the token.

    Raises OSError when nobody answers.
    """
    url = f"{address}/api/version"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return answer.status, str(json.loads(answer.read())["ray_version"])
    except urllib.error.HTTPError as error:
        return error.code, None
    except (ValueError, KeyError, TypeError):
        return 200, None
