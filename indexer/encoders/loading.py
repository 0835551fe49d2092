"""Loading: from a model's name, or a library's card, to an encoder that runs here."""

import errno
import shlex
from collections.abc import Callable
from pathlib import Path

from ..errors import EncoderError, EncoderMismatch, SightlineError, WeightsUnavailable
from ..records import EncoderCard
from .base import Encoder
from .cache import towers_folder
from .device import choose_device
from .models import available_models, choose_auto
from .names import EXPORT_FORMAT, ModelFiles, architecture_of, canonical, own_tokenizer, resolve
from .openvino import (
    CannotRun,
    OpenVinoEncoder,
    Towers,
    TowersDamaged,
    discard_towers,
    read_towers,
)
from .quiet import brief

__all__ = ["available_models", "choose_auto", "load_encoder", "load_encoder_for", "load_text_encoder"]

AUTO = "auto"
RUNTIMES = ("auto", "openvino", "torch")

Notify = Callable[[str], None]
OpenPart = Callable[[OpenVinoEncoder], None]


def load_encoder(
    name: str,
    *,
    device: str = "auto",
    runtime: str = "auto",
    batch_size: int | None = None,
    notify: Notify | None = None,
) -> Encoder:
    """Load an encoder by name; `notify` is told in one line what takes time or is done in another way."""
    tell = notify or _say_nothing
    place = choose_device(device)
    if name == AUTO:
        name = choose_auto(tell, place, runtime)
    if not wants_openvino(runtime, place):
        return _torch_encoder(resolve(name, tell), place, batch_size, tell)
    try:
        return _openvino_encoder(name, batch_size, tell)
    except CannotRun as error:
        if runtime == "openvino":
            raise
        tell(f"{error}; running {name} with torch, which is slower")
        return _torch_encoder(resolve(name, tell), place, batch_size, tell)


def load_text_encoder(card: EncoderCard, *, notify: Notify | None = None) -> Encoder:
    """Load what encodes queries for a library with this card: from the cache, without torch and open_clip."""
    return _load_stored(card, "cpu", "auto", None, notify or _say_nothing, OpenVinoEncoder.open_texts)


def load_encoder_for(
    card: EncoderCard,
    *,
    device: str = "auto",
    runtime: str = "auto",
    batch_size: int | None = None,
    notify: Notify | None = None,
) -> Encoder:
    """Load the encoder a library was indexed with; the very weights, not only the name."""
    tell, open_part = notify or _say_nothing, OpenVinoEncoder.open_images
    return _load_stored(card, choose_device(device), runtime, batch_size, tell, open_part)


def _load_stored(
    card: EncoderCard,
    place: str,
    runtime: str,
    batch_size: int | None,
    tell: Notify,
    open_part: OpenPart,
) -> Encoder:
    damaged: TowersDamaged | None = None
    if wants_openvino(runtime, place):
        try:
            if cached := _cached_encoder(card, batch_size, open_part, tell):
                return cached
        except TowersDamaged as error:
            damaged = error
    _check_weights(card, damaged, tell)
    if damaged is not None:  # not before: where it cannot be made anew, it may be all there is
        discard_towers(damaged.folder)
    encoder = load_encoder(card.name, device=place, runtime=runtime, batch_size=batch_size, notify=tell)
    if not encoder.card.same_space(card):
        raise EncoderMismatch(encoder.card.name, (card.name,))
    return encoder


def _check_weights(card: EncoderCard, damaged: TowersDamaged | None, tell: Notify) -> None:
    """Raise WeightsUnavailable unless the weights of a card are here."""
    try:
        files = resolve(card.name, tell)
    except SightlineError as error:
        if damaged is None:
            raise
        raise EncoderError(
            f"{damaged.folder} cannot be opened ({damaged.reason}), nor be made anew: {error}"
        ) from damaged
    if files.weights_hash != card.weights_hash:
        raise WeightsUnavailable(
            card.name,
            "this library was indexed with other weights of that name; restore them, or index it anew with: "
            f"sightline index --model {shlex.quote(card.name)}",
        )


def was_renamed(card: EncoderCard) -> bool:
    """Tell whether a card names its network by the hash that an older program gave it."""
    try:
        files = resolve(card.name, _say_nothing, fetch=False)
    except (SightlineError, OSError):  # it is not here, or cannot be read: what was exported goes on
        return False
    return card.weights_hash == files.former_hash != files.weights_hash


def _say_nothing(_line: str) -> None:
    return None


def wants_openvino(runtime: str, place: str) -> bool:
    if runtime not in RUNTIMES:
        raise EncoderError(f"runtime {runtime!r} is unknown; use {', '.join(RUNTIMES)}")
    if runtime == "openvino" and place != "cpu":
        raise EncoderError(f"OpenVINO runs on the CPU only, not on {place}; use --device cpu")
    return runtime == "openvino" or (runtime == "auto" and place == "cpu")


# -- OpenVINO ----------------------------------------------------------------------------------------


def _openvino_encoder(name: str, batch_size: int | None, tell: Notify) -> Encoder:
    try:
        files = resolve(name, tell)
    except WeightsUnavailable:
        if (kept := _exported_as(canonical(name))) is None:
            raise
        return OpenVinoEncoder(kept, batch_size=batch_size)
    exported = read_towers(towers_folder() / files.export_key)
    if exported is not None:
        try:
            return _opened(exported, files.name, batch_size)
        except TowersDamaged as error:  # made anew, as the weights are here
            discard_towers(error.folder)
    return _opened(_export(files, tell), files.name, batch_size)


def _export(files: ModelFiles, tell: Notify) -> Towers:
    from .text_files import text_files

    with text_files(files, tell) as (tokenizer, rules):
        try:
            from .export import export_towers

            folder = export_towers(files, tokenizer, rules, tell)
        except TowersDamaged as error:  # what was just written
            raise CannotRun(f"OpenVINO cannot take {files.name} ({error.reason})") from error
        except SightlineError:
            raise
        except OSError as error:
            raise CannotRun(_unwritten(files, error)) from error
        except Exception as error:  # whatever torch or OpenVINO stumble over, torch alone may still run it
            raise CannotRun(f"OpenVINO cannot take {files.name} ({brief(error)})") from error
    towers = read_towers(folder)
    if towers is None:
        raise CannotRun(f"{folder} cannot be read")
    return towers


def _unwritten(files: ModelFiles, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"{error.filename or towers_folder()}: the disk is full, {files.name} cannot be prepared there"
    return f"OpenVINO cannot take {files.name} ({brief(error)})"


def _opened(
    towers: Towers, name: str, batch_size: int | None, open_part: OpenPart = OpenVinoEncoder.open_images
) -> OpenVinoEncoder:
    encoder = OpenVinoEncoder(towers, name=name, batch_size=batch_size)
    open_part(encoder)
    return encoder


def _cached_encoder(
    card: EncoderCard, batch_size: int | None, open_part: OpenPart, tell: Notify
) -> Encoder | None:
    """Open exported towers of a card; those of an older program only where none can be made anew.

    Raises TowersDamaged where damaged ones are all there is.
    """
    found = _towers_of(card)
    if found and found[0].format < EXPORT_FORMAT and (renewed := _renewed(card, batch_size, tell)):
        return renewed
    damaged: list[TowersDamaged] = []
    for towers in found:
        try:
            opened = _opened(towers, card.name, batch_size, open_part)
        except CannotRun:
            return None
        except TowersDamaged as error:
            damaged.append(error)
        else:
            for each in damaged:  # which are not all there is
                discard_towers(each.folder)
            return opened
    if damaged:
        raise damaged[0]
    return None


def _towers_of(card: EncoderCard) -> list[Towers]:
    """Find exported towers of a card, best first; the name may differ, architecture and tokenizer not."""
    folders: list[Path] = sorted(towers_folder().glob(f"{card.weights_hash[:24]}-*"))
    found = [towers for folder in folders if (towers := read_towers(folder)) is not None]
    tokenizer = own_tokenizer(card.name)
    fitting = [
        towers
        for towers in found
        if _fits(towers.card, card) and not (towers.tokenizer and tokenizer not in (None, towers.tokenizer))
    ]
    return sorted(fitting, key=lambda towers: (-towers.format, towers.card.name != card.name))


def _renewed(card: EncoderCard, batch_size: int | None, tell: Notify) -> Encoder | None:
    """Export anew what an older program has exported; None where the weights are not here."""
    try:
        files = resolve(card.name, tell, fetch=False)
        if files.weights_hash != card.weights_hash:
            return None
        encoder = _opened(_export(files, tell), files.name, batch_size)
    except SightlineError:
        return None
    return encoder if encoder.card.same_space(card) else None


def _fits(exported: EncoderCard, wanted: EncoderCard) -> bool:
    same_name = exported.name == wanted.name
    return exported.same_space(wanted) and (
        same_name or architecture_of(exported.name) == architecture_of(wanted.name)
    )


def _exported_as(name: str) -> Towers | None:
    """Find exported towers by name, for weights that are no longer here."""
    folders: list[Path] = sorted(towers_folder().glob("*-*"))
    found = (read_towers(folder) for folder in folders)
    return next((towers for towers in found if towers is not None and towers.card.name == name), None)


# -- torch -------------------------------------------------------------------------------------------


def _torch_encoder(files: ModelFiles, place: str, batch_size: int | None, tell: Notify) -> Encoder:
    from .openclip import TorchEncoder
    from .text_files import text_files
    from .tokenizer import TextTokenizer

    with text_files(files, tell) as (tokenizer, rules):
        loaded = TextTokenizer(tokenizer, rules)
    return TorchEncoder(files, loaded, device=place, batch_size=batch_size, notify=tell)
