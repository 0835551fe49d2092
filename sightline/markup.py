"""Markup: the pieces that every page is made of."""

import base64
import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from io import BytesIO
from pathlib import Path

from PIL import Image

from .names import printable

MISSING = '<div class="missing">cannot be read</div>'


def filled(template: str, **parts: str) -> str:
    """Fill a template in one pass, so that nothing inside a part is taken for a place to fill."""
    parts["head"] = _own_file("head.html")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _own_file(template))


def _own_file(name: str) -> str:
    return files("sightline").joinpath(name).read_text(encoding="utf-8")


def shown(text: str | Path) -> str:
    """Write a name or any text from outside so that it can be no markup and hides nothing."""
    return escape(printable(text))


def link(path: Path) -> str:
    """Link to a file by its path, the name set apart from the folder."""
    whole = shown(path)
    name = shown(path.name)
    folder = whole.removesuffix(name)
    return f'<a class="path" href="{escape(path.as_uri())}"><span>{folder}</span><b>{name}</b></a>'


def meter(share: float, label: str, *, strong: bool) -> str:
    """Draw a share of one as a bar."""
    kind = "bar strong" if strong else "bar"
    value = f'aria-valuemin="0" aria-valuemax="1" aria-valuenow="{share:.2f}"'
    return (
        f'<span class="{kind}" style="--share: {share:.1%}" role="meter" aria-label="{escape(label)}" '
        f"{value}></span>"
    )


def data_uri(image: Image.Image) -> str:
    """Give an image as an address that holds it."""
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=82, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Make a table of cells that are markup already."""
    titles = "".join(f'<th scope="col">{title}</th>' for title in head)
    body = "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>\n{body}\n</tbody></table>"


def unfolding(summary: str, items: Iterable[str]) -> str:
    """Make a list that opens under a line of summary."""
    listed = "\n".join(f"<li>{item}</li>" for item in items)
    return f"<details><summary>{summary}</summary><ul>\n{listed}\n</ul></details>"
