"""The CPU runtime: exported towers run by OpenVINO, without torch and open_clip.

A folder of towers holds image.xml and text.xml with their weights, tokenizer.json, and towers.json (the
encoder's card and the rules of its texts). It also keeps what OpenVINO compiled of them, by its version.
"""

import contextlib
import functools
import hashlib
import json
import os
import shutil
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import EncoderError
from ..records import EncoderCard, Preprocessing, Vectors
from ..workers import usable_cores
from .base import PixelBatch, checked_images, checked_texts, checked_vectors, prepared_batch, unit_rows
from .cache import whole_folder
from .quiet import brief, without_modules
from .tokenizer import TextRules, TextTokenizer

if TYPE_CHECKING:
    from PIL import Image

IMAGE_TOWER = "image.xml"
TEXT_TOWER = "text.xml"
TOWERS_FILE = "towers.json"
TOKENIZER_FILE = "tokenizer.json"

IMAGES_AT_ONCE = 16  # in one stream at most: four are 5 % slower, eight 3 %
TEXTS_AT_ONCE = 32
STREAMS_MAX = 8

Precision: TypeAlias = Literal["float32", "bfloat16"]
_HINTS = {"float32": "f32", "bfloat16": "bf16"}


class CannotRun(EncoderError):
    """OpenVINO is missing, or cannot run this model; torch still may."""


class TowersDamaged(EncoderError):
    """Exported towers that are not as they were written, or may not be: nothing was noted then."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(folder, reason)
        self.folder = folder
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"{self.folder} is damaged ({self.reason}); if the weights of its model are here or can be "
            "fetched, delete that folder: it is made anew"
        )


@functools.cache
def openvino_core() -> Any:
    """Start OpenVINO, without the conversion tools: importing those costs 0.1 s and reports to its maker."""
    try:
        with without_modules("openvino.tools.ovc", "openvino_telemetry"):
            import openvino
    except ImportError as error:
        raise CannotRun(f"OpenVINO cannot be loaded ({error})") from error
    if not hasattr(openvino, "convert_model"):
        openvino.convert_model = _convert_model  # the module is not ours alone
    return openvino.Core()


def _convert_model(*args: Any, **kwargs: Any) -> Any:
    """Stand in for openvino.convert_model until somebody calls it."""
    import openvino
    from openvino.tools.ovc import convert_model

    openvino.convert_model = convert_model
    return convert_model(*args, **kwargs)


def openvino_version() -> str:
    """Tell which OpenVINO this is."""
    openvino_core()
    return str(sys.modules["openvino"].__version__)


def check_process() -> None:
    """Refuse to go on in a fork: OpenVINO's threads stay with the parent, and whoever asks waits for ever."""
    if _first_process() != os.getpid():
        raise EncoderError(
            "this process was forked from one that has run a model, and OpenVINO cannot go on in it; start "
            "worker processes with 'spawn', as multiprocessing.get_context('spawn') does, or load the model "
            "after forking only"
        )


@functools.cache
def _first_process() -> int:
    """Give the process that first compiled a model; a fork inherits the answer."""
    return os.getpid()


@functools.cache
def fastest_precision() -> Precision:
    """Tell in what this processor computes fastest."""
    return (
        "bfloat16"
        if "BF16" in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        else "float32"
    )


def streams_here() -> int:
    """Count the streams that images are encoded in: as many as there are cores, up to eight.

    The threads of one stream wait for each other at every layer. While other processes decode they wait
    long: a stream for each core encodes 1.5 times as many images beside one decoding process (20 instead
    of 14 a second of ViT-B-32-256 on two cores; docs/decisions.md, 2026-11-22).
    """
    return min(usable_cores(), STREAMS_MAX)


class CompiledTower:
    """One tower, compiled for this processor; with one stream all cores work on one batch."""

    def __init__(
        self, file: Path, *, precision: Precision, keep_compiled: bool = True, streams: int = 1
    ) -> None:
        self.file = file
        self._lock = threading.Lock()
        check_process()
        openvino_core()
        try:
            self._compiled = _compile(file, precision, streams, keep_compiled=keep_compiled)
        except RuntimeError as error:  # the only kind OpenVINO raises
            raise _unopened(file, _told(error)) from error
        self._streams = streams

    def __call__(self, *inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Run one batch in one stream."""
        check_process()
        with self._lock:  # the compiled model has a single request of its own
            return np.array(self._compiled(inputs)[0], dtype=np.float32)

    def run_all(self, rows: NDArray[Any], *, at_once: int) -> NDArray[np.float32]:
        """Run rows (n, ...) in parts of so many, side by side in all streams; (n, dim), n at least 1."""
        parts: dict[int, NDArray[np.float32]] = {}
        check_process()
        with self._lock:
            for start in range(0, len(rows), at_once):
                self._requests.start_async(
                    [np.ascontiguousarray(rows[start : start + at_once])], (parts, start)
                )
            self._requests.wait_all()
        return np.concatenate([parts[start] for start in sorted(parts)])

    @functools.cached_property
    def _requests(self) -> Any:
        import openvino

        requests = openvino.AsyncInferQueue(self._compiled, self._streams)
        requests.set_callback(_keep_part)
        return requests


def noted_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Give what tells each file of a tower from a damaged one: its bytes, and their sha256, hexadecimal."""
    files = [file for tower in (IMAGE_TOWER, TEXT_TOWER) for file in _files_of(folder / tower)]
    return {file.name: {"bytes": file.stat().st_size, "sha256": _digest(file)} for file in files}


def _files_of(tower: Path) -> tuple[Path, Path]:
    return tower, tower.with_suffix(".bin")


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _unopened(tower: Path, reason: str) -> EncoderError:
    """Tell damage from a shortage, which passes, of memory or of files that may be open at once."""
    try:
        if (found := _damage(tower)) is not None:
            return TowersDamaged(tower.parent, found or reason)
    except OSError as error:
        reason = f"{reason}; {brief(error)}"
    return EncoderError(
        f"{tower} cannot be opened now ({reason}), and does not seem damaged; close what else uses memory or "
        "many files, and try again; if the weights of its model are here, deleting the folder helps too"
    )


def _damage(tower: Path) -> str | None:
    """Tell what is wrong with the files of a tower; "" where that cannot be told, None for nothing."""
    noted, written_by = _notes(tower.parent / TOWERS_FILE)
    if any(file.name not in noted for file in _files_of(tower)) or written_by != openvino_version():
        return ""  # another OpenVINO may not read what that one wrote
    for file in _files_of(tower):
        if not file.is_file():
            return f"{file.name} is gone"
        told = noted[file.name]
        if file.stat().st_size != told["bytes"] or _digest(file) != told["sha256"]:
            return f"{file.name} is not as it was written"
    return None


def _notes(file: Path) -> tuple[dict[str, Any], str | None]:
    """Give what was noted of each file, and by which OpenVINO they were written."""
    try:
        noted = json.loads(file.read_text(encoding="utf-8"))
        return dict(noted["files"]), noted.get("openvino")
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # patches, or an older program's towers
        return {}, None


def _told(error: RuntimeError) -> str:
    """Give the line of OpenVINO's error that says what happened, after those that say where."""
    lines = [line.strip() for line in str(error).splitlines()]
    telling = [line for line in lines if line and not line.startswith(("Exception from", "Check "))]
    return brief(RuntimeError(telling[0])) if telling else brief(error)


def _keep_part(request: Any, place: tuple[dict[int, NDArray[np.float32]], int]) -> None:
    parts, start = place
    parts[start] = np.array(request.get_output_tensor(0).data, dtype=np.float32)


def _compile(file: Path, precision: Precision, streams: int, *, keep_compiled: bool) -> Any:
    # With one stream LATENCY: measured 2x faster than THROUGHPUT with one batched stream.
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": _HINTS[precision]}
    if streams > 1:
        options.update(PERFORMANCE_HINT="THROUGHPUT", NUM_STREAMS=str(streams))
    if not keep_compiled:
        return openvino_core().compile_model(file, "CPU", options)
    name = f"{file.stem}-{_openvino_version()}-{_HINTS[precision]}"
    kept = file.parent / (name if streams == 1 else f"{name}-{streams}")
    # Larger on disk than CACHE_MODE=OPTIMIZE_SIZE, but opened in half the time.
    options["CACHE_MODE"] = "OPTIMIZE_SPEED"
    if kept.is_dir():
        return openvino_core().compile_model(file, "CPU", {**options, "CACHE_DIR": str(kept)})
    try:
        with whole_folder(kept) as beside:
            return openvino_core().compile_model(file, "CPU", {**options, "CACHE_DIR": str(beside)})
    except OSError:  # a cache that cannot be written
        return openvino_core().compile_model(file, "CPU", options)


def _openvino_version() -> str:
    import openvino

    return str(openvino.__version__).split("-")[0]


@dataclass(frozen=True)
class Towers:
    """What towers.json tells of a folder of exported towers."""

    folder: Path
    card: EncoderCard
    rules: TextRules
    format: int  # names.EXPORT_FORMAT of the program that wrote it
    tokenizer: str | None = None  # as names.own_tokenizer told it then; None also where that was not noted


def read_towers(folder: Path) -> Towers | None:
    """Read a folder of exported towers; None when it is none of ours."""
    try:
        stored = json.loads((folder / TOWERS_FILE).read_text(encoding="utf-8"))
        card, rules = _card(stored["card"]), TextRules(**stored["rules"])
        return Towers(folder, card, rules, int(stored.get("format", 1)), stored.get("tokenizer"))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _card(stored: dict[str, Any]) -> EncoderCard:
    fields = dict(stored["preprocessing"])
    fields.update(mean=tuple(fields["mean"]), std=tuple(fields["std"]))
    return EncoderCard(**{**stored, "preprocessing": Preprocessing(**fields)})


def discard_towers(folder: Path) -> None:
    """Throw a folder of towers away, one that proved damaged."""
    shutil.rmtree(folder, ignore_errors=True)


class OpenVinoEncoder:
    """Exported towers as an encoder; each tower is opened when first used."""

    def __init__(self, towers: Towers, *, name: str | None = None, batch_size: int | None = None) -> None:
        self._towers = towers
        self._name = name or towers.card.name
        self._streams = streams_here()
        self.batch_size = batch_size or IMAGES_AT_ONCE * self._streams

    @property
    def _precision(self) -> Precision:
        exact = self._towers.card.precision == "float32"  # bfloat16 did not agree with torch
        return "float32" if exact else fastest_precision()

    @functools.cached_property
    def card(self) -> EncoderCard:
        """Say who we are."""
        return replace(self._towers.card, name=self._name, precision=self._precision)

    @functools.cached_property
    def _images(self) -> CompiledTower:
        file = self._towers.folder / IMAGE_TOWER
        return CompiledTower(file, precision=self._precision, streams=self._streams)

    @functools.cached_property
    def _texts(self) -> CompiledTower:
        return CompiledTower(self._towers.folder / TEXT_TOWER, precision=self._precision)

    @functools.cached_property
    def _tokenizer(self) -> TextTokenizer:
        return TextTokenizer(self._towers.folder / TOKENIZER_FILE, self._towers.rules)

    def encode_pixels(self, pixels: PixelBatch) -> Vectors:
        """Encode images that `prepare` has brought to the input size."""
        share = -(-len(pixels) // self._streams)  # a small batch keeps all streams busy too
        return self._encode(self._images, pixels, min(share, IMAGES_AT_ONCE))

    def encode_images(self, images: "Sequence[Image.Image]") -> Vectors:
        """Encode Pillow images of any size and mode."""
        images = checked_images(images)
        size, preprocessing = self.batch_size, self._towers.card.preprocessing
        batches = [images[start : start + size] for start in range(0, len(images), size)]
        # While one batch is encoded the next is prepared: a fifth of the time, with the built-in model.
        with ThreadPoolExecutor(max_workers=1) as pool:
            prepared = pool.map(lambda batch: prepared_batch(batch, preprocessing), batches)
            parts = [self.encode_pixels(pixels) for pixels in prepared]
        return np.concatenate([np.empty((0, self._towers.card.dimension), np.float32), *parts])

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """Encode texts; over-long ones are cut."""
        ids = self._tokenizer.trimmed_ids(checked_texts(texts))
        return self._encode(self._texts, ids, TEXTS_AT_ONCE)

    def _encode(self, tower: CompiledTower, rows: NDArray[Any], at_once: int) -> Vectors:
        if not len(rows):
            return np.empty((0, self._towers.card.dimension), dtype=np.float32)
        vectors = tower.run_all(rows, at_once=at_once)
        if not np.isfinite(vectors).all() and (damage := _damage(tower.file)):
            raise TowersDamaged(tower.file.parent, damage)  # of a kind that OpenVINO opens
        return unit_rows(checked_vectors(vectors, self._name))

    def open_images(self) -> None:
        """Open the image tower now, so that damage shows before any work is done."""
        _ = self._images

    def open_texts(self) -> None:
        """Open the text tower now, and its tokenizer meanwhile: compiling leaves Python free."""
        thread = threading.Thread(target=self._open_tokenizer, daemon=True)
        thread.start()
        _ = self._texts
        thread.join()

    def _open_tokenizer(self) -> None:
        with contextlib.suppress(Exception):  # raised again where the tokenizer is used
            _ = self._tokenizer
