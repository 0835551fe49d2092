"""Overlays: a photo with its matching regions drawn over it, and a legend below."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from indexer.patch_filling import patches_of
from indexer.store.library import open_library
from indexer.store.records import StoredImage
from search.regions import NONE, PRESENT_MIN, RegionBox, Regions, load_highlighter
from search.results import Hit, SearchAnswer

from .names import printable
from .regions_output import presence_shown
from .sheet import PAPER, QUIET, fitted_text, font_for

# Okabe and Ito's colours, told apart by people with any colour vision; without black, which photos have.
PALETTE = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
WHITE = (255, 255, 255)
MIDDLE_GREY = (128, 128, 128)
FADED = 0.75  # brightness of the grey photo under the colours
HEAT_ALPHA = 0.7  # of the colour where a map is far above chance
HEAT_ALPHA_FROM = 0.7  # the map's value from which it is that strong; below, it fades fast to the grey photo
LABEL_ALPHA = 0.55
LINE_HEIGHT = 30  # pixels of the legend, on a picture 800 pixels wide
SIDE_MIN = 480  # a smaller picture is enlarged, or its legend could not be read

Colours = NDArray[np.uint8]  # (height, width, 3), RGB


@dataclass(frozen=True, slots=True)
class _Scale:
    """Sizes in pixels that go with the picture's."""

    line: int  # height of a line of the legend
    font: int
    stroke: int

    @classmethod
    def of(cls, width: int, height: int) -> "_Scale":
        unit = max(1.0, min(width, height) / 600)
        return cls(round(LINE_HEIGHT * unit), round(16 * unit), max(2, round(2 * unit)))


def colour_of(text: int) -> tuple[int, int, int]:
    """Give the colour of the text at an index; beyond seven they repeat."""
    return PALETTE[text % len(PALETTE)]


def texts_drawn(answer: SearchAnswer) -> tuple[str, ...]:
    """Give the texts of a query that are drawn on its hits, in the order of `colour_of`."""
    return tuple(str(part.text) for part in answer.query.texts if part.weight > 0)


def drawing_for(
    answer: SearchAnswer, library: Path, *, notify: Callable[[str], None] = lambda line: None
) -> Callable[[Hit, Image.Image], Image.Image]:
    """Give what draws on a hit's image where the words of the query match, by the answer's own model.

    Patch vectors that the library has are used, others are taken now and stored if that can be; a file that
    has changed since it was indexed is looked at anew. Raises EncoderError when the model of that name has
    other weights by now.
    """
    texts = texts_drawn(answer)
    highlighter = load_highlighter(answer.encoder, notify=notify)
    answer.check_weights(highlighter.weights_hash)
    contents = [bytes.fromhex(hit.content_hash) for hit in answer]
    grids = patches_of(library, highlighter.patches, contents, notify=notify)
    files = _files_of(answer, library)

    def draw(hit: Hit, image: Image.Image) -> Image.Image:
        grid = grids.get(bytes.fromhex(hit.content_hash))
        if grid is None or not _is_as_indexed(files.get(hit.path)):
            regions = highlighter.find(image, texts)
        else:
            regions = highlighter.find_in(grid, texts, size=image.size)
        return heat(image, regions, 0) if len(texts) == 1 else segmentation(image, regions)

    return draw


def _files_of(answer: SearchAnswer, library: Path) -> dict[Path, StoredImage]:
    """Look up what a library knows of the hits' files, by their paths."""
    with open_library(library) as reader:
        ids = reader.content_ids([bytes.fromhex(hit.content_hash) for hit in answer])
        return {image.path: image for copies in reader.images(ids).values() for image in copies}


def _is_as_indexed(file: StoredImage | None) -> bool:
    """Tell whether a file's patch vectors are those of what it shows now."""
    try:
        return file is not None and file.is_as_indexed()
    except OSError:  # it is gone since its picture was opened
        return False


def overlay(image: Image.Image, regions: Regions, *, model: str, boxes: bool = False) -> Image.Image:
    """Draw regions over an upright RGB picture: a heat map of one text, a segmentation for several."""
    canvas = _canvas(image)
    scale = _Scale.of(*canvas.size)
    drawn = heat(canvas, regions, 0) if len(regions.texts) == 1 else segmentation(canvas, regions)
    if boxes:
        _draw_boxes(drawn, regions, scale)
    legend = _heat_legend if len(regions.texts) == 1 else _segmentation_legend
    return _stacked(drawn, legend(regions, model, drawn.width, scale))


def heat(image: Image.Image, regions: Regions, text: int) -> Image.Image:
    """Colour an RGB picture by one text's map, with a line around what is said to match."""
    drawn = _heated(image, regions.map_of(text, size=image.size))
    return Image.fromarray(_outlined(drawn, regions.matches(text, size=image.size), WHITE))


def _heated(image: Image.Image, values: NDArray[np.float32]) -> Colours:
    """Lay the colours of (height, width) values over an RGB picture that fades to grey where they are low."""
    along = np.clip(values / HEAT_ALPHA_FROM, 0, 1)
    alpha = (HEAT_ALPHA * along**2 * (3 - 2 * along))[:, :, None]
    mixed = _faded(image, 1 - values) * (1 - alpha) + _heat_colours(values) * alpha
    return np.asarray(mixed, dtype=np.uint8)


def segmentation(image: Image.Image, regions: Regions) -> Image.Image:
    """Colour an RGB picture by the text that fits best at each place; what fits none stays grey."""
    labels = regions.labels(size=image.size)
    mixed = _faded(image, np.ones(labels.shape, np.float32))
    for text in np.unique(labels[labels != NONE]):
        own = labels == text
        mixed[own] = (1 - LABEL_ALPHA) * np.asarray(image)[own] + LABEL_ALPHA * np.array(colour_of(int(text)))
    drawn = mixed.astype(np.uint8)
    for text in np.unique(labels[labels != NONE]):
        drawn = _outlined(drawn, labels == text, colour_of(int(text)))
    return Image.fromarray(drawn)


def _canvas(image: Image.Image) -> Image.Image:
    if min(image.size) >= SIDE_MIN or max(image.size) >= 2 * SIDE_MIN:
        return image
    factor = min(SIDE_MIN / min(image.size), 2 * SIDE_MIN / max(image.size))
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, Image.Resampling.BICUBIC)


def _faded(image: Image.Image, amount: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take colour and some light from a picture, by an amount of 0 to 1 at each pixel."""
    pixels = np.asarray(image, dtype=np.float32)
    grey = np.asarray(image.convert("L"), dtype=np.float32)[:, :, None] * FADED
    return np.asarray(pixels + (grey - pixels) * amount[:, :, None], dtype=np.float32)


def _heat_colours(values: NDArray[np.float32]) -> Colours:
    """Give viridis: equal steps look equal, with any colour vision and in grey too."""
    import cv2

    levels = np.clip(values * 255, 0, 255).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS)[:, :, ::-1], dtype=np.uint8)


def _outlined(pixels: Colours, region: NDArray[np.bool_], colour: tuple[int, int, int]) -> Colours:
    import cv2

    drawn = np.ascontiguousarray(pixels)
    thickness = _Scale.of(pixels.shape[1], pixels.shape[0]).stroke
    contours, _ = cv2.findContours(region.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(drawn, contours, -1, colour, thickness, cv2.LINE_AA)
    return drawn


def _draw_boxes(image: Image.Image, regions: Regions, scale: _Scale) -> None:
    draw = ImageDraw.Draw(image)
    across, down = image.width / regions.width, image.height / regions.height
    for text in range(len(regions.texts)):
        colour = WHITE if len(regions.texts) == 1 else colour_of(text)
        for box in regions.boxes(text):
            left, top = box.left * across, box.top * down
            corners = (left, top, max(left, box.right * across - 1), max(top, box.bottom * down - 1))
            draw.rectangle(corners, outline=colour, width=scale.stroke)
            _draw_tag(draw, box, (left, top), colour, scale)


def _draw_tag(
    draw: ImageDraw.ImageDraw,
    box: RegionBox,
    corner: tuple[float, float],
    colour: tuple[int, int, int],
    scale: _Scale,
) -> None:
    written = f"{box.score:.2f}"
    font = font_for(scale.font)
    width = draw.textlength(written, font=font) + scale.font // 2
    draw.rectangle((*corner, corner[0] + width, corner[1] + scale.font * 1.3), fill=colour)
    draw.text((corner[0] + scale.font // 4, corner[1]), written, font=font, fill=(0, 0, 0))


# -- the legend --------------------------------------------------------------------------------------


def _heat_legend(regions: Regions, model: str, width: int, scale: _Scale) -> Image.Image:
    """Say what was looked for, and what the colours mean."""
    legend = Image.new("RGB", (width, 2 * scale.line + scale.line // 2), PAPER)
    draw = ImageDraw.Draw(legend)
    _write_text(draw, regions, 0, scale.line // 2, scale.line // 4, width, scale)
    top = scale.line + scale.line // 2
    font = font_for(scale.font)
    zero, one = "0 not found", f"1 far above chance · {printable(model)}"
    left = scale.line // 2 + int(draw.textlength(zero, font=font)) + scale.font
    bar = max(20, min(width // 3, 12 * scale.font))
    legend.paste(_heat_bar(bar, scale.font), (left, top + 2))
    middle = left + round(bar * PRESENT_MIN)
    draw.line((middle, top - 1, middle, top + scale.font + 4), fill=WHITE, width=scale.stroke)
    draw.text((scale.line // 2, top), zero, font=font, fill=QUIET)
    after = left + bar + scale.font
    draw.text((after, top), fitted_text(draw, one, font, max(20, width - after)), font=font, fill=QUIET)
    return legend


def _heat_bar(width: int, height: int) -> Image.Image:
    """Draw 0 to 1 as a photo of middle grey would be: where that is all there is, colours look so."""
    values = np.broadcast_to(np.linspace(0, 1, width, dtype=np.float32), (height, width))
    return Image.fromarray(_heated(Image.new("RGB", (width, height), MIDDLE_GREY), values))


def _segmentation_legend(regions: Regions, model: str, width: int, scale: _Scale) -> Image.Image:
    """Name the colours, one line a text; those that were not found are said to be so."""
    lines = len(regions.texts) + 1
    legend = Image.new("RGB", (width, lines * scale.line + scale.line // 2), PAPER)
    draw = ImageDraw.Draw(legend)
    for text in range(len(regions.texts)):
        top = scale.line // 4 + text * scale.line
        draw.rectangle(
            (scale.line // 2, top + 2, scale.line // 2 + scale.font, top + 2 + scale.font),
            fill=colour_of(text),
        )
        _write_text(draw, regions, text, scale.line // 2 + 2 * scale.font, top, width, scale)
    font = font_for(scale.font)
    top = scale.line // 4 + (lines - 1) * scale.line
    line = f"grey: none of these · {printable(model)}"
    room = width - scale.line
    draw.text((scale.line // 2, top), fitted_text(draw, line, font, room), font=font, fill=QUIET)
    return legend


def _write_text(
    draw: ImageDraw.ImageDraw, regions: Regions, text: int, left: int, top: int, width: int, scale: _Scale
) -> None:
    present = bool(regions.present[text])
    line = f"{printable(regions.texts[text])}   {presence_shown(regions, text)}{_remark(regions, text)}"
    font = font_for(scale.font, line)
    colour = WHITE if present else QUIET
    draw.text((left, top), fitted_text(draw, line, font, max(20, width - left)), font=font, fill=colour)


def _remark(regions: Regions, text: int) -> str:
    """Say why a text has no place in the picture; nothing when it has one."""
    if not regions.present[text]:
        return ", not found"
    return ", nearer to another text everywhere" if regions.is_outdone(text) else ""


def _stacked(picture: Image.Image, legend: Image.Image) -> Image.Image:
    whole = Image.new("RGB", (picture.width, picture.height + legend.height), PAPER)
    whole.paste(picture, (0, 0))
    whole.paste(legend, (0, picture.height))
    return whole
