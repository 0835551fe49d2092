"""Reasons: why an image is held to be a duplicate, in words."""

from indexer.store.records import StoredImage

from .giving_up import GIVEN_UP_COVERED_MIN
from .records import Evidence, Level


def explain(level: Level, evidence: Evidence, image: StoredImage, keep: StoredImage) -> str:
    """Say in words why an image is held to be a duplicate of the kept one."""
    if level is Level.EXACT:
        return "the same bytes"
    if level is Level.PIXEL:
        return (
            "the same pixels in another file"
            if image.format == keep.format
            else f"the same pixels as {image.format}"
        )
    if level is Level.SIMILAR and evidence.agreement is None:
        return _alike(evidence)
    said = ["the same picture" if level is Level.NEAR else "the same scene"]
    if evidence.turned:
        said.append(evidence.turned)
    if evidence.framed:
        said.append("in a frame")
    if evidence.damaged:
        said.append("of which a part is lost")
    elif evidence.marked:
        said.append("but for something put on one of them")
    if (image.width, image.height) != (keep.width, keep.height):
        said.append(f"{image.width} x {image.height} instead of {keep.width} x {keep.height}")
    if evidence.covered is not None and evidence.covered < GIVEN_UP_COVERED_MIN and not evidence.framed:
        said.append(f"the kept one shows {evidence.covered:.0%} of it")
    if evidence.agreement is not None and evidence.agreement < 0.995:
        said.append(f"{evidence.agreement:.0%} of it unchanged")
    return ", ".join(said)


def _alike(evidence: Evidence) -> str:
    """Say why pictures are of one scene that were not laid over each other."""
    said = []
    if evidence.seconds_apart is not None:
        said.append(f"taken by the same camera {evidence.seconds_apart:.0f} s apart")
    if evidence.nearness is not None:
        times = 1 / max(evidence.nearness, 0.01)
        said.append(f"alike: {times:.0f} times nearer to each other than to other pictures")
    return ", ".join(said)
