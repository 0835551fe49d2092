from trainer.builtin.kinds import kinds_of


def test_a_breed_is_a_dog() -> None:
    assert kinds_of("golden retriever") == ("dog",)


def test_a_thing_can_be_of_several_kinds() -> None:
    assert {"boat", "sailing boat", "ship", "water"} <= set(kinds_of("ketch"))


def test_a_plain_name_needs_no_other() -> None:
    assert kinds_of("camera") == ()
