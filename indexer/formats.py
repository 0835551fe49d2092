"""Formats: which files may be images, told by their names and by their first bytes."""

from typing import Final

HEAD_BYTES: Final = 64  # enough for every signature below


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Pillow reads many more; these are the ones people keep pictures in, and we have tried hostile files on.
IMAGE_EXTENSIONS: Final = _names(
    "jpg jpeg jpe jfif pjpeg png apng webp gif bmp dib tif tiff avif avifs heic heif hif heics heifs ico cur "
    "pbm pgm ppm pnm jp2 j2k j2c jpc jpf jpx"
)
RAW_EXTENSIONS: Final = _names(
    "3fr ari arw cr2 cr3 crw dcr dng erf fff gpr iiq k25 kdc mef mos mrw nef nrw orf pef raf raw rw2 rwl "
    "sr2 srf srw x3f"
)
# A camera writes the same picture as one of these beside the RAW.
RAW_COMPANIONS: Final = _names("jpg jpeg jpe heic heif hif")

SEVERAL_PICTURES: Final = frozenset(("GIF", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"))  # can be in one file

# Files that stand in masses beside pictures, or are large: looking into each costs a seek on every run.
# Vague names (.txt, .dat, .bin, .tmp, none at all) are not here: they are looked into.
OTHER_EXTENSIONS: Final = _names(
    # side files
    "xmp aae thm lrv pp3 dop cos on1 json xml yaml yml ini db db3 sqlite lrcat lrdata nfo log url lnk "
    # sound and film
    "mp4 m4v mov avi mkv mpg mpeg mts m2ts webm wmv flv 3gp vob mp3 m4a wav flac ogg opus aac wma srt "
    # bundles
    "zip 7z rar gz tgz bz2 xz zst tar iso dmg exe msi deb rpm apk jar dll so dylib a o lib pyc whl "
    # documents and code
    "pdf doc docx xls xlsx ppt pptx odt ods odp epub mobi csv tsv md rst tex py pyi js mjs ts tsx jsx css "
    "scss html htm svg c h cc cpp hpp cs go rs java kt swift rb php sh bat ps1 sql lock toml cfg conf "
    "ttf otf woff woff2 faiss npy npz pt pth safetensors onnx parquet"
)

_OTHER_KINDS: Final = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"8BPS", "a Photoshop document"),
    (b"%!PS", "a PostScript document"),
    (b"\x1aE\xdf\xa3", "a Matroska video"),
    (b"RIFF", "a sound or video file"),
    (b"ID3", "a sound file"),
    (b"OggS", "a sound file"),
    (b"SQLite format 3", "a database"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"\x00\x05\x16\x07", "a macOS side file"),
    (b"bplist", "a macOS settings file"),
)


def extension(name: str) -> str:
    """Give what follows the last dot, in lower case; empty for none."""
    stem, dot, last = name.rpartition(".")
    return last.lower() if dot and stem else ""


def sniff(head: bytes) -> str | None:
    """Name the image format a file begins like, in Pillow's words; None when it begins like none."""
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "TIFF"
    if head[4:8] == b"ftyp":
        return _sniff_brand(head)
    if head.startswith((b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")):
        return "JPEG2000"
    return _sniff_weak(head)


def _sniff_brand(head: bytes) -> str | None:
    """Tell AVIF from HEIF by the brands in the first box."""
    length = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(12, length - 3, 4))]
    if any(brand in (b"avif", b"avis") for brand in brands):
        return "AVIF"
    heif = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1")
    return "HEIF" if any(brand in heif for brand in brands) else None


def _sniff_weak(head: bytes) -> str | None:
    """Judge the signatures so short that other files have them by accident: look a little further."""
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in (12, 16, 40, 52, 56, 64, 108, 124):
        return "BMP"
    if head[:4] in (b"\0\0\1\0", b"\0\0\2\0") and len(head) >= 22 and 0 < head[4] <= 64 and head[9] == 0:
        return "CUR" if head[2] == 2 else "ICO"
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3] in b" \t\r\n" and len(head) > 6:
        after = head[2:].lstrip()[:1]
        return "PPM" if after == b"#" or after.isdigit() else None
    return None


def describe_other(head: bytes) -> str:
    """Say in words what a file that is no image seems to be."""
    for signature, kind in _OTHER_KINDS:
        if head.startswith(signature):
            return f"it begins like {kind}"
    if head[4:8] == b"ftyp" and head[8:10] in (b"is", b"mp", b"qt", b"M4", b"av", b"3g", b"XA"):
        return "it begins like a video"
    if not head.strip(b"\0"):
        return "it begins with zeros"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "it is a web page"
    if text.startswith((b"<svg", b"<?xml")):
        return "it is XML text, perhaps a drawing"
    if all(32 <= byte < 127 or byte in b"\t\r\n\f" for byte in head):
        return "it is plain text"
    return "its content is of no known image format"
