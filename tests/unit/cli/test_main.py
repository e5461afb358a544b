"""The command line as a user meets it: quick, one line for a mistake, every option explained."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer.main

from raysynth.cli.main import app, run


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "wcgan"],
        ["train", "wcgan_gp", "--set", "latent=3"],
        ["train", "wcgan_gp", "--epochs", "many"],
        ["train", "wcgan_gp", "--data", "nowhere"],
        ["train", "--resume", "nowhere"],
        ["tune", "nothing"],
        ["tune", "wcgan_gp", "--data", "nowhere"],
        ["tune", "--resume", "nowhere"],
        ["generate", "nowhere", "--out", "x"],
        ["generate"],
        ["evaluate", "--real", "nowhere", "--synthetic", "nowhere"],
        ["report", "nowhere"],
        ["study"],
        ["study", "--resume", "nowhere"],
        ["data", "import", "nowhere", "--out", "x"],
        ["data", "show", "nowhere"],
        ["demo", "--out", "s3://bucket/demo"],
        ["train", "wcgan_gp", "--storage", "ftp://server"],
        ["train", "wcgan_gp", "--data", "s3://"],
        ["cluster", "kuberay", "--space", "wcgan_gp", "--image", "x", "--data", "brain", "--out", "s3://lab/sweeps"],
        ["nonsense"],
        ["train", "--nonsense"],
    ],
)
def test_a_mistake_is_one_line_and_status_2(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("raysynth: ")
    assert captured.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_version_and_help(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.strip() == "0.1.0"
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    for verb in ("demo", "data", "train", "tune", "generate", "evaluate", "report", "study"):
        assert f"\n  {verb} " in shown


def commands():
    group = typer.main.get_command(app)
    for name, command in group.commands.items():
        for child_name, child in getattr(command, "commands", {}).items():
            yield f"{name} {child_name}", child
        if not hasattr(command, "commands"):
            yield name, command


@pytest.mark.parametrize(("name", "command"), list(commands()))
def test_every_option_says_what_it_is_and_its_default(name, command):
    assert command.help
    for parameter in command.params:
        if parameter.param_type_name == "option" and parameter.name != "help":
            assert parameter.help, f"{name} {parameter.name}"
            if parameter.default is None and not parameter.required:  # else the command line shows it by itself
                assert "Default: " in parameter.help, f"{name} --{parameter.name}"


def test_help_imports_nothing_heavy():
    code = "import sys; from raysynth.cli.main import run; run(['--help']); print(sorted(sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for module in ("torch", "ray", "pandas", "numpy", "matplotlib", "pyarrow"):
        assert f"'{module}'" not in output


def test_models_import_torch_and_never_ray():
    code = (
        "import sys, pkgutil, importlib, raysynth.models as m\n"
        "for x in pkgutil.iter_modules(m.__path__): importlib.import_module('raysynth.models.' + x.name)\n"
        "print('torch' in sys.modules, 'ray' in sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.split() == ["True", "False"]


def test_generate_hands_on_how_samples_are_drawn(tiny_run, tmp_path, capsys):
    assert run(["generate", str(tiny_run), "--out", str(tmp_path / "made"), "--set", "guidance=2"]) != 0
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "--set guidance: not an option of how this wcgan_gp is sampled" in line
    assert not (tmp_path / "made").exists()
