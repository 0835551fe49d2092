"""The page: an answer as one HTML file that holds its own images and needs no network."""

from collections.abc import Callable, Iterator, Sequence
from html import escape

from PIL import Image

from search.rank import RELEVANCE_MIN
from search.results import Hit, SearchAnswer

from .amounts import file_size, plural
from .markup import MISSING, data_uri, filled, meter, shown
from .names import printable
from .thumbnails import thumbnails

THUMBNAIL_SIDE = 640  # pixels: sharp in the grid, fair when enlarged, about 60 kB each
ROW_HEIGHT = 230  # pixels
HEAT = (
    "yellow where it stands far above chance, and a white line around what is said to match. "
    "Grey is none of it."
)
SEVERAL = "each text in its own colour where it fits best. Grey is none of these."


Draw = Callable[[Hit, Image.Image], Image.Image]


def search_page(answer: SearchAnswer, *, highlight: Draw | None = None) -> str:
    """Write the answer as HTML; highlight draws on each small image where it matches."""
    images: Iterator[Image.Image | None] = thumbnails([hit.path for hit in answer], THUMBNAIL_SIDE)
    if highlight is not None:
        images = (image and highlight(hit, image) for hit, image in zip(answer, images, strict=True))
    figures = [
        _figure(rank, hit, image) for rank, (hit, image) in enumerate(zip(answer, images, strict=True), 1)
    ]
    found = f"{plural(len(answer), 'file')} of {answer.files:,}"
    return filled(
        "page.html",
        title=shown(str(answer.query)),
        summary=shown(f"{found} · {answer.encoder} · {answer.seconds:.2f} s"),
        remark=_remark(answer) + (_highlighted(answer) if highlight else ""),
        figures="\n".join(figures),
    )


def _remark(answer: SearchAnswer) -> str:
    if not answer.hits:
        return '<p class="remark">No image passes the filters.</p>'
    if answer.nothing_matches:
        return '<p class="remark">Nothing matches well; these are the least far.</p>'
    return ""


def _highlighted(answer: SearchAnswer) -> str:
    """Tell what is drawn on the hits, and whose colour is whose."""
    from .overlay import texts_drawn

    texts = texts_drawn(answer)
    if len(texts) == 1:
        return f'<p class="remark">Where it is: {HEAT}</p>'
    return f'<p class="remark">Where it is: {SEVERAL}</p><p class="legend">{_swatches(texts)}</p>'


def _swatches(texts: Sequence[str]) -> str:
    from .overlay import colour_of

    return " ".join(
        f'<span><i style="background: #{bytes(colour_of(number)).hex()}"></i>{shown(text)}</span>'
        for number, text in enumerate(texts)
    )


def _figure(rank: int, hit: Hit, image: Image.Image | None) -> str:
    aspect = min(max(image.width / image.height, 0.66), 2.6) if image else 1.0
    name = shown(hit.path.name)
    flex = f"flex: {aspect:.3f} 1 {aspect * ROW_HEIGHT:.0f}px"
    bar = meter(hit.relevance, "relevance", strong=hit.relevance >= RELEVANCE_MIN)
    return (
        f'<figure style="{flex}" data-facts="{escape(_facts(hit))}">'
        f"{_picture(image, name)}"
        f'<figcaption><div class="numbers"><b class="rank">{rank}</b>'
        f'<span title="cosine">{hit.score:.3f}</span>{bar}<span>{hit.relevance:.0%}</span></div>'
        f'<div class="name"><a href="{escape(hit.path.as_uri())}" title="{shown(hit.path)}">'
        f"{name}</a></div></figcaption></figure>"
    )


def _picture(image: Image.Image | None, name: str) -> str:
    if image is None:
        return MISSING
    return f'<button aria-label="Enlarge {name}"><img src="{data_uri(image)}" alt="{name}"></button>'


def _facts(hit: Hit) -> str:
    facts = [f"{hit.width} × {hit.height}", file_size(hit.size)]
    if hit.taken_at:
        facts.append(f"{hit.taken_at:%Y-%m-%d %H:%M}")
    if hit.camera:
        facts.append(printable(hit.camera))
    return " · ".join(facts)
