"""Search spaces: YAML files that name a family, fixed values and what to vary; and the trials they stand for."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from raysynth.config import Config, build_config, load_yaml, numbers_from_text, suggest
from raysynth.errors import UserError
from raysynth.models.registry import family_names, get_family

# In a checkout the spaces stand beside the package, in a wheel within it.
FOLDERS = [folder / "search_spaces" for folder in (Path(__file__).parents[1], Path(__file__).parents[2])]


class Asha(Config):
    """Asynchronous successive halving (Li et al. 2020), in epochs."""

    grace_period: int = Field(default=10, gt=0)
    reduction_factor: float = Field(default=3, gt=1)


class Resources(Config):
    """What one trial is given; None: cores (or GPUs) divided by the trials that run at once."""

    cpu: float | None = Field(default=None, gt=0)
    gpu: float | None = Field(default=None, ge=0)


class Domain(Config):
    """How one key varies: exactly one of the kinds."""

    grid: list[Any] | None = Field(default=None, min_length=1)
    choice: list[Any] | None = Field(default=None, min_length=1)
    uniform: tuple[float, float] | None = None
    loguniform: tuple[float, float] | None = None
    randint: tuple[int, int] | None = None

    @model_validator(mode="after")
    def check(self) -> Domain:
        given = [kind for kind in type(self).model_fields if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"want one of {', '.join(type(self).model_fields)}, got {', '.join(given) or 'none'}")
        for kind in ("uniform", "loguniform", "randint"):
            bounds = getattr(self, kind)
            if bounds is not None and not bounds[0] < bounds[1]:
                raise ValueError(f"{kind}: the lower bound {bounds[0]} is not below the upper bound {bounds[1]}")
        if self.loguniform is not None and self.loguniform[0] <= 0:
            raise ValueError(f"loguniform: the lower bound {self.loguniform[0]} is not positive")
        return self

    def draw(self, rng: np.random.Generator) -> Any:
        """One value of a domain that is no grid. `randint` includes the lower bound and not the upper one."""
        if self.choice is not None:
            return self.choice[int(rng.integers(len(self.choice)))]
        if self.uniform is not None:
            return float(rng.uniform(*self.uniform))
        if self.loguniform is not None:
            return float(math.exp(rng.uniform(math.log(self.loguniform[0]), math.log(self.loguniform[1]))))
        assert self.randint is not None
        return int(rng.integers(*self.randint))


class SearchSpace(Config):
    """A search space; `num_samples` repeats the grid, drawing the other domains anew each time."""

    family: str
    epochs: int = Field(default=100, gt=0)
    metric: str = "frechet"
    mode: Literal["min", "max"] = "min"
    fixed: dict[str, Any] = Field(default_factory=dict)
    space: dict[str, Domain] = Field(default_factory=dict)
    asha: Asha | None = None
    resources: Resources = Resources()
    num_samples: int = Field(default=1, gt=0)

    def trials(self) -> list[dict[str, Any]]:
        """The values of the varied keys for each trial, the same list each time."""
        rng = np.random.default_rng(0)
        # Repeats of a grid with nothing drawn would be the same training again: they differ by their seed.
        drawn = any(domain.grid is None for domain in self.space.values())
        by_seed = self.num_samples > 1 and not drawn and "seed" not in {*self.fixed, *self.space}
        grids = {key: domain.grid for key, domain in self.space.items() if domain.grid is not None}
        trials = []
        for sample in range(self.num_samples):
            for combination in itertools.product(*grids.values()):
                chosen = dict(zip(grids, combination, strict=True))
                trial = {k: chosen[k] if k in chosen else domain.draw(rng) for k, domain in self.space.items()}
                trials.append(trial | ({"seed": sample} if by_seed else {}))
        return trials


def space_names() -> list[str]:
    """Names of the shipped search spaces."""
    return sorted({file.stem for folder in FOLDERS for file in folder.glob("*.yaml")})


def load_space(name_or_path: str, overrides: Mapping[str, Any] | None = None) -> SearchSpace:
    """A shipped space by name, or a user's own by path, with `overrides` (`--set`) fixed on top.

    Raises UserError for an unknown name, malformed YAML, an unknown key, or a value that the family refuses.
    """
    path = _find(name_or_path)
    origin = f"SPACE {path.name if path.parent in FOLDERS else path}:"
    content = numbers_from_text(load_yaml(path, "SPACE"))
    if not isinstance(content, dict):
        raise UserError(f"{origin} want a mapping with `family` and `space`, got {type(content).__name__}")
    for key in ("fixed", "space", "asha", "resources"):
        if key in content and not isinstance(content[key], dict):
            raise UserError(f"{origin} {key}: want a mapping, got {content[key]!r}")
    if "family" not in content:
        raise UserError(f"{origin} family: missing; want one of {', '.join(family_names())}")
    for part, config_class in (("asha", Asha), ("resources", Resources)):
        if part in content:
            build_config(config_class, content[part], origin=f"{origin} {part}")  # for messages that name the part
    domains = {}
    for key, domain in content.get("space", {}).items():
        if not isinstance(domain, dict):
            raise UserError(f"{origin} space {key}: want a kind such as {{grid: [...]}}, got {domain!r}")
        domains[key] = build_config(Domain, domain, origin=f"{origin} space {key}")
    space = build_config(SearchSpace, {**content, "space": domains}, origin=origin)
    fixed = {**space.fixed, **(overrides or {})}
    varied = {key: domain for key, domain in space.space.items() if key not in (overrides or {})}
    space = space.model_copy(update={"fixed": fixed, "space": varied})
    _check_configs(space, origin, set(overrides or {}))
    return space


def _check_configs(space: SearchSpace, origin: str, overridden: set[str]) -> None:
    family = get_family(space.family, f"{origin} family")
    if space.metric not in family.metrics:
        raise UserError(
            f"{origin} metric {space.metric}: not measured by {space.family}{suggest(space.metric, family.metrics)}"
        )
    for key in space.fixed:
        where = "--set" if key in overridden else f"{origin} fixed"
        build_config(family.Config, {key: space.fixed[key]}, origin=where)
    for trial in space.trials():
        build_config(family.Config, {**space.fixed, **trial}, origin=f"{origin} space")
    for key in set(space.fixed) & set(space.space):
        raise UserError(f"{origin} {key}: stands in both `fixed` and `space`; remove one")


def _find(name_or_path: str) -> Path:
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise UserError(f"SPACE {name_or_path}: no such file; shipped spaces: {', '.join(space_names())}")
        return path
    for folder in FOLDERS:
        if (folder / f"{name_or_path}.yaml").is_file():
            return folder / f"{name_or_path}.yaml"
    raise UserError(
        f"SPACE {name_or_path}: unknown search space{suggest(name_or_path, space_names())}, or a .yaml file"
    )
