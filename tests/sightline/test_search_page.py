import re
from pathlib import Path

from sightline.search_page import search_page

from .answers import make_answer, make_images
from .reading import read


def test_page_holds_its_images_and_asks_the_network_for_nothing(tmp_path: Path):
    html = search_page(make_answer(make_images(tmp_path)))
    sources = read(html).sources()
    assert len(sources) == 4
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert not re.search(r"(src|href)=.https?:|url\(", html)


def test_names_and_queries_cannot_become_markup(tmp_path: Path):
    reader = read(search_page(make_answer(make_images(tmp_path))))
    assert not [tag for tag, _ in reader.tags if tag in ("i",)]
    assert not [attrs for _, attrs in reader.tags if "onerror" in attrs]
    assert "a red <i>dog</i>" in reader.text


def test_a_query_that_looks_like_a_template_stays_a_query(tmp_path: Path):
    html = search_page(make_answer([], query="{{figures}} {{nonsense}}"))
    assert "{{figures}} {{nonsense}}" in read(html).text


def test_what_is_gone_or_does_not_match_is_said(tmp_path: Path):
    html = search_page(make_answer([tmp_path / "gone.jpg"], nothing_matches=True))
    assert "cannot be read" in html
    assert "Nothing matches well" in html


def test_the_header_counts_files_on_both_sides(tmp_path: Path):
    assert "4 files of 1,250 · builtin" in search_page(make_answer(make_images(tmp_path)))
