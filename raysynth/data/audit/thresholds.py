"""What counts as a copy: every threshold of the audit."""

from __future__ import annotations

from dataclasses import dataclass

from raysynth.errors import UserError


@dataclass(frozen=True)
class Thresholds:
    """What counts as a copy, and what as a group of copies.

    `score`: least correlation of local contrast after alignment. `inverted_score`: the same for inverted copies.
    `similarity`: least cosine similarity of whitened embeddings for a pair to be looked at. `num_neighbours`: how
    many neighbours an image asks for in each of its orientations. `group_density`: least share of a large group's pairs
    that are copies, under which it is a chain and is cut (see `groups`).
    """

    score: float = 0.85
    inverted_score: float = 0.9
    similarity: float = 0.6
    num_neighbours: int = 5
    group_density: float = 0.1

    def check(self) -> None:
        """Raises UserError, naming the option, for a value that makes no sense."""
        for option, value in (
            ("--score", self.score),
            ("--inverted-score", self.inverted_score),
            ("--similarity", self.similarity),
            ("--group-density", self.group_density),
        ):
            if not 0.0 < value <= 1.0:
                raise UserError(f"{option} {value}: want a number above 0 and at most 1")
        if self.num_neighbours < 1:
            raise UserError(f"--neighbours {self.num_neighbours}: want a whole number of at least 1")
