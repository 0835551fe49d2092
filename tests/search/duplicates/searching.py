"""Searching a folder of pictures for duplicates, for the tests of what is found and kept."""

from pathlib import Path

from PIL import ExifTags, Image

from indexer.pipeline import IndexSettings, index_folders
from indexer.store.library import open_library
from search.duplicates.finder import DuplicateReport, Question, find_duplicates


def found(report: DuplicateReport) -> dict[str, dict[str, str]]:
    return {
        group.keep.path.name: {member.image.path.name: member.level.value for member in group.members}
        for group in report.groups
    }


def from_camera() -> Image.Exif:
    """Make what a camera tells of a photo."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "Canon", "EOS 5D"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2019:05:03 14:02:11"
    return exif


def search(folder: Path, question: Question | None = None) -> dict[str, dict[str, str]]:
    index_folders(
        folder.parent / "library", [folder], IndexSettings(model="builtin", device="cpu", workers=1)
    )
    with open_library(folder.parent / "library") as reader:
        return found(find_duplicates(reader, question or Question()))
