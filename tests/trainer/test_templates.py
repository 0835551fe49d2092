import json
from pathlib import Path

import pytest

from indexer.errors import UsageError
from trainer.templates import ENSEMBLE, name_of, prompts, read_class_names, read_templates


def test_each_of_our_templates_is_another_sentence_with_one_place_for_the_name() -> None:
    assert len(set(ENSEMBLE)) == len(ENSEMBLE) >= 30
    assert all(template.count("{}") == 1 for template in ENSEMBLE)


def test_own_templates_are_read_without_remarks_and_empty_lines(tmp_path: Path) -> None:
    file = tmp_path / "templates.txt"
    file.write_text("# for our parts\na {} on the bench.\n\n  the {} in a box. \n")
    assert read_templates(file) == ("a {} on the bench.", "the {} in a box.")


def test_a_template_without_a_place_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "templates.txt"
    file.write_text("a {}\na photo of\n")
    with pytest.raises(UsageError, match=r"line 2: 'a photo of' has no \{\}"):
        read_templates(file)


def test_a_file_without_templates_is_refused(tmp_path: Path) -> None:
    (tmp_path / "templates.txt").write_text("# nothing\n")
    with pytest.raises(UsageError, match="has no templates"):
        read_templates(tmp_path / "templates.txt")


def test_other_braces_of_a_template_stay_as_they_are() -> None:
    assert prompts(["cat"], ["a {} {0.__class__} {x}"]) == ["a cat {0.__class__} {x}"]


def test_the_first_of_several_names_counts(tmp_path: Path) -> None:
    file = tmp_path / "names.json"
    file.write_text(json.dumps({"n01": "goldfish, Carassius auratus", "n02": "bull frog"}))
    names = read_class_names(file)
    assert (name_of("n01", names), name_of("n02", names)) == ("goldfish", "bull frog")


def test_a_label_without_a_name_is_read_as_words() -> None:
    assert name_of("red_fire-truck", {}) == "red fire truck"


@pytest.mark.parametrize("text", ["[1, 2]", '{"n01": 3}', "n01 goldfish", '{"n01": ""}'])
def test_a_file_of_another_form_is_refused_with_an_example(tmp_path: Path, text: str) -> None:
    (tmp_path / "names.json").write_text(text)
    with pytest.raises(UsageError, match="object of labels and names"):
        read_class_names(tmp_path / "names.json")


def test_prompts_go_name_by_name() -> None:
    assert prompts(["cat", "dog"], ["a {}", "{}"]) == ["a cat", "cat", "a dog", "dog"]
