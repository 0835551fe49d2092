import io
import json
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from indexer.errors import FolderMissing, PairsInvalid
from indexer.opening import Undecodable
from indexer.records import FoundFile
from indexer.scan import ScanRules, scan
from indexer.store.library import open_for_writing
from tests.indexer.store.making import make_card
from tests.indexer.store.making import scan as add_files
from tests.pictures import make_picture, make_pictures
from trainer.examples import Example, ImagePlace, open_image
from trainer.sources import read_examples

SHARED = Path(__file__).parents[3] / "shared" / "data"
XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:description><rdf:Alt>
<rdf:li xml:lang="x-default">Two boats at dawn</rdf:li></rdf:Alt></dc:description></rdf:Description>
</rdf:RDF></x:xmpmeta>"""


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    return make_pictures(tmp_path / "images", 3)


def table(folder: Path, name: str, text: str, encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def captions(examples: Sequence[Example]) -> dict[str, tuple[str, ...]]:
    return {example.image.path.name: example.captions for example in examples}


def shard(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


# ---- tables


def test_a_column_of_any_name_is_taken_for_classes_when_told(tmp_path: Path, images: list[Path]) -> None:
    path = table(
        tmp_path, "pairs.csv", f"image,species,notes\nimages/{images[0].name},blue_tit,on a branch\n"
    )
    (example,) = read_examples(path, label_column="species").examples
    assert example.label == "blue_tit"
    assert "a photo of a blue tit" in example.captions


@pytest.mark.parametrize("options", [{"label_column": "label"}, {}], ids=["named", "guessed"])
@pytest.mark.parametrize("number", [7, 7.0])
def test_whole_numbers_are_classes_in_jsonl_too(
    tmp_path: Path, images: list[Path], number: float, options: dict[str, str]
) -> None:
    path = table(tmp_path, "pairs.jsonl", json.dumps({"image": str(images[0]), "label": number}))
    assert [example.label for example in read_examples(path, **options).examples] == ["7"]


def test_whole_numbers_are_classes_in_parquet_too(tmp_path: Path, images: list[Path]) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = {"image": [str(path) for path in images], "species": [0, 1, None]}
    parquet.write_table(pyarrow.table(rows), tmp_path / "pairs.parquet")
    reading = read_examples(tmp_path / "pairs.parquet", label_column="species")
    assert [example.label for example in reading.examples] == ["0", "1"]


def test_numbers_are_no_captions(tmp_path: Path, images: list[Path]) -> None:
    path = table(tmp_path, "pairs.jsonl", json.dumps({"image": str(images[0]), "caption": 7}))
    with pytest.raises(PairsInvalid, match=r"no image with a caption; .*rows without a caption"):
        read_examples(path, caption_column="caption")


def test_rows_without_a_class_are_told_as_such(tmp_path: Path, images: list[Path]) -> None:
    path = table(tmp_path, "pairs.csv", f"image,species\n{images[0]},\n")
    with pytest.raises(PairsInvalid, match=r"no image with a class; .*rows without a class"):
        read_examples(path, label_column="species")


def test_captions_and_classes_at_once_are_refused(tmp_path: Path, images: list[Path]) -> None:
    path = table(tmp_path, "pairs.csv", f"image,species,notes\nimages/{images[0].name},tit,on a branch\n")
    with pytest.raises(PairsInvalid, match="leave --caption-column or --label-column out"):
        read_examples(path, caption_column="notes", label_column="species")


def test_rows_of_one_image_become_one_example(tmp_path: Path, images: list[Path]) -> None:
    name = f"images/{images[0].name}"
    path = table(tmp_path, "pairs.csv", f"image,caption\n{name},a dog\n{name},a brown dog\n{name},a dog\n")
    assert read_examples(path).examples == (Example(ImagePlace(images[0]), ("a dog", "a brown dog")),)


def test_usual_column_names_are_found_among_others(tmp_path: Path, images: list[Path]) -> None:
    path = table(tmp_path, "pairs.csv", f"id,title,File Name,Caption\n7,t,{images[0]},a dog\n")
    reading = read_examples(path)
    assert reading.examples[0].captions == ("a dog",)
    assert "images from 'File Name', captions from 'Caption'" in reading.notes[0]


def test_columns_with_unusual_names_are_found_by_what_is_in_them(tmp_path: Path, images: list[Path]) -> None:
    path = table(tmp_path, "pairs.csv", f"nr;bild;farbe;sagt\n7;{images[0]};rot;ein Hund im Schnee\n")
    assert captions(read_examples(path).examples) == {images[0].name: ("ein Hund im Schnee",)}


def test_a_column_without_text_is_no_caption_for_its_name(tmp_path: Path, images: list[Path]) -> None:
    row = {"image": str(images[0]), "captions": None, "caption": " ", "text": "a dog"}
    assert read_examples(table(tmp_path, "pairs.jsonl", json.dumps(row))).examples[0].captions == ("a dog",)


def test_a_column_of_file_numbers_is_no_caption_for_its_name(tmp_path: Path, images: list[Path]) -> None:
    path = table(tmp_path, "pairs.csv", f"image,title,caption_en\n{images[0]},IMG1,a dog\n")
    assert captions(read_examples(path).examples) == {images[0].name: ("a dog",)}


def test_a_caption_of_a_little_picture_is_a_caption(tmp_path: Path, images: list[Path]) -> None:
    path = table(tmp_path, "pairs.csv", f"image,caption,source\n{images[0]},🐶,web page\n")
    assert captions(read_examples(path).examples) == {images[0].name: ("🐶",)}


def test_a_column_of_class_numbers_is_taken_for_its_name(tmp_path: Path, images: list[Path]) -> None:
    path = table(tmp_path, "pairs.csv", f"image,label,split\n{images[0]},7,train\n")
    assert [example.label for example in read_examples(path).examples] == ["7"]


@pytest.mark.parametrize("name", ["name", "category", "label"])
def test_sentences_go_before_codes_in_a_column_called_as_classes_are(
    tmp_path: Path, images: list[Path], name: str
) -> None:
    rows = "".join(f"{image},A{number},ein roter Hund {number}\n" for number, image in enumerate(images))
    path = table(tmp_path, "pairs.csv", f"image,{name},beschreibung\n{rows}")
    assert read_examples(path).examples[0].captions == ("ein roter Hund 0",)


@pytest.mark.parametrize("other", ["train", "web page"])
def test_class_numbers_go_before_words_that_all_rows_share(
    tmp_path: Path, images: list[Path], other: str
) -> None:
    rows = "".join(f"{image},{number},{other}\n" for number, image in enumerate(images))
    path = table(tmp_path, "pairs.csv", f"image,label,source\n{rows}")
    assert [example.label for example in read_examples(path).examples] == ["0", "1", "2"]


@pytest.mark.parametrize("other", ["Mon May {} 2020", "Ann {} Miller"])
def test_class_numbers_go_before_dates_and_people(tmp_path: Path, images: list[Path], other: str) -> None:
    lines = [
        f"{image},{number % 2},{other.format(number)}\n" for number, image in enumerate([*images, *images])
    ]
    path = table(tmp_path, "pairs.csv", f"image,label,more\n{''.join(lines)}")
    assert {example.label for example in read_examples(path).examples} == {"0", "1"}


def test_class_numbers_go_before_addresses_of_pages(tmp_path: Path, images: list[Path]) -> None:
    rows = "".join(f"{image},{number},http://a.org/red/dog/{number}\n" for number, image in enumerate(images))
    path = table(tmp_path, "pairs.csv", f"image,label,page\n{rows}")
    assert [example.label for example in read_examples(path).examples] == ["0", "1", "2"]


def test_class_numbers_of_jsonl_are_taken_for_their_name_as_those_of_csv_are(
    tmp_path: Path, images: list[Path]
) -> None:
    path = table(tmp_path, "pairs.jsonl", json.dumps({"image": str(images[0]), "label": 7, "split": "train"}))
    assert [example.label for example in read_examples(path).examples] == ["7"]


def test_class_names_go_before_class_numbers(tmp_path: Path, images: list[Path]) -> None:
    path = table(tmp_path, "pairs.csv", f"image,label,class_name\n{images[0]},7,tench\n")
    assert [example.label for example in read_examples(path).examples] == ["tench"]


def test_named_columns_are_taken_without_a_guess(tmp_path: Path, images: list[Path]) -> None:
    path = table(tmp_path, "pairs.csv", f"image,caption,nom\n{images[0]},a dog,un chien\n")
    assert captions(read_examples(path, image_column="image", caption_column="nom").examples) == {
        images[0].name: ("un chien",)
    }


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path, images: list[Path]) -> None:
    path = table(tmp_path, "pairs.csv", f"image,caption\n{images[0]},a dog\n")
    with pytest.raises(PairsInvalid, match="has no column 'text'; it has 'image', 'caption'"):
        read_examples(path, caption_column="text")


def test_a_table_without_header_is_read_from_its_first_line(tmp_path: Path, images: list[Path]) -> None:
    path = table(tmp_path, "pairs.tsv", "".join(f"{image}\ta thing\n" for image in images))
    assert len(read_examples(path).examples) == 3


def test_without_header_a_first_caption_with_a_comma_costs_its_own_row_alone(
    tmp_path: Path, images: list[Path]
) -> None:
    texts = ["a dog, running", "a cat", "a cow"]
    rows = "".join(f"{image},{text}\n" for image, text in zip(images, texts, strict=True))
    reading = read_examples(table(tmp_path, "pairs.csv", rows))
    assert [example.captions for example in reading.examples] == [("a cat",), ("a cow",)]


def test_without_header_captions_of_which_most_have_a_comma_are_not_read_from_behind_it(
    tmp_path: Path, images: list[Path]
) -> None:
    rows = f"{images[0]},a dog, and a cat\n{images[1]},a cow, and a hen\n{images[2]},a horse\n"
    reading = read_examples(table(tmp_path, "pairs.csv", rows))
    assert [example.captions for example in reading.examples] == [("a horse",)]


def test_without_header_a_caption_that_its_comma_would_cut_is_told(
    tmp_path: Path, images: list[Path]
) -> None:
    rows = f"{images[0]},a dog, running\n{images[1]},a cat\n"
    notes = read_examples(table(tmp_path, "pairs.csv", rows)).notes
    assert (
        "left out rows with too many columns (a caption with a separator wants quotes): 1 (first: line 1)"
        in notes
    )


def test_without_header_rows_of_an_image_alone_do_not_make_a_table_of_one_column(
    tmp_path: Path, images: list[Path]
) -> None:
    rows = f"{images[0]},a dog\n{images[1]}\n{images[2]}\n"
    assert captions(read_examples(table(tmp_path, "pairs.csv", rows)).examples) == {
        images[0].name: ("a dog",)
    }


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "windows-1252"])
def test_letters_survive_every_usual_encoding(tmp_path: Path, images: list[Path], encoding: str) -> None:
    path = table(tmp_path, "pairs.csv", f"image,caption\n{images[0]},Straßencafé\n", encoding)
    assert captions(read_examples(path).examples) == {images[0].name: ("Straßencafé",)}


def test_an_old_encoding_is_told(tmp_path: Path, images: list[Path]) -> None:
    path = table(tmp_path, "pairs.csv", f"image,caption\n{images[0]},café\n", "windows-1252")
    assert "not UTF-8 (line 2): read as windows-1252" in read_examples(path).notes[0]


def test_a_quoted_caption_may_have_line_ends_and_separators(tmp_path: Path, images: list[Path]) -> None:
    path = table(tmp_path, "pairs.csv", f'image,caption\n{images[0]},"a dog,\nand a ""cat"""\n')
    assert captions(read_examples(path).examples) == {images[0].name: ('a dog, and a "cat"',)}


def test_a_quote_that_does_not_close_is_told_with_its_line(tmp_path: Path, images: list[Path]) -> None:
    rows = "".join(f"{images[0]},row {number}\n" for number in range(50))
    path = table(
        tmp_path, "pairs.csv", f'image,caption\n{images[1]},fine\n{images[0]},"a 5 inch pipe\n{rows}'
    )
    with pytest.raises(PairsInvalid, match="line 3: a quote"):
        read_examples(path)


@pytest.mark.parametrize("rows", [3, 50])
def test_a_quote_that_swallows_rows_of_a_comma_table_is_told(
    tmp_path: Path, images: list[Path], rows: int
) -> None:
    others = "".join(f"{images[1]},row {number}\n" for number in range(rows))
    path = table(tmp_path, "pairs.csv", f'image,caption\n{images[0]},"a 5 inch pipe\n{others}x.jpg,6"\n')
    with pytest.raises(PairsInvalid, match="line 2: a quote"):
        read_examples(path)


def test_a_quote_in_a_table_of_tabs_is_a_part_of_its_caption(tmp_path: Path, images: list[Path]) -> None:
    texts = ['"open dog', "a cat", '"bird" house']
    rows = "".join(f"{image}\t{text}\n" for image, text in zip(images, texts, strict=True))
    path = table(tmp_path, "pairs.tsv", f"image\tcaption\n{rows}")
    assert [example.captions for example in read_examples(path).examples] == [(text,) for text in texts]


def test_quotes_around_a_whole_cell_of_a_table_of_tabs_are_taken_off(
    tmp_path: Path, images: list[Path]
) -> None:
    path = table(tmp_path, "pairs.tsv", f'"image"\t"caption"\n{images[0]}\t"a ""red"" dog"\n')
    assert read_examples(path).examples[0].captions == ('a "red" dog',)


def test_a_quoted_caption_of_a_table_of_tabs_may_have_line_ends(tmp_path: Path, images: list[Path]) -> None:
    path = table(tmp_path, "pairs.tsv", f'image\tcaption\n{images[0]}\t"a dog\nand a cat"\n')
    assert read_examples(path).examples[0].captions == ("a dog and a cat",)


def test_a_space_before_a_quote_is_no_part_of_the_caption(tmp_path: Path, images: list[Path]) -> None:
    path = table(tmp_path, "pairs.csv", f'image, caption\n{images[0]}, "a cat, a dog"\n{images[1]}, a cow\n')
    assert captions(read_examples(path).examples) == {
        images[0].name: ("a cat, a dog",),
        images[1].name: ("a cow",),
    }


@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_quotes_after_a_backslash_are_read_and_told(tmp_path: Path, images: list[Path], ending: str) -> None:
    texts = [r'"a \"big\" dog, \"red\""', '"a cow"', r"a\b"]
    mark = "," if ending == "csv" else "\t"
    rows = [f'images\\{image.name}{mark}{text}{mark}""' for image, text in zip(images, texts, strict=True)]
    path = table(tmp_path, f"pairs.{ending}", "\n".join([f"image{mark}caption{mark}more", *rows]))
    reading = read_examples(path)
    assert [example.captions[0] for example in reading.examples] == ['a "big" dog, "red"', "a cow", r"a\b"]
    assert 'quotes within a caption are written \\" in it, and read so' in reading.notes


def test_a_cell_may_end_in_a_backslash(tmp_path: Path, images: list[Path]) -> None:
    rows = f'{images[0]},"ends with backslash\\"\n{images[1]},"a big cat"\n'
    reading = read_examples(table(tmp_path, "pairs.csv", f"image,caption\n{rows}"))
    assert [example.captions[0] for example in reading.examples] == ["ends with backslash\\", "a big cat"]


def test_a_backslash_beside_doubled_quotes_is_a_part_of_the_caption(
    tmp_path: Path, images: list[Path]
) -> None:
    rows = f'{images[0]},"a ""big"" dog"\n{images[1]},back\\" slash\n'
    reading = read_examples(table(tmp_path, "pairs.csv", f"image,caption\n{rows}"))
    assert [example.captions[0] for example in reading.examples] == ['a "big" dog', 'back\\" slash']


@pytest.mark.parametrize(
    ("mark", "texts"),
    [
        ("\t", ("cap, one; of", "cap, two; of", "x")),
        (",", ("red; blue; green", "dog; cat", "x; y")),
        (",", ("red | blue | old", "red | blue", "cup")),
        ("|", ("red, blue", "dog, cat", "cup, mug")),
    ],
)
@pytest.mark.parametrize("image_is_first", [True, False])
def test_marks_in_captions_are_not_taken_for_delimiters_where_there_is_no_header(
    tmp_path: Path, images: list[Path], mark: str, texts: tuple[str, ...], image_is_first: bool
) -> None:
    rows = [(f"images/{image.name}", text) for image, text in zip(images, texts, strict=True)]
    lines = [mark.join(row if image_is_first else row[::-1]) for row in rows]
    reading = read_examples(table(tmp_path, "pairs.txt", "\n".join(lines)))
    assert [example.captions for example in reading.examples] == [(text,) for text in texts]


def test_of_two_delimiters_in_a_header_the_one_that_cuts_all_rows_alike_is_taken(
    tmp_path: Path, images: list[Path]
) -> None:
    rows = "".join(f"{image};{'a dog, ' * number}a cat\n" for number, image in enumerate(images))
    path = table(tmp_path, "pairs.csv", f"image;caption, long\n{rows}")
    assert len(read_examples(path).examples) == 3


@pytest.mark.parametrize("name", ["~draft.jpg", "x" * 300 + ".jpg", "~nobody-there/a.jpg"])
def test_an_impossible_name_costs_its_row_alone(tmp_path: Path, images: list[Path], name: str) -> None:
    path = table(tmp_path, "pairs.csv", f"image,caption\n{images[0]},a dog\n{name},a cat\n")
    reading = read_examples(path)
    assert captions(reading.examples) == {images[0].name: ("a dog",)}
    assert reading.notes[-1] == f"left out images that are not there: 1 (first: {tmp_path / name})"


def test_an_image_whose_name_begins_with_a_tilde_is_found(tmp_path: Path) -> None:
    image = make_picture(tmp_path / "~draft.png", 1)
    path = table(tmp_path, "pairs.csv", "image,caption\n~draft.png,a dog\n")
    assert captions(read_examples(path).examples) == {image.name: ("a dog",)}


def test_half_a_letter_in_a_caption_is_replaced(tmp_path: Path, images: list[Path]) -> None:
    row = json.dumps({"image": str(images[0]), "caption": "a dog \ud83d"})
    assert read_examples(table(tmp_path, "pairs.jsonl", row)).examples[0].captions == ("a dog \ufffd",)


def test_what_is_left_out_is_counted_with_its_first(tmp_path: Path, images: list[Path]) -> None:
    rows = f"{images[0]},a dog\ngone.jpg,a cat\nlost.jpg,a cow\n{images[1]},\n,a pig\n{images[2]},a, b\n"
    notes = read_examples(table(tmp_path, "pairs.csv", f"image,caption\n{rows}")).notes
    assert f"left out images that are not there: 2 (first: {tmp_path / 'gone.jpg'})" in notes
    assert "left out rows without a caption: 1 (first: line 5)" in notes
    assert "left out rows without an image: 1 (first: line 6)" in notes
    assert any("too many columns" in note and "line 7" in note for note in notes)


def test_a_table_of_missing_images_says_where_it_looked(tmp_path: Path) -> None:
    path = table(tmp_path, "pairs.csv", "image,caption\nimages/gone.jpg,a cat\n")
    with pytest.raises(PairsInvalid, match=rf"not there: 1 \(first: {tmp_path}/images/gone.jpg"):
        read_examples(path)


def test_paths_written_on_windows_are_found(tmp_path: Path, images: list[Path]) -> None:
    path = table(tmp_path, "pairs.csv", f"image,caption\nimages\\{images[0].name},a dog\n")
    assert captions(read_examples(path).examples) == {images[0].name: ("a dog",)}


def test_class_names_of_a_table_become_captions_and_labels(tmp_path: Path, images: list[Path]) -> None:
    path = table(tmp_path, "pairs.csv", f"image,label\n{images[0]},big_dog\n")
    (example,) = read_examples(path).examples
    assert example.label == "big_dog"
    assert "a photo of a big dog" in example.captions


def test_an_image_of_two_classes_keeps_the_first_and_is_told(tmp_path: Path, images: list[Path]) -> None:
    rows = [f"{images[0]},dog", f"{images[1]},cat", f"{images[0]},cat", f"{images[0]},cow"]
    reading = read_examples(table(tmp_path, "pairs.csv", "\n".join(["image,label", *rows])))
    assert [example.label for example in reading.examples] == ["dog", "cat"]
    assert "cat" not in " ".join(reading.examples[0].captions)
    told = f"images of two classes: 1, the first is taken (first: {images[0]}: 'dog', not 'cat')"
    assert told in reading.notes


def test_a_json_caption_may_be_a_list(tmp_path: Path, images: list[Path]) -> None:
    lines = [
        {"image": str(images[0]), "captions": ["one", "two"]},
        {"image": str(images[1]), "captions": "x"},
    ]
    path = table(tmp_path, "pairs.jsonl", "".join(json.dumps(line) + "\n" for line in lines) + "{broken\n")
    reading = read_examples(path)
    assert captions(reading.examples) == {images[0].name: ("one", "two"), images[1].name: ("x",)}
    assert reading.notes[-1] == "left out lines that are no JSON: 1 (first: line 3)"


def test_a_parquet_file_is_read_with_lists(tmp_path: Path, images: list[Path]) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {"path": [f"images/{image.name}" for image in images], "text": [["one", "two"], ["three"], []]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "pairs.parquet")
    reading = read_examples(tmp_path / "pairs.parquet")
    assert captions(reading.examples) == {images[0].name: ("one", "two"), images[1].name: ("three",)}


def test_parquet_without_pyarrow_names_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "pairs.parquet").write_bytes(b"PAR1")
    with pytest.raises(PairsInvalid, match=r"pipx install --force '\.\[train\]'"):
        read_examples(tmp_path / "pairs.parquet")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", b"", "is empty"),
        ("b.csv", b"\x00\x01\x02" * 99, "is no text"),
        ("c.csv", b"image,caption\n", "no image with a caption"),
        ("d.json", b'[{"image": ', "no proper JSON"),
        ("e.jsonl", b"[1]\n", "no line is a JSON object"),
        ("f.csv", b"a,b\n1,2\n", "no column looks like image files"),
        ("g.csv", b"image,caption,image\nx.jpg,a,b\n", "two columns are called 'image'"),
        ("h.tar", b"hello", "no plain tar"),
        ("i.tar.gz", b"\x1f\x8b" * 400, "a compressed one must be unpacked"),
        ("j.docx", b"PK", "of no form that is known"),
    ],
)
def test_a_file_that_gives_nothing_says_why(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PairsInvalid, match=reason):
        read_examples(tmp_path / name)


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FolderMissing):
        read_examples(tmp_path / "folder")
    with pytest.raises(PairsInvalid, match="no such file"):
        read_examples(tmp_path / "pairs.csv")


# ---- folders


def test_a_text_file_beside_an_image_has_a_caption_a_line(tmp_path: Path) -> None:
    first, second, third = make_pictures(tmp_path, 3)
    first.with_suffix(".txt").write_text("one\n\n two  words \n")
    second.with_suffix(".txt").write_text("\n")
    reading = read_examples(tmp_path)
    assert captions(reading.examples) == {first.name: ("one", "two words")}
    assert reading.notes == (
        f"left out images whose .txt file is empty: 1 (first: {second})",
        f"left out images without a .txt file: 1 (first: {third})",
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "windows-1252"])
def test_letters_beside_an_image_survive_every_usual_encoding(tmp_path: Path, encoding: str) -> None:
    (image,) = make_pictures(tmp_path, 1)
    image.with_suffix(".txt").write_bytes("Straßencafé\n".encode(encoding))
    assert captions(read_examples(tmp_path).examples) == {image.name: ("Straßencafé",)}


def test_an_old_encoding_beside_an_image_is_told(tmp_path: Path) -> None:
    (image,) = make_pictures(tmp_path, 1)
    image.with_suffix(".txt").write_bytes("café".encode("windows-1252"))
    told = f"read text files that are not UTF-8 as windows-1252: 1 (first: {image.with_suffix('.txt')})"
    assert read_examples(tmp_path).notes == (told,)


def test_a_text_file_that_is_none_costs_its_image_alone(tmp_path: Path) -> None:
    first, second = make_pictures(tmp_path, 2)
    first.with_suffix(".txt").write_bytes(b"\0\1\2")
    second.with_suffix(".txt").write_text("a dog")
    reading = read_examples(tmp_path)
    assert captions(reading.examples) == {second.name: ("a dog",)}
    assert any("text files that are no text" in note for note in reading.notes)


@pytest.mark.skipif(os.name == "nt", reason="names there are always letters")
def test_a_class_folder_whose_name_is_no_text_gives_whole_letters(tmp_path: Path) -> None:
    for number, name in enumerate((b"tea cup", b"caf\xe9 cup")):
        make_picture(tmp_path / "classes" / os.fsdecode(name) / "a.png", number)
    said = " ".join(text for each in read_examples(tmp_path / "classes").examples for text in each.captions)
    assert "caf\ufffd cup" in said
    said.encode()


def test_class_folders_below_train_and_val_give_labels(tmp_path: Path) -> None:
    for split in ("train", "val"):
        make_picture(tmp_path / split / "001.Red_bird" / "a.png", 1)
        make_picture(tmp_path / split / "cat" / "b.png", 2)
    examples = read_examples(tmp_path).examples
    assert [example.label for example in examples] == ["001.Red_bird", "cat"] * 2
    assert "a photo of a Red bird" in examples[0].captions


def test_images_without_captions_or_classes_say_what_to_do(tmp_path: Path) -> None:
    make_pictures(tmp_path, 2)
    with pytest.raises(PairsInvalid, match=r"put a \.txt of the same name beside each"):
        read_examples(tmp_path)


def test_an_image_folder_with_metadata_is_read_by_it(tmp_path: Path) -> None:
    (image,) = make_pictures(tmp_path, 1)
    table(tmp_path, "metadata.csv", f"file_name,text\n{image.name},a dog\n")
    assert captions(read_examples(tmp_path).examples) == {image.name: ("a dog",)}


# ---- shards


@pytest.fixture
def pixels(tmp_path: Path) -> bytes:
    return make_picture(tmp_path / "one.png", 1).read_bytes()


def test_an_image_in_a_shard_is_read_from_its_place(tmp_path: Path, pixels: bytes) -> None:
    other = make_picture(tmp_path / "two.png", 2).read_bytes()
    members = {"a.png": pixels, "a.txt": b"one\ntwo", "b.png": other, "b.json": b'{"caption": "three"}'}
    examples = read_examples(shard(tmp_path / "pairs.tar", members)).examples
    assert [example.captions for example in examples] == [("one", "two"), ("three",)]
    assert [example.image.read() for example in examples] == [pixels, other]


def test_several_shards_are_read_by_braces_globs_and_folder(tmp_path: Path, pixels: bytes) -> None:
    for number in range(3):
        shard(tmp_path / f"s-{number:03}.tar", {"a.png": pixels, "a.txt": b"a caption"})
    patterns = ("s-{000..002}.tar", "s-*.tar", ".")
    assert [len(read_examples(tmp_path / pattern).examples) for pattern in patterns] == [3, 3, 3]


def test_a_shard_that_a_pattern_names_must_be_there(tmp_path: Path, pixels: bytes) -> None:
    shard(tmp_path / "s-000.tar", {"a.png": pixels, "a.txt": b"a caption"})
    with pytest.raises(PairsInvalid, match="names 2 that are not there"):
        read_examples(tmp_path / "s-{000..002}.tar")


def test_class_numbers_find_their_names_beside_the_shards(tmp_path: Path, pixels: bytes) -> None:
    path = shard(tmp_path / "s.tar", {"a.png": pixels, "a.cls": b"1"})
    (tmp_path / "classnames.txt").write_text("cat\nsea horse\n")
    (example,) = read_examples(path).examples
    assert (example.label, example.captions[1]) == ("sea horse", "a sea horse")


def test_class_names_of_an_old_encoding_are_read(tmp_path: Path, pixels: bytes) -> None:
    path = shard(tmp_path / "s.tar", {"a.png": pixels, "a.cls": b"0"})
    (tmp_path / "classnames.txt").write_bytes("café cup\n".encode("windows-1252"))
    assert read_examples(path).examples[0].label == "café cup"


def test_class_numbers_without_names_say_what_is_missing(tmp_path: Path, pixels: bytes) -> None:
    with pytest.raises(PairsInvalid, match=r"classnames\.txt beside the shards"):
        read_examples(shard(tmp_path / "s.tar", {"a.png": pixels, "a.cls": b"1"}))


def test_a_shard_that_is_cut_off_gives_what_is_before(tmp_path: Path, pixels: bytes) -> None:
    members = {
        f"{key}.{ending}": pixels if ending == "png" else b"x" for key in "abc" for ending in ("txt", "png")
    }
    path = shard(tmp_path / "s.tar", members)
    last = read_examples(path).examples[-1].image
    path.write_bytes(path.read_bytes()[: last.offset + last.size // 2])
    reading = read_examples(path)
    assert [example.image.member for example in reading.examples] == ["a.png", "b.png"]
    assert any("the rest of shards that are cut off" in note for note in reading.notes)


def test_a_tar_of_class_folders_gives_labels(tmp_path: Path, pixels: bytes) -> None:
    path = shard(tmp_path / "s.tar", {"cat/a.1.png": pixels, "cat/a.2.png": pixels, "./dog/1.png": pixels})
    assert [example.label for example in read_examples(path).examples] == ["cat", "cat", "dog"]


def test_the_key_of_captions_is_guessed_and_told(tmp_path: Path, pixels: bytes) -> None:
    path = shard(
        tmp_path / "s.tar", {"a.png": pixels, "a.json": b'{"id": "7", "text": "a dog", "fr": "un chien"}'}
    )
    assert "captions from 'text' of KEY.json" in read_examples(path).notes[0]
    assert read_examples(path, caption_column="fr").examples[0].captions == ("un chien",)


def test_a_key_without_text_is_no_caption_for_its_name(tmp_path: Path, pixels: bytes) -> None:
    path = shard(tmp_path / "s.tar", {"a.png": pixels, "a.json": b'{"captions": null, "text": "a dog"}'})
    assert read_examples(path).examples[0].captions == ("a dog",)


def test_a_sample_has_one_image_and_needs_one(tmp_path: Path, pixels: bytes) -> None:
    members = {"a.left.png": pixels, "a.right.png": pixels, "a.txt": b"a dog", "b.txt": b"a cat"}
    reading = read_examples(shard(tmp_path / "s.tar", members))
    assert [example.image.member for example in reading.examples] == ["a.left.png"]
    assert [note.split(":")[0] for note in reading.notes] == [
        "left out further images of a sample",
        "left out texts without an image",
    ]


def test_names_with_dots_of_their_own_keep_their_texts(tmp_path: Path, pixels: bytes) -> None:
    members = {
        "1.8mm bolt.png": pixels,
        "1.5mm bolt.png": pixels,
        "1.5mm bolt.txt": b"a thin bolt",
        "1.8mm bolt.txt": b"a thick bolt",
        "2.4mm nut.png": pixels,
        "2.6mm nut.txt": b"another nut",
    }
    reading = read_examples(shard(tmp_path / "s.tar", members))
    assert {example.image.member: example.captions for example in reading.examples} == {
        "1.5mm bolt.png": ("a thin bolt",),
        "1.8mm bolt.png": ("a thick bolt",),
    }
    assert sorted(note.split(" (")[0] for note in reading.notes) == [
        "left out images without a caption: 1",
        "left out texts without an image: 1",
    ]


def test_a_caption_is_never_that_of_a_picture_whose_name_begins_alike(tmp_path: Path, pixels: bytes) -> None:
    members = {"1.8mm bolt.png": pixels, "1.5mm bolt.png": pixels, "1.5mm bolt.txt": b"a thin bolt"}
    (example,) = read_examples(shard(tmp_path / "s.tar", members)).examples
    assert example.image.member == "1.5mm bolt.png"


@pytest.mark.parametrize("mask", ["0001.seg.png", "0001.a.png"])
def test_a_mask_beside_an_image_does_not_take_its_caption(tmp_path: Path, pixels: bytes, mask: str) -> None:
    members = {mask: pixels, "0001.txt": b"a dog", "0001.png": pixels}
    (example,) = read_examples(shard(tmp_path / "s.tar", members)).examples
    assert (example.image.member, example.captions) == ("0001.png", ("a dog",))


def test_the_texts_of_a_shard_survive_every_usual_encoding(tmp_path: Path, pixels: bytes) -> None:
    members = {
        "a.png": pixels,
        "a.txt": "café".encode("utf-16"),
        "b.png": pixels,
        "b.json": '{"caption": "café"}'.encode("windows-1252"),
    }
    examples = read_examples(shard(tmp_path / "s.tar", members)).examples
    assert [example.captions for example in examples] == [("café",), ("café",)]


# ---- libraries


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    make_picture(folder / "2019" / "a.png", 1)
    make_picture(folder / "DCIM" / "b.png", 2)
    described, written = Image.new("RGB", (40, 30), "red"), Image.new("RGB", (40, 30), "blue")
    exif = described.getexif()
    exif[270] = "Anna jumps into the sea"
    described.save(folder / "DCIM" / "c.jpg", exif=exif)
    written.save(folder / "DCIM" / "d.jpg", xmp=XMP)
    return folder


def library_of(photos: Path) -> Path:
    with open_for_writing(photos / ".sightline", create=True) as writer:
        files = {found: found.relative for found in scan(photos, ScanRules()) if isinstance(found, FoundFile)}
        add_files(writer, writer.use_encoder(make_card()), files, photos)
    return photos / ".sightline"


def test_a_library_gives_what_is_written_in_files_or_their_folders(photos: Path) -> None:
    make_picture(photos / "05 Beach holiday" / "2019" / "e.png", 3)
    reading = read_examples(library_of(photos))
    assert captions(reading.examples) == {
        "c.jpg": ("Anna jumps into the sea",),
        "d.jpg": ("Two boats at dawn",),
        "e.png": ("Beach holiday",),
    }
    assert "left out images whose folder says nothing, such as 2019 or DCIM: 2" in reading.notes[-1]


def test_a_photo_folder_whose_names_say_nothing_is_read_as_its_library(photos: Path) -> None:
    library_of(photos)
    assert [example.captions for example in read_examples(photos).examples] == [
        ("Anna jumps into the sea",),
        ("Two boats at dawn",),
    ]


# ---- images


def test_an_image_is_opened_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter to the right
    Image.new("RGB", (40, 20)).save(tmp_path / "a.jpg", exif=exif)
    assert open_image(ImagePlace(tmp_path / "a.jpg")).size == (20, 40)


def test_an_image_that_cannot_be_decoded_raises(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no image")
    with pytest.raises(Undecodable):
        open_image(ImagePlace(tmp_path / "a.jpg"))


# ---- real data


@pytest.mark.skipif(not (SHARED / "pairs").exists(), reason="the shared pairs are not here")
def test_a_real_shard_of_captioned_photos_is_read_whole() -> None:
    examples = read_examples(SHARED / "pairs" / "flickr8k-dev.tar").examples
    assert len(examples) == 1000
    assert {len(example.captions) for example in examples} <= {4, 5}  # a few captions are there twice
    assert open_image(examples[-1].image).size == (144, 144)


@pytest.mark.skipif(not (SHARED / "labelled").exists(), reason="the shared classes are not here")
def test_a_real_tar_of_classes_is_read_whole() -> None:
    examples = read_examples(SHARED / "labelled" / "caltech101-train.tar").examples
    assert (len(examples), len({example.label for example in examples})) == (5784, 101)


def test_that_only_a_table_has_a_column_of_classes_is_told(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        make_pictures(tmp_path / name, 1)
    reading = read_examples(tmp_path, label_column="species")
    assert reading.notes[0] == "--label-column not heeded: class folders, and only a table has columns"
