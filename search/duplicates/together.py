"""Together: which files must stay on one side when a collection is split for training and testing."""

from dataclasses import dataclass
from pathlib import Path

from indexer.store.reader import LibraryReader
from indexer.store.records import StoredImage

from .finder import Question, all_images, find_pairs
from .grouping import Joined
from .judging import LOOSE, Pair
from .proposing import Progress
from .records import Level


@dataclass(frozen=True, slots=True)
class Together:
    """All files, in groups that a split must not cut."""

    groups: tuple[tuple[StoredImage, ...], ...]
    unreadable: tuple[tuple[Path, str], ...]  # what could be compared by its bytes alone


def stay_together(
    reader: LibraryReader, question: Question, *, progress: Progress = lambda *_: None
) -> Together:
    """Group all files of a library, or of the folder asked about; every file is in one group.

    Files are in one group when any chain of duplicates at the level asked for joins them: what is like a
    picture of the test part must not be learned from, however the likeness was passed on. The bar is that of
    `leaks`, looser than for deleting. Raises LibraryEmpty, DiskFull.
    """
    with reader.snapshot():
        images = all_images(reader, question.folder)
        joined = Joined(images)

        def is_open(pair: Pair) -> bool:
            return not joined.are_together(pair.first, pair.second)

        unreadable: dict[Path, str] = {}
        if question.level is not Level.EXACT:  # files of the same bytes are one content already
            found = find_pairs(
                reader, question, images, worth=is_open, bars=LOOSE, progress=progress, unreadable=unreadable
            )
            for pair in found:
                joined.join(pair.first, pair.second)
    groups = (tuple(image for content in group for image in images[content]) for group in joined.groups())
    return Together(tuple(groups), tuple(unreadable.items()))
