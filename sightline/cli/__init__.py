"""The command line: one file per command, loaded when it is called."""

import atexit
import io
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, TextIO

import click

from indexer.errors import SightlineError, of_system

from ..names import printable

# name -> the first line of its help, so that listing the commands loads none of them
COMMANDS = {
    "index": "Bring a library up to date with folders of images.",
    "search": "Find images by words, by example, or by both.",
    "highlight": "Show where in a photo the words match.",
    "duplicates": "Find copies of images; nothing is touched without --apply.",
    "dedup-list": "List what to keep of a collection, one file of each group of copies.",
    "leaks": "Find what of a test set is in the training set, exactly or nearly.",
    "train": "Fine-tune a model on images with texts, and say whether it helped.",
    "eval": "Measure models on pairs of images and texts, side by side.",
    "status": "Show what the library holds.",
    "verify": "Check the library, and repair what can be derived.",
    "not-duplicates": "Remember that pictures which look alike are no copies of one another.",
    "undo": "Put back what a run of actions took away.",
    "forget": "Take files or folders out of the library; the images themselves stay.",
    "models": "List the models that can be used.",
    "completion": "Print or install shell completion.",
}

EPILOG = """\b
Examples:
  sightline index ~/Pictures
  cd ~/Pictures
  sightline search a dog on the beach
  sightline search ./cat.jpg + snow --without people
  mkdir -p /tmp/sunsets; sightline search sunset --paths -0 | xargs -0r cp -t /tmp/sunsets

\b
Which library: --library PATH, else SIGHTLINE_LIBRARY, else the nearest .sightline
folder at or above the current folder. `index FOLDER` without these two takes the one at or
above FOLDER, else that of the current folder if it covers FOLDER, else makes one in FOLDER.

\b
Exit codes: 0 done (also when a search finds nothing)   1 failed, or problems left
  2 the request is off   3 the library does not allow it   4 another process is writing
  5 the model cannot be had or run   6 the disk is full   7 the training cannot go on
  11 duplicates or leaks found   70 a bug in sightline   130 stopped by Ctrl-C
  141 the reader of our output went away
"""


ENCODING_THREAD = "encode"  # as search/encoding.py names it; importing that would cost every command
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class _Failure(click.ClickException):
    """A known error on its way out: one line, and the exit code of its family."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click means it for each class; ours has many

    def show(self, file: Any = None) -> None:
        # Indented, so that a line break in a file's name cannot begin what looks like another error.
        message = _shown(self.format_message()).replace("\n", "\n  ")
        click.echo(f"sightline: {message}", file=file or sys.stderr)


class LazyGroup(click.Group):
    """Commands that are imported when called, and errors told in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the commands in the order a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f".{cmd_name.replace('-', '_')}", __name__).command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called; name what a misspelt one may have meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if args[0] not in COMMANDS and not args[0].startswith("-"):
                error.message += _nearest_commands(args[0])  # type: ignore[misc]  # as in _clean_messages
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; turn what can go wrong into one line and an exit code."""
        try:
            with _clean_messages():
                result = super().invoke(ctx)
            sys.stdout.flush()
        except SightlineError as error:
            if _debugging(ctx):
                raise
            raise _failure(error) from error
        except BrokenPipeError:
            _drop_stdout()
            ctx.exit(141)
        except KeyboardInterrupt:
            click.echo("sightline: stopped", err=True)
            ctx.exit(130)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except OSError as error:
            if _debugging(ctx):
                raise
            raise _failure(of_system(error)) from error
        except Exception as error:
            if _debugging(ctx):
                raise
            raise _Failure(_bug_report(error), 70) from error
        return result


def _nearest_commands(written: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(written, COMMANDS, n=2)
    return f" Did you mean {' or '.join(near)}?" if near else ""


@contextmanager
def _clean_messages() -> Iterator[None]:
    """Take out of click's messages what could steer a terminal: they quote what was typed."""
    try:
        yield
    except click.ClickException as error:
        error.message = _shown(error.message)  # type: ignore[misc]  # final, and its message all the same
        raise


def _shown(message: str) -> str:
    return "\n".join(map(printable, message.split("\n")))


def _debugging(ctx: click.Context) -> bool:
    return bool(ctx.params.get("debug")) or os.environ.get("SIGHTLINE_DEBUG", "") not in ("", "0")


def _drop_stdout() -> None:
    """Send what is still buffered nowhere, or Python would complain about it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _failure(error: SightlineError) -> _Failure:
    return _Failure(str(error), error.exit_code)


def _bug_report(error: Exception) -> str:
    return (
        f"a bug in sightline, sorry: {type(error).__name__}: {error}. Please report it with the output of "
        "the same command under SIGHTLINE_DEBUG=1"
    )


@click.command(cls=LazyGroup, epilog=EPILOG, context_settings=SETTINGS)
@click.version_option(package_name="sightline", prog_name="sightline")
@click.option("--debug", is_flag=True, help="Show the traceback of an error (also: SIGHTLINE_DEBUG=1).")
def cli(debug: bool) -> None:
    """Find images by words or by example, offline.

    Index a folder once, then search it; `sightline COMMAND --help` shows examples.
    """


def main() -> None:
    """Run the command line."""
    _mend_streams()
    try:
        cli(prog_name="sightline")
    except SystemExit as end:
        _leave(end)
    except OSError as error:  # of help, which is printed before any command begins
        failure = _failure(of_system(error))
        with suppress(OSError):
            failure.show()
        _leave(SystemExit(failure.exit_code))


def _mend_streams() -> None:
    """Make stdout and stderr take whatever is written to them.

    Python gives None for one that is closed, and a shell's `2>&-` closes it. The encoding of stdout may lack
    letters of a file's name.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, _nowhere())
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _nowhere() -> TextIO:
    stream = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  (until the process ends)
    # It got the number of the closed stream, which in a worker would else go to the next file opened there.
    os.set_inheritable(stream.fileno(), True)
    return stream


def _leave(end: SystemExit) -> NoReturn:
    """End the process without Python's clearing up of every module, which takes 0.1 s after a search.

    All that was to be kept is written by now. While a model is still being loaded the clearing up would take
    the interpreter away from under the loading thread, which ends in an abort and a core dump instead of
    our line and exit code; then not even the exit functions of libraries run.
    """
    if not any(thread.name == ENCODING_THREAD for thread in threading.enumerate()):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(end.code if isinstance(end.code, int) else 0 if end.code is None else 1)
