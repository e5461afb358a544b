"""The command line: `raysynth VERB ...`. It parses, calls the function of the same name and prints; nothing more."""

from __future__ import annotations

import errno
import os
import sys
import traceback
import warnings

import typer

from raysynth.cli import clean, cluster, data, doctor, evaluate, jobs, models, study, training
from raysynth.cli.elsewhere import elsewhere
from raysynth.cluster.session import prepare_environment
from raysynth.errors import Interrupted, TrainingStopped, UserError
from raysynth.interruption import terminate_as_interrupt

# Nobody's mistake and no fault of the program's: a disk is full, or storage has gone away.
STORAGE_TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EROFS)

app = typer.Typer(
    name="raysynth",
    help="Do synthetic images help my classifier, by how much, and how sure can I be?",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
app.command("demo")(study.demo_verb)
app.add_typer(data.app, name="data")
app.command("models")(models.models_verb)
app.command("train")(elsewhere(training.train_verb))
app.command("tune")(elsewhere(training.tune_verb))
app.command("generate")(elsewhere(training.generate_verb))
app.command("evaluate")(elsewhere(evaluate.evaluate_verb))
app.command("report")(evaluate.report_verb)
app.add_typer(cluster.app, name="cluster")
app.command("clean")(clean.clean_verb)
app.command("study")(elsewhere(study.study_verb))
app.add_typer(jobs.app, name="jobs")
app.command("doctor")(elsewhere(doctor.doctor_verb))


@app.callback(invoke_without_command=True)
def top(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    """Do synthetic images help my classifier, by how much, and how sure can I be?"""
    if version:
        from raysynth import __version__

        typer.echo(__version__)
        raise typer.Exit


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0, 1 (our fault, or a training that cannot go on) or 2 (the user's mistake)."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line in this process and return its exit status."""
    prepare_environment()  # before torch and ray are imported
    os.environ.setdefault("PYTHONWARNINGS", "ignore")  # in Ray's processes: a library's warning is no answer to a user
    warnings.simplefilter("ignore")
    try:
        with terminate_as_interrupt():
            status = app(args=arguments, standalone_mode=False)
        return status if isinstance(status, int) else 0
    except UserError as error:
        return _end(str(error), 2)
    except Interrupted as error:
        return _end(str(error), 130)
    except typer.Exit as end:
        return end.exit_code if end.exit_code != 130 else _end("stopped", 130)
    except (typer.Abort, KeyboardInterrupt):
        return _end("stopped", 130)
    except TrainingStopped as error:
        return _end(str(error), 1)
    except Exception as error:
        # Typer brings its own copy of click, whose usage errors share no public base with this Typer's versions.
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):
            return _end(f"{' '.join(error.format_message().split())}; see {_help_command(error)}", 2)
        if isinstance(error, OSError) and error.errno in STORAGE_TROUBLE:
            where = f"{error.filename}: " if error.filename else ""
            return _end(f"{where}{error.strerror}; free or mend the storage, then go on with --resume", 1)
        traceback.print_exc()
        return _end(f"internal error: {type(error).__name__}: {error}", 1)


def _end(message: str, status: int) -> int:
    typer.secho(f"raysynth: {message}", err=True, fg=typer.colors.RED if status != 130 else None)
    return status


def _help_command(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path} --help" if context is not None else "raysynth --help"
