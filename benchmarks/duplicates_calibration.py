"""Where to put the bar of a near duplicate: false pairs per million, and edits found, at every bar.

It looks again at the set of `duplicates_quality.py` in the same --work, with bars far too low, and then asks
of each bar which pairs would have passed. False pairs are counted among the distractors: `--true-pairs` names
a file of those pairs of them that are true copies, two names a line, so that they do not count as false.
--model: the encoder that proposes candidates beside hashes and marks; a strong one proposes more of both.

    python benchmarks/duplicates_calibration.py --work W [--model ViT-B-32/...] [--true-pairs FILE]
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from duplicates_quality import EDITS
from workplace import parse_workplace

from indexer.backfill import fill_features
from indexer.pipeline import IndexSettings, index_folders
from indexer.store.library import open_library
from search.duplicates.finder import Question, find_pairs
from search.duplicates.judging import INLIERS_MIN, STRICT, Bars, Pair
from search.duplicates.records import DuplicatePair, Level

LOWEST = Bars(agreement=0.5, inliers=8, covered=0.25)
AGREEMENTS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
INLIERS = (8, INLIERS_MIN, 20)


@dataclass(frozen=True)
class Seen:
    """A pair that passed the lowest bars."""

    names: tuple[str, str]
    agreement: float
    inliers: int | None  # None: laid over whole, as its hashes said

    def passes(self, agreement: float, inliers: int) -> bool:
        """Tell whether it would pass these bars."""
        return self.agreement >= agreement and (self.inliers is None or self.inliers >= inliers)


def look(library: Path) -> tuple[list[Seen], int]:
    """Judge what originals, edits and distractors propose; also gives the number of distractors."""
    with open_library(library) as reader:
        ids, _, _ = reader.fingerprints()
        images = reader.images(ids.tolist())
        name = {content: copies[0].path.name for content, copies in images.items()}

        def worth(pair: Pair) -> bool:
            one, other = name[pair.first], name[pair.second]
            edits = [each for each in (one, other) if "-" in each]
            same_photo = one.split("-")[0] == other.split("-")[0] and "original" in one + other
            return not edits or (len(edits) == 2 and same_photo)

        question = Question(Level.NEAR, turned=True)
        found = [_seen(pair, name) for pair in find_pairs(reader, question, images, worth=worth, bars=LOWEST)]
    return found, sum("-" not in each for each in name.values())


def _seen(pair: DuplicatePair, name: dict[int, str]) -> Seen:
    evidence = pair.towards(pair.first)
    one, other = sorted((name[pair.first], name[pair.second]))
    return Seen((one, other), evidence.agreement or 0.0, evidence.inliers)


def main() -> None:
    """Look, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="builtin", help="the encoder that proposes candidates")
    parser.add_argument(
        "--true-pairs", type=Path, help="pairs of distractors that are true, two names a line"
    )
    work, arguments = parse_workplace(parser)
    folder = work.folder / "duplicates"
    if not (folder / "set/done").exists():
        sys.exit(f"{folder / 'set'}: no set; run duplicates_quality.py with this --work first")
    index_folders(folder / "library", [folder / "set"], IndexSettings(model=arguments.model))
    fill_features(folder / "library")
    found, distractors = look(folder / "library")
    _print_table(found, distractors, _read_pairs(arguments.true_pairs))


def _read_pairs(file: Path | None) -> set[tuple[str, str]]:
    lines = file.read_text().splitlines() if file else []
    return {tuple(sorted(line.split())) for line in lines if line.strip()}  # type: ignore[misc]


def _print_table(found: list[Seen], distractors: int, true: set[tuple[str, str]]) -> None:
    edits = [seen for seen in found if "-" in seen.names[0]]
    false = [seen for seen in found if "-" not in seen.names[0] and seen.names not in true]
    photos = len({seen.names[0].split("-")[0] for seen in edits})
    millions = distractors * (distractors - 1) / 2 / 1e6
    print(f"{photos} photos x {len(EDITS)} edits, {distractors} distractors: {millions:.1f} million pairs\n")
    print(
        "| agreement | " + " | ".join(f"{n} features: false a million / edits found" for n in INLIERS) + " |"
    )
    print("|---" * (len(INLIERS) + 1) + "|")
    for agreement in AGREEMENTS:
        cells = [
            f"{sum(s.passes(agreement, n) for s in false) / millions:.2f} / "
            f"{sum(s.passes(agreement, n) for s in edits) / (photos * len(EDITS)):.3f}"
            for n in INLIERS
        ]
        ours = " (ours)" if agreement == STRICT.agreement else ""
        print(f"| {agreement}{ours} | " + " | ".join(cells) + " |")
    for seen in sorted(false, key=lambda seen: -seen.agreement):
        if seen.passes(STRICT.agreement, STRICT.inliers):
            print(f"counted false at our bars: {seen}", file=sys.stderr)


if __name__ == "__main__":
    main()
