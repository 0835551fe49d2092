"""`sightline completion`: print or install shell completion."""

import os
from pathlib import Path

import click

EPILOG = """\b
Examples:
  sightline completion bash --install
  sightline completion fish > ~/.config/fish/completions/sightline.fish
  eval "$(sightline completion zsh)"
"""


@click.command("completion", epilog=EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.option("--install", is_flag=True, help="Write it where the shell looks, instead of printing it.")
@click.pass_context
def command(ctx: click.Context, shell: str, install: bool) -> None:
    """Print or install shell completion."""
    from click.shell_completion import get_completion_class

    make = get_completion_class(shell)
    assert make is not None
    script = make(ctx.find_root().command, {}, "sightline", "_SIGHTLINE_COMPLETE").source()
    if not install:
        click.echo(script)
        return
    path, remark = _place(shell, Path.home())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script + "\n", encoding="utf-8")
    click.echo(f"wrote {path}; {remark}", err=True)


def _place(shell: str, home: Path) -> tuple[Path, str]:
    """Give where a shell looks for completions, and what remains to be done."""
    if shell == "fish":
        config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
        return config / "fish/completions/sightline.fish", "new shells have it"
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share")
    if shell == "bash":
        return (
            data / "bash-completion/completions/sightline",
            "new shells have it where the package bash-completion is installed",
        )
    folder = data / "zsh/site-functions"
    return folder / "_sightline", f"put this line before compinit in .zshrc: fpath+=({folder})"
