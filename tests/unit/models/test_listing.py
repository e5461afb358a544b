"""The list of families and of their options, and how `raysynth models` prints it."""

from __future__ import annotations

import json
from typing import Literal

import pytest
from pydantic import Field

from raysynth.cli.main import run
from raysynth.config import Config
from raysynth.errors import UserError
from raysynth.models.listing import describe_type, models
from raysynth.models.registry import family_names, get_family


class Example(Config):
    count: int = Field(default=3, gt=0, le=8)
    share: float = Field(default=0.5, ge=0, lt=1)
    kind: Literal["a", "b"] = "a"
    seed: int | None = Field(default=None, ge=0)
    widths: tuple[int, ...] = (1, 2)
    name: str = ""
    flag: bool = False
    only: Literal["one"] = "one"


def test_types_choices_and_bounds_are_in_words():
    properties = Example.model_json_schema()["properties"]
    assert {key: describe_type(content, {}) for key, content in properties.items()} == {
        "count": "int > 0, <= 8",
        "share": "float >= 0, < 1",
        "kind": "a | b",
        "seed": "int >= 0 | none",
        "widths": "list of int",
        "name": "text",
        "flag": "bool",
        "only": "one",
    }


def test_every_family_is_listed_in_one_line():
    listings = models()
    assert [listing.family for listing in listings] == family_names()
    for listing in listings:
        assert listing.summary
        assert "\n" not in listing.summary
        assert listing.metrics[0] == "frechet"


@pytest.mark.parametrize("name", family_names())
def test_every_option_is_explained_with_its_default(name):
    (listing,) = models(name)
    config = get_family(name).Config()
    assert [option.key for option in listing.options] == list(type(config).model_fields)
    for option in listing.options:
        assert option.description, option.key
        assert option.type != "any", option.key
        default = getattr(config, option.key)
        assert option.default == (list(default) if isinstance(default, tuple) else default)


def test_an_unknown_family_is_answered_with_the_nearest():
    with pytest.raises(UserError, match="FAMILY wcgan_pg: unknown family; did you mean wcgan_gp"):
        models("wcgan_pg")


def test_the_verb_prints_lines_and_json(capsys):
    assert run(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[: len(family_names())]] == family_names()
    assert run(["models", "wcgan_gp"]) == 0
    printed = capsys.readouterr().out
    assert "transposed | upsample" in printed
    assert "float >= 0, < 1" in printed
    assert run(["models", "--json"]) == 0
    assert [listing["family"] for listing in json.loads(capsys.readouterr().out)] == family_names()
    assert run(["models", "wcgan_gp", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert {"key": "seed", "type": "int >= 0", "default": 0, "description": "seed of everything random"} in content[
        "options"
    ]


def test_it_does_without_ray():
    import subprocess
    import sys

    code = "import sys; from raysynth.cli.main import run; run(['models', 'wcgan_gp']); print('ray' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.split()[-1] == "False"
