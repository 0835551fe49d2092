"""Model names: what each form of a name stands for, resolved to the files of a model.

builtin                      the model that ships with the package
ARCHITECTURE/TAG             open_clip's published weights, from the Hugging Face cache or hub
ARCHITECTURE@FILE            a checkpoint of one of open_clip's architectures
FOLDER                       open_clip's local form: open_clip_config.json and the weights beside it
"""

import difflib
import errno
import functools
import hashlib
import importlib.util
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import EncoderError, EncoderUnknown, WeightsUnavailable
from ..paths import home_expanded_or_kept
from ..records import EncoderCard, Preprocessing
from .cache import recall, remember, weights_hash
from .hub import Notify, cached_file, fetch_first
from .quiet import quiet_libraries

_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)

BUILTIN = "builtin"
BUILTIN_FOLDER = Path(__file__).parent / "builtin"
CONFIG_FILE = "open_clip_config.json"
TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"

# The order in which open_clip itself looks for weights in a folder; safe formats first.
WEIGHTS_FILES = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
    "pytorch_model.bin",
    "pytorch_model.pth",
    "model.pth",
)
CHECKPOINT_SUFFIXES = (".pt", ".pth", ".bin", ".safetensors")

# open_clip's own defaults: OpenAI's statistics.
DEFAULT_TRANSFORM: dict[str, Any] = {
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
    "interpolation": "bicubic",
    "resize_mode": "shortest",
    "fill_color": 0,
}
RESIZE_MODES = ("shortest", "longest", "squash")
# A change of what export.py writes counts this up: models are then exported anew, and older exports serve
# only libraries whose weights have no newer one.
EXPORT_FORMAT = 3


@dataclass(frozen=True)
class ModelFiles:
    """All that is needed to build a model: its files, its configuration, its preprocessing."""

    name: str  # the name in a form that holds from any working folder
    architecture: str | None  # open_clip's name; None for a folder, which brings its own
    folder: Path | None
    model_config: Mapping[str, Any]
    preprocessing: Preprocessing
    quick_gelu: bool  # the weights want QuickGELU, whatever the architecture says
    weights: Path
    weights_hash: str = field(init=False)  # of the network, see `_network_hash`
    former_hash: str = field(init=False)  # by which programs before that knew it: that of the weights alone

    def __post_init__(self) -> None:
        quick_gelu = self.quick_gelu or bool(self.model_config.get("quick_gelu"))
        object.__setattr__(self, "former_hash", self._read_hash())
        object.__setattr__(self, "weights_hash", _network_hash(self.former_hash, quick_gelu=quick_gelu))

    def _read_hash(self) -> str:
        try:
            return weights_hash(self.weights)
        except OSError as error:
            raise WeightsUnavailable(self.name, f"{self.weights}: {error.strerror or error}") from error

    def card(self, precision: str) -> EncoderCard:
        """Make the card of an encoder that computes in this precision."""
        return EncoderCard(
            name=self.name,
            weights_hash=self.weights_hash,
            preprocessing=self.preprocessing,
            dimension=int(self.model_config["embed_dim"]),
            precision=precision,
        )

    @property
    def export_key(self) -> str:
        """Name the folder of its exported towers: the weights, then all else they depend on."""
        return self._key(own_tokenizer(self.name))

    @property
    def patches_key(self) -> str:
        """Name what is exported of its images alone."""
        return self._key(None)

    def _key(self, tokenizer: str | None) -> str:
        rest = [dict(self.model_config), asdict(self.preprocessing), self.quick_gelu, EXPORT_FORMAT]
        rest += filter(None, [tokenizer])
        digest = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
        return f"{self.weights_hash[:24]}-{digest[:12]}"


def _network_hash(digest: str, *, quick_gelu: bool) -> str:
    """Tell a network from others by the sha256 of its weights' file, hexadecimal.

    The same weights are another network with QuickGELU, which no file of weights tells: then it is the sha256
    of that and of the word.
    """
    return hashlib.sha256(f"{digest} quick_gelu".encode()).hexdigest() if quick_gelu else digest


def resolve(name: str, notify: Notify, *, fetch: bool = True) -> ModelFiles:
    """Find the files of a model; fetches published weights that are not here yet, if it may."""
    if name == BUILTIN:
        return _builtin()
    if (folder := _folder_called(name)) is not None:
        return _folder(str(folder), folder)
    if "@" in name:
        return _checkpoint(name)
    return _published(name, notify, fetch)


def _folder_called(name: str) -> Path | None:
    """Give the folder that a name stands for, without links; None when there is none. It may have an @."""
    folder = home_expanded_or_kept(Path(name))
    return _without_links(folder) if _is_folder(folder) else None


def _is_folder(path: Path) -> bool:
    """Tell whether there is such a folder; Path.is_dir raises where the system forbids to look."""
    return os.path.isdir(path)  # noqa: PTH112


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113


def _without_links(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):  # links that go round, or what is no path
        return path.absolute()


def _why_not_found(path: Path, otherwise: str) -> str:
    """Give the system's reason for not looking somewhere, such as missing rights."""
    try:
        path.stat()
    except OSError as error:
        if error.errno not in _NOT_THERE:
            return f"{path}: {error.strerror}"
    except ValueError:  # a zero byte
        pass
    return otherwise


def check_name(name: str) -> None:
    """Raise EncoderUnknown for a name that `resolve` could find nothing for; nothing is fetched."""
    if name == BUILTIN:
        return
    if (folder := _folder_called(name)) is not None:
        _folder_config(folder)
    elif "@" in name:
        written, _, file = name.partition("@")
        _known_architecture(name, written)
        _check_checkpoint(name, _without_links(home_expanded_or_kept(Path(file))))
    else:
        _published_entry(name)


def canonical(name: str) -> str:
    """Give a name the form that `resolve` puts on the card, without looking for any file."""
    if name != BUILTIN and (folder := _folder_called(name)) is not None:
        return str(folder)
    if "@" in name:
        architecture, _, file = name.partition("@")
        return f"{_plain(architecture)}@{_without_links(home_expanded_or_kept(Path(file)))}"
    architecture, _, tag = name.rpartition("/")
    return f"{_plain(architecture)}/{_plain_tag(tag)}" if architecture else name


def own_tokenizer(name: str) -> str | None:
    """Tell the tokenizer that lies with the weights of a model from others; None where none can be read.

    name: as on a card. The built-in model's changes with its weights only.
    """
    if name == BUILTIN:
        return None
    try:
        folder = Path(name) if "@" not in name or Path(name).is_dir() else Path(name.partition("@")[2]).parent
        files = [folder / each for each in (TOKENIZER_FILE, TOKENIZER_CONFIG_FILE)]
        if not files[0].is_file():
            return None
        return " ".join(weights_hash(file) for file in files if file.is_file())
    except OSError:  # a drive that died, a folder that was closed to us: what was exported goes on
        return None


def architecture_of(name: str) -> str | None:
    """Give the architecture that a card's name tells of; None for folders and the built-in model."""
    if "@" in name and not Path(name).is_absolute():
        return name.partition("@")[0]
    architecture, _, _ = name.rpartition("/")
    return architecture if architecture in architectures() else None


# -- the four forms ----------------------------------------------------------------------------------


def _builtin() -> ModelFiles:
    try:
        return _folder(BUILTIN, BUILTIN_FOLDER)
    except WeightsUnavailable as error:
        raise WeightsUnavailable(BUILTIN, "this installation lacks them; install sightline again") from error


def _folder(name: str, folder: Path) -> ModelFiles:
    config = _folder_config(folder)
    weights = _folder_weights(name, folder)
    return ModelFiles(
        name=name,
        architecture=None,
        folder=folder,
        model_config=config["model_cfg"],
        preprocessing=preprocessing_of(config["model_cfg"], config.get("preprocess_cfg"), str(folder)),
        quick_gelu=False,
        weights=weights,
    )


def _folder_config(folder: Path) -> dict[str, Any]:
    file = folder / CONFIG_FILE
    if not _is_file(file):
        raise EncoderUnknown(str(folder), _why_not_found(file, f"the folder has no {CONFIG_FILE}"))
    try:
        config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if not {"embed_dim", "vision_cfg", "text_cfg"} <= config["model_cfg"].keys():
            raise KeyError("embed_dim, vision_cfg or text_cfg")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EncoderUnknown(str(folder), f"its {CONFIG_FILE} describes no model ({error})") from error
    return config


def _folder_weights(name: str, folder: Path) -> Path:
    for file in WEIGHTS_FILES:
        if _is_file(folder / file):
            return folder / file
    raise WeightsUnavailable(name, f"{folder} holds none of {', '.join(WEIGHTS_FILES)}")


def _checkpoint(name: str) -> ModelFiles:
    written, _, file = name.partition("@")
    architecture = _known_architecture(name, written)
    weights = _without_links(home_expanded_or_kept(Path(file)))
    _check_checkpoint(name, weights)
    config = architecture_config(architecture)
    return ModelFiles(
        name=f"{architecture}@{weights}",
        architecture=architecture,
        folder=None,
        model_config=config,
        preprocessing=preprocessing_of(config, _usual_transform(architecture, weights), name),
        quick_gelu=False,
        weights=weights,
    )


def _check_checkpoint(name: str, file: Path) -> None:
    if not _is_file(file):
        beside = [path.name for path in _listed(file.parent) if path.suffix in CHECKPOINT_SUFFIXES]
        missing = f"there is no file {file}{_nearest(file.name, beside)}"
        raise EncoderUnknown(name, _why_not_found(file, missing))
    if file.suffix not in CHECKPOINT_SUFFIXES:
        raise EncoderUnknown(name, f"{file.name} is none of {', '.join(CHECKPOINT_SUFFIXES)}")


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _published(name: str, notify: Notify, fetch: bool) -> ModelFiles:
    if (known := _recalled(canonical(name))) is not None:
        return known
    architecture, tag, entry = _published_entry(name)
    full_name = f"{architecture}/{tag}"
    config = architecture_config(architecture)
    weights = _published_weights(full_name, entry, notify, fetch)
    files = ModelFiles(
        name=full_name,
        architecture=architecture,
        folder=None,
        model_config=config,
        preprocessing=preprocessing_of(config, entry),
        quick_gelu=bool(entry.get("quick_gelu")),
        weights=weights,
    )
    transform = {key: entry[key] for key in DEFAULT_TRANSFORM if key in entry}
    remember(
        "published",
        full_name,
        {"weights": str(weights), "quick_gelu": files.quick_gelu, "transform": transform},
    )
    return files


def _published_entry(name: str) -> tuple[str, str, Mapping[str, Any]]:
    """Look a name up in open_clip's table: its architecture, its tag and what is told of its weights."""
    written, _, written_tag = name.rpartition("/")
    if not written:
        _refuse_bare(name)
    architecture = _known_architecture(name, written)
    return architecture, *_tag_entry(name, architecture, written_tag)


def _recalled(name: str) -> ModelFiles | None:
    """Rebuild what an earlier run found of published weights: open_clip's own table takes 3 s to import."""
    note = recall("published", name)
    architecture = architecture_of(name)
    if not isinstance(note, dict) or architecture is None or not _is_file(Path(note["weights"])):
        return None
    config = architecture_config(architecture)
    weights = Path(note["weights"])
    return ModelFiles(
        name=name,
        architecture=architecture,
        folder=None,
        model_config=config,
        preprocessing=preprocessing_of(config, note["transform"]),
        quick_gelu=note["quick_gelu"],
        weights=weights,
    )


def _published_weights(name: str, entry: Mapping[str, Any], notify: Notify, fetch: bool) -> Path:
    repository, names = hub_files(entry)
    if not repository:
        raise WeightsUnavailable(name, f"they are published only at {entry.get('url')}; fetch them by hand")
    for file in names:
        if cached := cached_file(repository, file):
            return cached
    if not fetch:
        raise WeightsUnavailable(name, "not on this computer")
    notify(f"fetching the weights of {name} from the Hugging Face hub ({repository}), once")
    try:
        return fetch_first(repository, names)
    except OSError as error:
        raise WeightsUnavailable(name, str(error)) from error


def hub_files(entry: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Give repository and file names of a table entry, safetensors first, as open_clip reads `hf_hub`."""
    repository, _, file = str(entry.get("hf_hub", "")).rpartition("/")
    if not file:
        return repository, ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
    return repository, (re.sub(r"\.(bin|pth)$", ".safetensors", file), file)


# -- architectures and tags --------------------------------------------------------------------------


@functools.cache
def open_clip_folder() -> Path:
    """Give the folder open_clip is installed in, without importing it."""
    found = importlib.util.find_spec("open_clip")
    if found is None or found.origin is None:
        raise EncoderError("open_clip is not installed; run: pip install open_clip_torch")
    return Path(found.origin).parent


@functools.cache
def architectures() -> frozenset[str]:
    """Give the names of open_clip's architectures."""
    return frozenset(path.stem for path in (open_clip_folder() / "model_configs").glob("*.json"))


def architecture_config(architecture: str) -> dict[str, Any]:
    """Read the configuration of one of open_clip's architectures."""
    file = open_clip_folder() / "model_configs" / f"{architecture}.json"
    config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return config


def published_table() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """Read open_clip's table of published weights, by architecture and tag; imports open_clip."""
    with quiet_libraries():
        from open_clip.pretrained import get_pretrained_cfg, list_pretrained

        table: dict[str, dict[str, Mapping[str, Any]]] = {}
        for architecture, tag in list_pretrained():
            table.setdefault(architecture, {})[tag] = get_pretrained_cfg(architecture, tag)
    return table


def _known_architecture(name: str, written: str) -> str:
    architecture = _plain(written)
    if architecture in architectures():
        return architecture
    if written.startswith((".", "/", "~")):
        folder = home_expanded_or_kept(Path(name))
        raise EncoderUnknown(name, _why_not_found(folder, "there is no such folder"))
    raise EncoderUnknown(
        name, f"open_clip has no architecture {written!r}{_nearest(written, architectures())}"
    )


def _tag_entry(name: str, architecture: str, written: str) -> tuple[str, Mapping[str, Any]]:
    tags = published_table().get(architecture, {})
    tag = _plain_tag(written)
    if tag in tags:
        return tag, tags[tag]
    if not tags:
        raise EncoderUnknown(
            name, f"no weights of {architecture} are published; name a file: {architecture}@FILE"
        )
    raise EncoderUnknown(name, f"{architecture} has no weights {written!r}{_nearest(written, tags)}")


def _refuse_bare(name: str) -> None:
    if _plain(name) not in architectures():
        raise EncoderUnknown(
            name, f"neither a folder nor a model{_nearest(name, (BUILTIN, *architectures()))}"
        )
    tags = published_table().get(_plain(name), {})
    which = " or ".join(f"{name}/{tag}" for tag in list(tags)[:3]) or f"{name}@FILE"
    raise EncoderUnknown(name, f"an architecture alone has no weights; say which, as in {which}")


def _nearest(written: str, known: Iterable[str]) -> str:
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(written.lower(), by_lower, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(by_lower[name] for name in near)}?" if near else ""


def _plain(architecture: str) -> str:
    return architecture.replace("/", "-")  # as open_clip does with OpenAI's "ViT-B/32"


def _plain_tag(tag: str) -> str:
    return tag.lower().replace("-", "_")


# -- preprocessing -----------------------------------------------------------------------------------


def preprocessing_of(model_config: Mapping[str, Any], told: Any, name: str = CONFIG_FILE) -> Preprocessing:
    """Read how a model wants its images, from its configuration and open_clip's transform settings.

    What is not told, or without a value, is as open_clip has it. Raises EncoderUnknown.
    """
    if not isinstance(told or {}, Mapping):
        raise EncoderUnknown(name, f"its preprocess_cfg is {told!r}, which describes no preprocessing")
    transform = DEFAULT_TRANSFORM | {key: value for key, value in (told or {}).items() if value is not None}
    size = model_config["vision_cfg"].get("image_size", 224)
    height, width = (size, size) if isinstance(size, int) else size
    if transform["resize_mode"] not in RESIZE_MODES:
        raise _unprepared(name, "resize_mode", transform, f"one of {', '.join(RESIZE_MODES)}")
    # open_clip's transform for evaluation takes everything but "bilinear" for bicubic.
    return Preprocessing(
        height=height,
        width=width,
        resize_mode=transform["resize_mode"],
        interpolation="bilinear" if transform["interpolation"] == "bilinear" else "bicubic",
        mean=_three(name, "mean", transform),
        std=_three(name, "std", transform),
        fill=_grey(name, transform),
    )


def _three(name: str, key: str, transform: Mapping[str, Any]) -> tuple[float, float, float]:
    """Give a number for each colour; one may stand for all, and 0 or nothing for what is usual."""
    values = transform[key] or DEFAULT_TRANSFORM[key]
    try:
        red, green, blue = map(float, values if isinstance(values, list | tuple) else (values,) * 3)
    except (TypeError, ValueError) as error:
        raise _unprepared(name, key, transform, "a number or three") from error
    if key == "std" and not all((red, green, blue)):
        raise _unprepared(name, key, transform, "a number or three, none of them 0")
    return red, green, blue


def _grey(name: str, transform: Mapping[str, Any]) -> int:
    values = transform["fill_color"]
    try:
        (grey,) = {int(value) for value in (values if isinstance(values, list | tuple) else [values])}
    except (TypeError, ValueError) as error:
        raise _unprepared(name, "fill_color", transform, "a grey, a number from 0 to 255") from error
    return grey


def _unprepared(name: str, key: str, transform: Mapping[str, Any], wanted: str) -> EncoderUnknown:
    return EncoderUnknown(name, f"its preprocessing is unknown: {key} is {transform[key]!r}, not {wanted}")


def _usual_transform(architecture: str, weights: Path) -> Any:
    """Give the preprocessing of a bare checkpoint: what its neighbour file says, else what its family uses.

    A file of weights does not tell its preprocessing. Where all published weights of an architecture agree
    (every SigLIP does), theirs is taken; otherwise open_clip's default.
    """
    beside = weights.parent / CONFIG_FILE
    if _is_file(beside):
        return _folder_config(weights.parent).get("preprocess_cfg")
    note = recall("transforms", architecture)
    if not isinstance(note, dict):
        note = _agreed_transform(published_table().get(architecture, {}).values())
        remember("transforms", architecture, note)
    return note


def _agreed_transform(entries: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    transforms = [{key: entry[key] for key in DEFAULT_TRANSFORM if key in entry} for entry in entries]
    agreed = all(transform == transforms[0] for transform in transforms)
    return transforms[0] if transforms and agreed else {}
