"""`sightline verify`: is the library whole."""

from pathlib import Path

import click

from .options import library_option, library_path

EPILOG = """\b
Examples:
  sightline verify
  sightline verify --check --deep --library ~/Pictures

\b
Exit codes: 0 the library is sound, or was repaired   1 problems are left   3 it cannot be read
  4 another process is writing, and there is something to repair
"""


@click.command("verify", epilog=EPILOG)
@click.option("--check", is_flag=True, help="Repair nothing, only tell.")
@click.option("--deep", is_flag=True, help="Read every image again and compare it with its hash.")
@library_option
@click.pass_context
def command(ctx: click.Context, check: bool, deep: bool, library: Path | None) -> None:
    """Check the library, and repair what can be derived."""
    place = library_path(library)

    from indexer.store.verify import verify, verify_and_repair

    from ..names import printable
    from ..progress import task

    with task() as update:
        checked = verify if check else verify_and_repair
        report = checked(place, deep=deep, progress=lambda done, of: update("looking at files", done, of))
    for line in report.lines():
        click.echo(printable(line))
    if not report.sound:
        hint = "; put right what can be with: sightline verify" if check else ""
        click.echo(f"sightline: the library has problems{hint}", err=True)
        ctx.exit(1)
