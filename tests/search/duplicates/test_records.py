import hashlib
from pathlib import Path

from indexer.store.records import StoredImage
from search.duplicates.records import Evidence, Group, Level, Member


def image(name: str, size: int) -> StoredImage:
    path = Path("/photos") / name
    hashed = hashlib.sha256(name.encode()).digest()
    return StoredImage(1, path, name, hashed, 60, 40, "JPEG", None, None, None, None, size, 0)


def member(name: str, size: int, identity: tuple[int, int] | None) -> Member:
    return Member(image(name, size), Level.NEAR, 1.0, Evidence(), "the same picture", identity=identity)


def test_evidence_tells_a_distance_of_nothing() -> None:
    evidence = Evidence(hash_distance=0, seconds_apart=0.0, agreement=1.0)
    assert evidence.as_dict() == {"hash_distance": 0, "seconds_apart": 0.0, "agreement": 1.0}


def test_evidence_does_not_tell_what_is_not_so() -> None:
    assert Evidence(framed=False, turned="", marked=True).as_dict() == {"marked": True}


def test_several_names_of_one_file_take_its_room_once() -> None:
    names = [member(f"{number}.jpg", 500, (1, 7)) for number in range(3)]
    other = member("other.jpg", 30, (1, 8))
    assert Group(image("kept.jpg", 900), (*names, other)).freed == 530


def test_what_was_not_looked_at_counts_for_itself() -> None:
    members = tuple(member(f"{number}.jpg", 500, None) for number in range(3))
    assert Group(image("kept.jpg", 900), members).freed == 1500
