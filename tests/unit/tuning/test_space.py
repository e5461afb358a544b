"""Search spaces: every shipped one is valid, every mistake is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from raysynth.errors import UserError
from raysynth.models.registry import get_family
from raysynth.tuning.space import load_space, space_names
from raysynth.tuning.sweep_folder import name_trials


@pytest.mark.parametrize("name", space_names())
def test_every_shipped_space_gives_valid_configs(name):
    space = load_space(name)
    trials = space.trials()
    assert trials
    assert trials == space.trials()
    for trial in trials:
        get_family(space.family).Config(**{**space.fixed, **trial})
    names = [trial.name for trial in name_trials(space)]
    assert len(set(names)) == len(names)
    assert all("/" not in name and " " not in name for name in names)


def test_wcgan_gp_is_the_study_grid():
    space = load_space("wcgan_gp")
    assert space.epochs == 300
    assert len(space.trials()) == 8
    assert {trial["latent_dim"] for trial in space.trials()} == {64, 128}
    assert {trial["critic"] for trial in space.trials()} == {"dropout", "batchnorm"}


def test_wgan_tries_the_study_bounds_of_the_weights():
    assert {trial["clip"] for trial in load_space("wgan").trials()} == {0.01, 0.1}


@pytest.mark.parametrize("name", ["cgan", "wgan", "wgan_gp", "wcgan_gp"])
def test_a_study_space_is_found_by_its_family_and_halted_early(name):
    space = load_space(name)
    assert space.family == name
    assert space.asha is not None


def test_a_fixed_key_leaves_the_grid():
    space = load_space("wcgan_gp", {"latent_dim": 16})
    assert len(space.trials()) == 4
    assert space.fixed["latent_dim"] == 16


def test_every_kind_is_drawn_within_its_bounds(tmp_path):
    path = write(
        tmp_path,
        """
        family: wcgan_gp
        num_samples: 50
        space:
          critic: {choice: [dropout, layernorm]}
          dropout: {uniform: [0.1, 0.5]}
          critic_learning_rate: {loguniform: [1e-5, 1e-2]}
          latent_dim: {randint: [2, 5]}
        """,
    )
    trials = load_space(str(path)).trials()
    assert len(trials) == 50
    assert {trial["critic"] for trial in trials} == {"dropout", "layernorm"}
    assert all(0.1 <= trial["dropout"] <= 0.5 for trial in trials)
    assert all(1e-5 <= trial["critic_learning_rate"] <= 1e-2 for trial in trials)
    assert {trial["latent_dim"] for trial in trials} == {2, 3, 4}
    below = sum(trial["critic_learning_rate"] < 10**-3.5 for trial in trials)
    assert 10 < below < 40  # half of the mass lies below the geometric mean


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("family: wcgan_gp\nspace: [", "malformed YAML at line"),
        ("- a", "want a mapping"),
        ("space: {}", "family: missing"),
        ("family: wcgan\nspace: {}", "unknown family; did you mean wgan"),
        ("family: wcgan_gp\nspaces: {}", "spaces: unknown key; did you mean space"),
        ("family: wcgan_gp\nspace: {latent_dim: 64}", "space latent_dim: want a kind such as"),
        ("family: wcgan_gp\nspace: {latent_dim: {gird: [64]}}", "gird: unknown key; did you mean grid"),
        ("family: wcgan_gp\nspace: {latent_dim: {grid: [64], choice: [64]}}", "want one of"),
        ("family: wcgan_gp\nspace: {latent: {grid: [64]}}", "latent: unknown key; did you mean latent_dim"),
        ("family: wcgan_gp\nspace: {latent_dim: {grid: [-1]}}", "latent_dim=-1: input should be greater than 0"),
        ("family: wcgan_gp\nspace: {dropout: {uniform: [0.5, 0.1]}}", "the lower bound 0.5 is not below"),
        ("family: wcgan_gp\nspace: {dropout: {loguniform: [0, 0.1]}}", "is not positive"),
        ("family: wcgan_gp\nasha: {grace_perod: 3}", "asha grace_perod: unknown key; did you mean grace_period"),
        ("family: wcgan_gp\nmetric: frechett", "metric frechett: not measured by wcgan_gp; did you mean frechet"),
        ("family: wcgan_gp\nepochs: many", "epochs='many'"),
        ("family: wcgan_gp\nfixed: {width: 8}\nspace: {width: {grid: [8]}}", "both `fixed` and `space`"),
    ],
)
def test_mistakes_are_named(tmp_path, text, message):
    path = tmp_path / "space.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        load_space(str(path))
    assert message in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_repeats_of_a_grid_differ_by_their_seed(tmp_path):
    path = write(tmp_path, "family: wcgan_gp\nnum_samples: 3\nspace: {latent_dim: {grid: [4, 8]}}")
    assert [trial["seed"] for trial in load_space(str(path)).trials()] == [0, 0, 1, 1, 2, 2]
    assert all("seed" not in trial for trial in load_space(str(path), {"seed": 5}).trials())


def test_an_unknown_space_names_the_shipped_ones(tmp_path):
    with pytest.raises(UserError, match="did you mean wcgan_gp"):
        load_space("wcgan_pg")
    with pytest.raises(UserError, match="no such file"):
        load_space(str(tmp_path / "missing.yaml"))


def write(folder: Path, text: str) -> Path:
    path = folder / "space.yaml"
    path.write_text(text)
    return path
