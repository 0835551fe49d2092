"""The page: an answer as one HTML file that holds its own images and needs no network."""

import base64
import re
from html import escape
from importlib.resources import files
from io import BytesIO

from PIL import Image

from search.rank import RELEVANCE_MIN
from search.results import Hit, SearchAnswer

from .names import file_size, plural, printable
from .thumbnails import thumbnails

THUMBNAIL_SIDE = 640  # pixels: sharp in the grid, fair when enlarged, about 60 kB each
ROW_HEIGHT = 230  # pixels


def page(answer: SearchAnswer) -> str:
    """Write the answer as HTML."""
    images = thumbnails([hit.path for hit in answer], THUMBNAIL_SIDE)
    figures = [
        _figure(rank, hit, image) for rank, (hit, image) in enumerate(zip(answer, images, strict=True), 1)
    ]
    return _filled(
        title=escape(printable(str(answer.query))),
        summary=escape(
            f"{plural(len(answer), 'image')} of {answer.images:,} · {printable(answer.encoder)} · "
            f"{answer.seconds:.2f} s"
        ),
        remark=_remark(answer),
        figures="\n".join(figures),
    )


def _filled(**parts: str) -> str:
    """Fill the template in one pass, so that nothing inside a part is taken for a place to fill."""
    template = files("sightline").joinpath("page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def _remark(answer: SearchAnswer) -> str:
    if not answer.hits:
        return '<p class="remark">No image passes the filters.</p>'
    if answer.nothing_matches:
        return '<p class="remark">Nothing matches well; these are the least far.</p>'
    return ""


def _figure(rank: int, hit: Hit, image: Image.Image | None) -> str:
    aspect = min(max(image.width / image.height, 0.66), 2.6) if image else 1.0
    name = escape(printable(hit.path.name))
    flex = f"flex: {aspect:.3f} 1 {aspect * ROW_HEIGHT:.0f}px"
    return (
        f'<figure style="{flex}" data-facts="{escape(_facts(hit))}">'
        f"{_picture(image, name)}"
        f'<figcaption><div class="numbers"><b class="rank">{rank}</b>'
        f'<span title="cosine">{hit.score:.3f}</span>{_bar(hit)}<span>{hit.relevance:.0%}</span></div>'
        f'<div class="name"><a href="{escape(hit.path.as_uri())}" title="{escape(printable(hit.path))}">'
        f"{name}</a></div></figcaption></figure>"
    )


def _picture(image: Image.Image | None, name: str) -> str:
    if image is None:
        return '<div class="missing">cannot be read</div>'
    return f'<button aria-label="Enlarge {name}"><img src="{_data_uri(image)}" alt="{name}"></button>'


def _bar(hit: Hit) -> str:
    strength = "bar strong" if hit.relevance >= RELEVANCE_MIN else "bar"
    return (
        f'<span class="{strength}" style="--share: {hit.relevance:.1%}" role="meter" aria-label="relevance" '
        f'aria-valuemin="0" aria-valuemax="1" aria-valuenow="{hit.relevance:.2f}"></span>'
    )


def _facts(hit: Hit) -> str:
    facts = [f"{hit.width} × {hit.height}", file_size(hit.size)]
    if hit.taken_at:
        facts.append(f"{hit.taken_at:%Y-%m-%d %H:%M}")
    if hit.camera:
        facts.append(printable(hit.camera))
    return " · ".join(facts)


def _data_uri(image: Image.Image) -> str:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=82, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
