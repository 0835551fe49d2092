"""The command `sightline`, which `python -m sightline` is too."""

from .stopping import stopped_at_once


def main() -> None:
    """Run the command line."""
    with stopped_at_once():
        from .cli import main as run
    run()


if __name__ == "__main__":
    main()
