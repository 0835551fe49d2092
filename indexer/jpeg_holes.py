"""JPEG holes: whether a part of a JPEG's coded picture was replaced by zeros.

That is what a disk's bad sectors, a recovery and a download that was cut off leave in a file of full length.
libjpeg decodes it without an error, to a picture that is grey or shifted from there on.

Sound files have such zeros too, since a code of zeros alone may say "nothing changes": for white pages and
black bars, in files whose tables were made for them. The tables tell: the usual ones, which cameras write,
have no such code for brightness. Where the zeros may mean that the file is taken for whole. Zeros up to the
end of the file may only fill it up; then decoding without them tells whether a part of the picture is there.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from .opening import INDEXED_MEGAPIXELS_MAX, Undecodable, open_upright

HOLE_BYTES: Final = 512  # a disk's sector, the least that gets lost

_READ_AHEAD_BYTES: Final = 16  # beyond the last code; zeros that long tell hardly a block of the picture
_ZEROS: Final = bytes(HOLE_BYTES)
_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # that ends a scan: no restart, no stuffed byte
_TABLES, _SCAN, _END = 0xC4, 0xDA, 0xD9
_PROGRESSIVE: Final = 0xC2
_OTHER_CODING: Final = frozenset(range(0xC3, 0xD0)) - {_TABLES}  # lossless, hierarchical, arithmetic
_ALTERNATING: Final = 0x10  # in the number of a table: not of the first coefficient but of the others
_NOTHING: Final = 0x00  # a symbol: the first coefficient is as before, or all the others are none


@dataclass(frozen=True, slots=True)
class _Scan:
    start: int  # of its coded data, in the file
    end: int
    progressive: bool
    header: bytes
    zero_codes: Mapping[int, int]  # table -> the symbol whose code is zeros alone

    def may_be_zeros(self) -> bool:
        """Tell whether zeros in here may say that nothing changes."""
        *_, first_coefficient, _, step = self.header
        tables = self.header[2:-3:2]  # one a component: high half for the first coefficient, low for the rest
        starts = [self.zero_codes.get(table >> 4) == _NOTHING for table in tables]
        rests = [self.zero_codes.get(_ALTERNATING | table & 15) == _NOTHING for table in tables]
        if not self.progressive:
            return all(starts) and all(rests)
        if first_coefficient > 0:
            return all(rests)
        return step >> 4 > 0 or all(starts)  # a refinement is plain bits


def has_hole(data: bytes) -> bool:
    """Tell whether a whole sector of zeros lies in a JPEG's coded picture, where no encoder puts any."""
    if data.find(_ZEROS) < 0:  # the most
        return False
    return any(_lies_in(scan, data) for scan in _scans(data) if not scan.may_be_zeros())


def _lies_in(scan: _Scan, data: bytes) -> bool:
    at = data.find(_ZEROS, scan.start, scan.end)
    if at < 0:
        return False
    if data[at : scan.end].strip(b"\0"):
        return True
    if scan.end == len(data):
        return not _shows_all(data[: at + _READ_AHEAD_BYTES])
    return data[scan.end + 1 : scan.end + 2] != bytes((_END,))  # right before it they only fill the file up


def _shows_all(data: bytes) -> bool:
    """Tell whether a JPEG without its end holds all of the picture."""
    try:
        return not open_upright(data, target=(1, 1), max_megapixels=INDEXED_MEGAPIXELS_MAX)[1].damaged
    except Undecodable:
        return False


def _scans(data: bytes) -> Iterator[_Scan]:
    """Yield the scans of a file's first picture, as far as its segments can be followed."""
    progressive = False
    zero_codes: dict[int, int] = {}
    at = 2
    while (marker := _marker_at(data, at)) is not None and marker != _END and marker not in _OTHER_CODING:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        content = data[at + 4 : at + 2 + length]
        at += 2 + length
        progressive |= marker == _PROGRESSIVE
        if marker == _TABLES:
            zero_codes = zero_codes | _zero_codes(content)
        elif marker == _SCAN and len(content) >= 6:
            found = _MARKER.search(data, at)
            end = found.start() if found else len(data)
            yield _Scan(at, end, progressive, content, zero_codes)
            at = end


def _marker_at(data: bytes, at: int) -> int | None:
    while data[at : at + 2] == b"\xff\xff":  # may fill up
        at += 1
    return data[at + 1] if at + 1 < len(data) and data[at] == 0xFF else None


def _zero_codes(content: bytes) -> dict[int, int]:
    """Give the first symbol of each Huffman table: the codes are counted up from zero."""
    found: dict[int, int] = {}
    at = 0
    while at + 17 < len(content):
        found[content[at]] = content[at + 17]
        at += 17 + sum(content[at + 1 : at + 17])
    return found
