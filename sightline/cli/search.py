"""`sightline search`: find images by words, by example, or by both."""

from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from indexer.errors import ExampleMissing, FolderMissing, SightlineError
from indexer.typed_paths import rejoined_value

from ..stopping import stopped_at_once
from ..writing import check_drawing
from .finding import check_folder
from .options import AnyPath, Count, Day, FiniteRange, html_option, library_option, library_path

if TYPE_CHECKING:
    from search.query import Query
    from search.results import SearchAnswer

EPILOG = """\b
The query:
  a dog on the beach        plain words side by side are one phrase
  "a dog" "a red ball"      a quoted argument of several words is a part of its own
  dog + ball                a lone + ends a phrase
  2:sunset                  a part that counts twice (quote it when it has spaces)
  ./cat.jpg                 a file, or what begins with / ./ ../ ~ or file://, is an example image
                            (quote a name with blanks); it and its exact copies are left out
  Parts are balanced, so that an example does not drown the words beside it.

\b
Examples:
  cd ~/Pictures                        (the indexed folder, or one below it; else --library)
  sightline search a dog on the beach
  sightline search ./cat.jpg + snow --without people
  sightline search "2:old town" night --in ~/Pictures/2023 --after 2023-06 --before 2024
  sightline search --like a.jpg --like b.jpg --limit 50 --html answer.html
  mkdir -p /tmp/sunsets
  sightline search sunset --min-relevance 0.5 --paths -0 | xargs -0r cp -t /tmp/sunsets
  sightline search "birthday cake" --json | jq -r .path
  sightline search "red umbrella" --parts
  sightline search "red umbrella" --highlight --html hits.html

\b
Scores: `score` is the cosine of query and image. `relevance` says how far an image stands above
what unrelated queries get in this library, 0 to 1. When the best one is below 0.5 the command says
on stderr that nothing matches well, shows the least far all the same, and exits with 0. What is
found by --without alone gets 0.5 throughout: nothing is looked for, so none can match or miss.
--after includes its date, --before does not; images without a camera's date go by the file's.
"""


@click.command("search", epilog=EPILOG)
@click.argument("query", nargs=-1)
@click.option(
    "--without", multiple=True, metavar="TEXT", help="Take this away (repeatable; weights as in 2:people)."
)
@click.option("--like", multiple=True, type=AnyPath(), metavar="FILE", help="An example image (repeatable).")
@click.option("--in", "folder", type=AnyPath(), metavar="FOLDER", help="Only images below this folder.")
@click.option(
    "--after", type=Day(), metavar="DATE", help="Taken on this date or later: 2024, 2024-05, 2024-05-17."
)
@click.option("--before", type=Day(), metavar="DATE", help="Taken before this date.")
@click.option("--camera", metavar="TEXT", help="The camera's name contains this.")
@click.option("--min-width", type=Count(), metavar="PIXELS", help="At least this wide.")
@click.option("--min-height", type=Count(), metavar="PIXELS", help="At least this high.")
@click.option("-n", "--limit", type=Count(), default=10, show_default=True, help="How many images.")
@click.option("--min-score", type=FiniteRange(-1, 1), metavar="COSINE", help="Leave out lower scores.")
@click.option("--min-relevance", type=FiniteRange(0, 1), metavar="0..1", help="Leave out lower relevances.")
@click.option(
    "--model",
    metavar="NAME",
    help="Which of the library's models; default: the one that searches use, see `status`.",
)
@click.option(
    "--parts", is_flag=True, help="Order the nearest anew by how well parts of them match the words (PACL)."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--paths", is_flag=True, help="Paths only, one a line.")
@click.option("-0", "--null", is_flag=True, help="Paths only, each ended by a zero byte, for xargs -0.")
@html_option
@click.option("--highlight", is_flag=True, help="Show on the page of --html where each image matches.")
@click.option("--sheet", type=AnyPath(), metavar="FILE.png", help="Write a contact sheet with the scores.")
@click.option(
    "--preview", is_flag=True, help="Show thumbnails (kitty and sixel terminals, iTerm2; else blocks)."
)
@library_option
def command(
    query: tuple[str, ...],
    without: tuple[str, ...],
    like: tuple[Path, ...],
    folder: Path | None,
    after: date | None,
    before: date | None,
    camera: str | None,
    min_width: int | None,
    min_height: int | None,
    limit: int,
    min_score: float | None,
    min_relevance: float | None,
    model: str | None,
    parts: bool,
    as_json: bool,
    paths: bool,
    null: bool,
    html: Path | None,
    highlight: bool,
    sheet: Path | None,
    preview: bool,
    library: Path | None,
) -> None:
    """Find images by words, by example, or by both."""
    if as_json and (paths or null):
        raise click.UsageError("--json and --paths exclude each other")
    if highlight and not html:
        raise click.UsageError("--highlight shows on a page; say where to write it with --html FILE")
    if sheet and sheet.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise click.UsageError(f"--sheet {sheet}: its name must end in .png, .jpg or .webp")
    if sheet:
        check_drawing(sheet, "--sheet")
    parsed = _parsed(query, without, like, library)
    if parts and not parsed.texts:
        raise click.UsageError("--parts compares parts of images with words; the query has none")
    if highlight and not any(part.weight > 0 for part in parsed.texts):
        raise click.UsageError("--highlight shows where words match; the query has none")
    place = library_path(library)

    from .. import show

    wanted: dict[str, Any] = {
        "folder": folder,
        "after": after,
        "before": before,
        "camera": camera,
        "min_width": min_width,
        "min_height": min_height,
    }
    asked = {"limit": limit, "min_score": min_score, "min_relevance": min_relevance, "by_parts": parts}
    with stopped_at_once():
        answer, notes = _find(place, parsed, query, wanted, model=model, **asked)
    # Before the lines, since `| head` ends the command with the pipe.
    if html:
        show.write_html(_page(answer, highlight_in=place if highlight else None), html)
    if sheet:
        show.write_sheet(answer, sheet)
    if as_json:
        show.json_lines(hit.as_dict() for hit in answer)
    elif paths or null:
        show.paths((hit.path for hit in answer), end=b"\0" if null else b"\n")
    else:
        show.hits(answer, preview=preview)
    show.remarks(answer, notes)


def _page(answer: "SearchAnswer", *, highlight_in: Path | None) -> str:
    """Make the page; highlight_in: the library, to show where in each image the words match."""
    from .. import show
    from ..search_page import search_page

    if highlight_in is None:
        return search_page(answer)
    from ..overlay import drawing_for

    return search_page(answer, highlight=drawing_for(answer, highlight_in, notify=show.remark))


def _find(
    place: Path,
    parsed: "Query",
    words: tuple[str, ...],
    wanted: dict[str, Any],
    *,
    model: str | None,
    **asked: Any,
) -> "tuple[SearchAnswer, tuple[str, ...]]":
    """Search; give the answer, and what the library had to get around."""
    from indexer.store.peek import peek_card
    from search.encoding import begin_encoding

    from .. import show
    from ..choices import make_filters

    folder = wanted["folder"]
    try:
        filters = make_filters(**wanted)
    except FolderMissing as error:
        raise FolderMissing(error.path, rejoined_value(str(folder), words)) from error
    card = peek_card(place) if model is None else None
    encoding = begin_encoding(card, parsed) if card else None

    # From here on the heavy imports of both threads overlap.
    from indexer.store.library import open_library

    from ..searching import find

    with open_library(place) as reader:
        answer = find(
            reader, parsed, filters=filters, model=model, encoding=encoding, notify=show.remark, **asked
        )
        if not answer.hits:
            check_folder(reader, folder)
        return answer, reader.warnings


def _parsed(
    query: tuple[str, ...], without: tuple[str, ...], like: tuple[Path, ...], library: Path | None
) -> "Query":
    """Read the query; name the library's files when an example is none from here."""
    from search.query import parse_query

    try:
        return parse_query(query, without=without, like=like)
    except ExampleMissing as error:
        if error.meant is not None:
            raise
        known = _known_as(error.path.name, library)
        raise ExampleMissing(error.path, among_words=error.among_words, known=known) from error


def _known_as(name: str, library: Path | None) -> tuple[Path, ...]:
    from indexer.store.lookup import files_named

    with suppress(SightlineError, OSError):  # a drive that died
        files = [file for file in files_named(library_path(library), name) if file.is_file()]
        return tuple(map(_as_seen_from_here, files))
    return ()


def _as_seen_from_here(file: Path) -> Path:
    from ..names import short

    try:
        return Path(short(file, Path.cwd()))
    except FileNotFoundError:  # the current folder was deleted
        return file
