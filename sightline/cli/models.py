"""`sightline models`: which encoders can be used."""

import click

EPILOG = """\b
Examples:
  sightline models
  sightline models --all | grep -i siglip2
  sightline models --json | jq -r 'select(.cached) | .name'
  sightline index ~/Pictures --model ViT-B-32-256/datacomp_s34b_b86k
  sightline index ~/Pictures --model ViT-B-32@fine-tuned.pt
"""


@click.command("models", epilog=EPILOG)
@click.option("--all", "every", is_flag=True, help="Also list all weights that open_clip knows of (slow).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(every: bool, as_json: bool) -> None:
    """List the models that can be used.

    Well-known ones and what this computer has, or with --all everything that open_clip knows of. The
    accuracy is what open_clip published: zero-shot ImageNet-1k, and text-to-image recall@5 on COCO.
    """
    from indexer.encoders.loading import available_models

    from .. import show

    entries = available_models(every=every)
    if as_json:
        from dataclasses import asdict

        show.json_lines(asdict(entry) for entry in entries)
    else:
        show.models(entries)
