"""Cards: an image with its facts, beside the image that it is compared with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from PIL import Image

from indexer.store.records import StoredImage
from search.duplicates.records import Level, Member

from .amounts import file_size
from .markup import MISSING, data_uri, link, meter, shown, table

# Up to so many thumbnails, so long a side in pixels: photos make pages of 17, 34 and 41 MB, 51 at most.
SIDES = ((300, 480), (1000, 360), (2500, 240))
SMALL_SIDE = 180  # of more
ASPECT_MIN, ASPECT_MAX = 0.5, 2.6  # beyond these an image stands in a frame
SURE_MIN = 0.9  # confidence from here on is drawn as strong
FLIPPED = frozenset({Level.PIXEL, Level.NEAR})  # exact copies look the same, other frames do not lie alike

LEGEND = (
    '<p class="legend">Point at an image of level pixel or near to see in its place the one it is compared '
    "with; <i>difference</i> shows where the two differ, three times as bright. "
    "▲ more than in that one, ▼ less.</p>"
)
WORDS = {
    Level.EXACT: "the same bytes",
    Level.PIXEL: "the same pixels in another file",
    Level.NEAR: "the same picture: resized, recompressed, recoloured, cropped a little, marked",
    Level.SIMILAR: "the same scene, or much alike to the encoder: different pictures, look before they go",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """What is known of an image, and how it differs from the other."""

    label: str
    value: str
    remark: str = ""  # the difference in words
    kind: str = ""  # of difference: "less", "more", "other"


def long_side(thumbnails: int) -> int:
    """Give the side of thumbnails, in pixels, that keeps a page of so many light enough to open."""
    return next((side for most, side in SIDES if thumbnails <= most), SMALL_SIDE)


def totals(told: Mapping[str, str]) -> str:
    """Write the figures at the head of a page."""
    return "".join(f"<div><dt>{label}</dt><dd>{figure}</dd></div>" for label, figure in told.items())


def note_of_rest(what: str, pictured: int, count: int) -> str:
    """Say at the head of a page that some of it has no pictures; nothing if all has."""
    if count <= pictured:
        return ""
    rest = f'<a href="#rest">the other {count - pictured:,}</a>'
    return f'<p class="remark">The first {pictured:,} {what} have pictures; {rest} are listed at the end.</p>'


def rest(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """List what has no pictures; nothing if all has."""
    if not rows:
        return ""
    return f'<section id="rest"><h2>Listed without pictures</h2>{table(head, rows)}</section>'


def tag(name: str) -> str:
    """Make a coloured tag: a level, or the role of an image."""
    return f'<span class="tag {escape(name.lower())}">{escape(name)}</span>'


def base_card(image: StoredImage, thumbnail: Image.Image | None, role: str) -> str:
    """Make the card of the image that others are compared with."""
    caption = f"{tag(role)}{link(image.path)}{_facts(facts(image, image))}"
    return _card("base", image, thumbnail, "", caption)


def compared_card(
    member: Member, base: StoredImage, thumbnail: Image.Image | None, *, flips: bool, role: str = ""
) -> str:
    """Make the card of an image, with what differs from the base; flips: the base can be laid over it."""
    image = member.image
    flips = flips and thumbnail is not None and member.level in FLIPPED
    roles = tag(role) if role else ""
    caption = f"{roles}{_verdict(member)}{link(image.path)}{_facts(facts(image, base))}"
    kind, tools = ("compared flips", _tools(member)) if flips else ("compared", "")
    return _card(kind, image, thumbnail, tools, caption)


def member_line(member: Member) -> str:
    """Put a member in one line, for lists without pictures."""
    image = member.image
    said = f"{image.width} × {image.height}, {file_size(image.size)}: {member.reason}"
    return f"{tag(member.level.value)} {link(image.path)} {shown(said)}"


def _card(kind: str, image: StoredImage, thumbnail: Image.Image | None, tools: str, caption: str) -> str:
    aspect = thumbnail.width / thumbnail.height if thumbnail else 1.0
    style = f"--aspect: {min(max(aspect, ASPECT_MIN), ASPECT_MAX):.3f}"
    inside = f'<img src="{data_uri(thumbnail)}" alt="{shown(image.path.name)}">' if thumbnail else MISSING
    return (
        f'<figure class="{kind}" style="{style}"><div class="picture">{inside}</div>{tools}'
        f"<figcaption>{caption}</figcaption></figure>\n"
    )


def _tools(member: Member) -> str:
    """Make the buttons that lay the base over the image; a turned one would differ everywhere."""
    names = ("flip",) if member.evidence.turned else ("flip", "difference")
    buttons = "".join(f'<button data-show="{name}" aria-pressed="false">{name}</button>' for name in names)
    return f'<div class="tools" hidden>{buttons}</div>'


def _verdict(member: Member) -> str:
    bar = meter(member.confidence, "confidence", strong=member.confidence >= SURE_MIN)
    sure = f'<div class="sure">{bar}<span>{member.confidence:.0%} sure</span></div>'
    return f'{tag(member.level.value)}{sure}<p class="reason">{shown(member.reason)}</p>'


def _facts(told: Sequence[Fact]) -> str:
    return f"<dl>{''.join(_fact(fact) for fact in told)}</dl>"


def _fact(fact: Fact) -> str:
    value = shown(fact.value)
    if fact.kind:
        value = f'<span class="{fact.kind}">{value} <small>{shown(fact.remark)}</small></span>'
    return f"<div><dt>{fact.label}</dt><dd>{value}</dd></div>"


def facts(image: StoredImage, base: StoredImage) -> list[Fact]:
    """Tell what is known of an image, and how each differs from the base's."""
    return list(_all_facts(image, base))


def _all_facts(image: StoredImage, base: StoredImage) -> Iterator[Fact]:
    yield _pixels(image, base)
    yield Fact("bytes", file_size(image.size), *_amount(image.size, base.size))
    yield Fact("format", image.format, *_telling(image.format, base.format, f"instead of {base.format}"))
    yield _date(image, base)
    yield Fact("camera", image.camera or "–", *_telling(image.camera, base.camera, "another"))


def _pixels(image: StoredImage, base: StoredImage) -> Fact:
    value = f"{image.width} × {image.height}"
    remark, kind = _amount(image.width * image.height, base.width * base.height)
    if not kind and image.width != base.width:
        remark, kind = "another shape", "other"
    return Fact("pixels", value, remark, kind)


def _amount(own: int, other: int) -> tuple[str, str]:
    """Compare two amounts: in words, and as a kind."""
    if own == other:
        return "", ""
    kind, ratio = ("less" if own < other else "more"), own / max(other, 1)
    if 0.995 <= ratio < 1.005:
        return f"slightly {kind}", kind
    if ratio >= 2:
        return f"{ratio:,.1f} times as much", kind
    return f"{min(abs(ratio - 1), 0.99):.0%} {kind}", kind


def _date(image: StoredImage, base: StoredImage) -> Fact:
    """Compare when the images were taken; where no camera told, the dates of the files."""
    if image.taken_at or base.taken_at:
        own, other = _second(image.taken_at), _second(base.taken_at)
        return Fact("taken", own or "–", *_telling(own, other, _order(own, other)))
    own, other = _file_date(image), _file_date(base)
    return Fact("file of", own or "–", *_telling(own, other, _order(own, other)))


def _order(own: str | None, other: str | None) -> str:
    return "earlier" if (own or "") < (other or "") else "later"


def _second(moment: datetime | None) -> str | None:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else None


def _file_date(image: StoredImage) -> str | None:
    try:
        return _second(datetime.fromtimestamp(image.mtime_ns / 1e9))
    except (OverflowError, ValueError, OSError):  # a file system can hold years that no calendar has
        return None


def _telling(own: str | None, other: str | None, differs: str) -> tuple[str, str]:
    """Compare what two images tell, or do not: in words, and as a kind."""
    if own == other:
        return "", ""
    if other is None:
        return "only here", "more"
    return ("not here", "less") if own is None else (differs, "other")
