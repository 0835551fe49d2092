from pathlib import Path

from trainer.examples import Example, ImagePlace
from trainer.nouns import IMAGES_MIN, named_things


def examples(*captions: tuple[str, ...], times: int = IMAGES_MIN) -> list[Example]:
    return [Example(ImagePlace(Path(f"{n}.jpg")), each) for n, each in enumerate(captions * times)]


def test_nouns_end_their_phrases_and_adjectives_and_verbs_do_not():
    found = named_things(
        examples(("a brown dog is running on the wet grass",), ("two dogs run through deep water",))
    )
    assert set(found.nouns) == {"dog", "grass", "water"}


def test_a_plural_is_its_singular_where_that_is_named_too():
    found = named_things(
        examples(("two women in a bus",), ("a woman near buses",), ("grass", "glasses", "a photo of glass"))
    )
    assert {"woman", "bus", "grass", "glass"} == set(found.nouns) - {"photo"}


def test_an_image_names_what_any_of_its_captions_names():
    found = named_things(examples(("a dog on a lawn", "an animal"), ("a cat",)))
    dog, cat, animal = (found.nouns.index(noun) for noun in ("dog", "cat", "animal"))
    assert found.named[0, [dog, cat, animal]].tolist() == [True, False, True]
    assert found.named[1, [dog, cat, animal]].tolist() == [False, True, False]


def test_what_few_images_name_is_left_out():
    rare = examples(("a heron",), times=IMAGES_MIN - 1)
    assert named_things(rare).nouns == ()
    assert named_things([]).nouns == ()
