from __future__ import annotations

import pytest
from pydantic import Field

from raysynth.config import Config, build_config, hash_content, load_yaml, numbers_from_text, parse_overrides
from raysynth.errors import UserError


class Sample(Config):
    rate: float = Field(default=0.1, gt=0)
    name: str = "a"


def test_overrides_are_yaml_values():
    values = parse_overrides(["a=1", "b=2e-4", "c=x=y", "d=true", "e=[1, 2]", "f=", "g=1e5x"])
    assert values == {"a": 1, "b": 2e-4, "c": "x=y", "d": True, "e": [1, 2], "f": None, "g": "1e5x"}


@pytest.mark.parametrize("text", ["latent_dim", "=3", "a=[1"])
def test_bad_overrides_name_the_option(text):
    with pytest.raises(UserError, match="--set"):
        parse_overrides([text])


def test_a_bad_value_names_key_value_and_rule():
    with pytest.raises(UserError, match=r"--set rate=-1: input should be greater than 0"):
        build_config(Sample, {"rate": -1}, origin="--set")
    with pytest.raises(UserError, match=r"unknown key; did you mean rate\? \(known: name, rate\)"):
        build_config(Sample, {"rat": 1}, origin="--set")


def test_texts_that_mean_numbers_are_numbers():
    assert numbers_from_text({"a": ["1e-4", "e4", "5"]}) == {"a": [1e-4, "e4", "5"]}


def test_yaml_never_makes_objects(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("!!python/object/apply:os.system ['true']")
    with pytest.raises(UserError, match="malformed YAML at line 1"):
        load_yaml(file, "FILE")


def test_a_hash_ignores_the_order_of_keys():
    assert hash_content({"a": 1, "b": [2]}) == hash_content({"b": [2], "a": 1})
    assert hash_content({"a": 1}) != hash_content({"a": 2})
