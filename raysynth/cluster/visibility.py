"""Do all nodes of the running Ray see the folders and buckets that a verb reads from and writes to?

A path means something on one machine. It is tried, for neither a mount table nor a path's name tells: a small task on
each node reads what this process has written.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from raysynth.data.buckets import BucketPath
from raysynth.data.locations import Location, locate
from raysynth.errors import UserError

TIMEOUT_S = 60.0  # for a node to start a process and answer
REMEDY = "keep it where every node sees it: --storage s3://BUCKET/FOLDER, or a folder on NFS"


@dataclass(frozen=True)
class BlindNode:
    """A node, by its address, that cannot use the `place` that `option` names, and why: "does not see it"."""

    node: str
    option: str
    place: str
    reason: str


def refuse_invisible(reads: Mapping[str, Location | str], writes: Mapping[str, Location | str]) -> None:
    """Raise UserError, naming the option, the node and the remedy, where Ray has more than one node and one of them
    cannot read `reads` (option -> a data set or file) or write to `writes` (option -> folder). Ray must be running."""
    if len(alive_nodes()) < 2:
        return
    for blind in find_blind_nodes(reads, writes):
        raise UserError(f"{blind.option} {blind.place}: node {blind.node} {blind.reason}; {REMEDY}")


def find_blind_nodes(
    reads: Mapping[str, Location | str], writes: Mapping[str, Location | str], *, timeout_s: float = TIMEOUT_S
) -> list[BlindNode]:
    """Every node of the running Ray, this one too, that cannot use one of the places; see `refuse_invisible`.

    Raises UserError when this process itself cannot write to one of `writes`.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    look = ray.remote(num_cpus=0, max_retries=0)(_look)
    to_read = {option: str(_absolute(place)) for option, place in reads.items()}
    with _tokens(writes) as tokens:
        answers = {
            look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False)).remote(
                to_read, tokens
            ): address
            for node_id, address in alive_nodes().items()
        }
        found = []
        came, late = ray.wait(list(answers), num_returns=len(answers), timeout=timeout_s)
        for answer in came:
            found += [BlindNode(answers[answer], *problem) for problem in ray.get(answer)]
        places = {**to_read, **{option: str(place) for option, place in writes.items()}}
        silent = [BlindNode(answers[answer], *item, f"gave no answer in {timeout_s:.0f} s")
                  for answer in late for item in places.items()]  # fmt: skip
        for answer in late:
            ray.cancel(answer)
        return found + silent


def look_here(writes: Mapping[str, Location | str]) -> list[BlindNode]:
    """The same of this process alone, without Ray."""
    with _tokens(writes) as tokens:
        return [BlindNode("here", *problem) for problem in _look({}, tokens)]


def alive_nodes() -> dict[str, str]:
    """Id -> address of the nodes of the running Ray."""
    import ray

    return {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}


@contextmanager
def _tokens(writes: Mapping[str, Location | str]) -> Iterator[dict[str, tuple[str, str, str]]]:
    """While the block runs there is a file that no other folder has in each place, or in the nearest folder above it
    that exists: option -> (place, file, its text)."""
    tokens: dict[str, tuple[str, str, str]] = {}
    try:
        for option, place in writes.items():
            folder = _absolute(place)
            if not isinstance(folder, BucketPath):
                folder = next(above for above in (folder, *folder.parents) if above.is_dir())
            text = secrets.token_hex(8)
            file = folder / f".raysynth-visible-{text}"
            try:
                file.write_text(text, encoding="utf-8")
            except OSError as error:
                raise UserError(f"{option} {place}: cannot be written ({error.strerror}); choose another") from error
            tokens[option] = (str(place), str(file), text)
        yield tokens
    finally:
        for _, file_name, _ in tokens.values():
            locate(file_name).unlink()


def _absolute(place: Location | str) -> Location:
    location = locate(place)
    return location if isinstance(location, BucketPath) else location.absolute()


def _look(reads: Mapping[str, str], tokens: Mapping[str, tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """What the node that this runs on cannot use: (option, place, reason)."""
    problems = []
    for option, place in reads.items():
        try:
            reason = "" if locate(place).exists() else "does not see it"
        except (OSError, UserError) as error:
            reason = f"cannot read it ({error})"
        problems.append((option, place, reason))
    for option, (place, name, text) in tokens.items():
        file = locate(name)
        try:
            reason = "" if file.read_text(encoding="utf-8") == text else "sees another folder of that name"
            if not reason:
                own = file.parent / f"{file.name}-{secrets.token_hex(4)}"
                own.write_text(text, encoding="utf-8")
                own.unlink()
        except FileNotFoundError:
            reason = "does not see it"
        except (OSError, UserError) as error:
            reason = f"cannot write to it ({error})"
        problems.append((option, place, reason))
    return [problem for problem in problems if problem[2]]
