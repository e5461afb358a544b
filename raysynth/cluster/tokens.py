"""The token by which a Ray cluster knows its users: whoever has it can run anything there.

Ray takes it from RAY_AUTH_TOKEN, from the file that RAY_AUTH_TOKEN_PATH names, or from ~/.ray/auth_token.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from raysynth.errors import UserError

REMEDY = "copy the head's ~/.ray/auth_token here (chmod 600), or set RAY_AUTH_TOKEN"


def token_file() -> Path:
    """Where the token is kept that no variable gives."""
    return Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")


def find_token() -> str | None:
    """This user's token; None: there is none.

    Raises UserError for a file that is there and cannot be read.
    """
    if token := os.environ.get("RAY_AUTH_TOKEN"):
        return token.strip()
    file = token_file()
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: the token cannot be read ({error}); {REMEDY}") from error


def is_readable_by_others(file: Path) -> bool:
    """Whether somebody else on this machine can read a token's file."""
    return file.is_file() and bool(file.stat().st_mode & 0o077)


def ensure_token() -> None:
    """Make a token where there is none, before a Ray begins here, and let nobody else read its file.

    Ray makes one itself, which everyone on the machine can read.
    """
    if os.environ.get("RAY_AUTH_MODE", "token").lower() != "token" or os.environ.get("RAY_AUTH_TOKEN"):
        return
    file = token_file()
    try:
        if find_token() is None:
            _write_new(file)
        elif is_readable_by_others(file) and file.stat().st_uid == os.getuid():
            file.chmod(0o600)
    except OSError:  # a home that cannot be written to: for this process and those that it starts
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def _write_new(file: Path) -> None:
    """Write a new token, unless another process does so first: then that one counts for both."""
    file.parent.mkdir(parents=True, exist_ok=True)
    written = file.with_name(f"{file.name}.{os.getpid()}")
    with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(secrets.token_hex(32))
    try:
        if file.is_file():  # an empty one
            written.replace(file)
        else:
            os.link(written, file)
    except FileExistsError:
        return
    finally:
        written.unlink(missing_ok=True)
