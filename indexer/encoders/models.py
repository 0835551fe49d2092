"""Models: the table of what can be used, and the choice that `auto` makes from it."""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import WeightsUnavailable
from .cache import towers_folder
from .device import choose_device
from .hub import Notify, cached_file, cached_repositories, hub_is_off, hub_reachable
from .names import (
    BUILTIN,
    BUILTIN_FOLDER,
    WEIGHTS_FILES,
    ModelFiles,
    architecture_config,
    hub_files,
    open_clip_folder,
    published_table,
    resolve,
)
from .openvino import Towers, read_towers
from .text_files import text_files, tokenizer_is_here

CPU_CHOICE = "ViT-B-32-256/datacomp_s34b_b86k"
GPU_CHOICE = "ViT-B-16-SigLIP/webli"


@dataclass(frozen=True)
class ModelEntry:
    """A model that can be used, as `sightline models` lists it."""

    name: str
    cached: bool  # usable now, without a network
    exported: bool  # prepared for this computer's CPU
    size_megabytes: float | None  # of the weights, as fetched
    imagenet_top_1: float | None  # zero-shot, 0 to 1
    coco_recall_at_5: float | None  # text to image, 0 to 1
    note: str


@dataclass(frozen=True)
class _Published:
    repository: str
    size_megabytes: float  # parameters x 4 bytes
    imagenet_top_1: float
    coco_recall_at_5: float
    note: str = ""
    is_shared: bool = False  # other models of open_clip's table have their weights there too


# Accuracy: open_clip's docs/openclip_classification_results.csv and docs/openclip_retrieval_results.csv.
RECOMMENDED: Mapping[str, _Published] = {
    CPU_CHOICE: _Published(
        "laion/CLIP-ViT-B-32-256x256-DataComp-s34B-b86K", 605, 0.7281, 0.654, "recommended on a CPU"
    ),
    GPU_CHOICE: _Published("timm/ViT-B-16-SigLIP", 813, 0.7604, 0.724, "recommended on a GPU"),
    "ViT-B-32/laion2b_s34b_b79k": _Published("laion/CLIP-ViT-B-32-laion2B-s34B-b79K", 605, 0.6656, 0.654),
    "ViT-B-32/openai": _Published(
        "timm/vit_base_patch32_clip_224.openai", 605, 0.6332, 0.559, is_shared=True
    ),
    "ViT-B-16/laion2b_s34b_b88k": _Published("laion/CLIP-ViT-B-16-laion2B-s34B-b88K", 598, 0.7023, 0.677),
    "ViT-L-14/laion2b_s32b_b82k": _Published("laion/CLIP-ViT-L-14-laion2B-s32B-b82K", 1710, 0.7525, 0.711),
    "ViT-H-14/laion2b_s32b_b79k": _Published("laion/CLIP-ViT-H-14-laion2B-s32B-b79K", 3944, 0.7796, 0.734),
}


def available_models(*, every: bool = False) -> list[ModelEntry]:
    """List the models that can be used: ours and the well-known ones, and what this computer has.

    That is its own exports, and other weights in the Hugging Face cache. With `every`, all published weights
    that open_clip knows of. Both of the latter import open_clip, which takes seconds.
    """
    exports = {towers.card.name: towers for towers in _exports()}
    entries = [_builtin_entry(exports)]
    entries += [_recommended_entry(name, facts, exports) for name, facts in RECOMMENDED.items()]
    listed = {entry.name for entry in entries}
    if every or _may_have_others():
        published = list(_published_entries(exports, listed, every=every))
        entries += published
        listed |= {entry.name for entry in published}
    entries += [_own_entry(name) for name in sorted(exports) if name not in listed]
    return entries


def _exports() -> Iterator[Towers]:
    for folder in sorted(towers_folder().glob("*-*")):
        if (towers := read_towers(folder)) is not None:
            yield towers


def _builtin_entry(exports: Mapping[str, Towers]) -> ModelEntry:
    file = BUILTIN_FOLDER / WEIGHTS_FILES[0]
    size = file.stat().st_size / 1e6 if file.is_file() else None
    return ModelEntry(
        name=BUILTIN,
        cached=file.is_file(),
        exported=BUILTIN in exports,
        size_megabytes=None if size is None else round(size, 1),
        imagenet_top_1=None,
        coco_recall_at_5=None,
        note="ships with sightline; small and quick, still weak at finding",
    )


def _recommended_entry(name: str, facts: _Published, exports: Mapping[str, Towers]) -> ModelEntry:
    return ModelEntry(
        name=name,
        cached=name in exports or _in_hub_cache(name, _entry_of(facts)),
        exported=name in exports,
        size_megabytes=facts.size_megabytes,
        imagenet_top_1=facts.imagenet_top_1,
        coco_recall_at_5=facts.coco_recall_at_5,
        note=facts.note,
    )


def _may_have_others() -> bool:
    """Tell whether the hub's cache may hold weights of open_clip's table that are not recommended.

    This is told by the text of the table: to import it takes 3 s.
    """
    own = {facts.repository for facts in RECOMMENDED.values() if not facts.is_shared}
    others = set(cached_repositories()) - own
    return bool(others) and any(map(_is_in_table, others))


def _is_in_table(repository: str) -> bool:
    try:
        return f"{repository}/" in _table_text()
    except OSError:  # another open_clip, which keeps it elsewhere
        return True


@functools.cache
def _table_text() -> str:
    return (open_clip_folder() / "pretrained.py").read_text(encoding="utf-8")


def _published_entries(
    exports: Mapping[str, Towers], listed: set[str], *, every: bool
) -> Iterator[ModelEntry]:
    """Give what open_clip's table has beside what is listed: every model, or those whose weights are here."""
    for architecture, tags in published_table().items():
        for tag, entry in tags.items():
            name = f"{architecture}/{tag}"
            if name not in listed and (every or _cached_weights(entry)):
                cached = name in exports or _in_hub_cache(name, entry)
                yield ModelEntry(name, cached, name in exports, None, None, None, "")


def _own_entry(name: str) -> ModelEntry:
    return ModelEntry(name, True, True, None, None, None, "prepared here earlier")


def _entry_of(facts: _Published) -> Mapping[str, Any]:
    """Give what open_clip's own table says of where the weights are."""
    return {"hf_hub": facts.repository + "/"}


def _in_hub_cache(name: str, entry: Mapping[str, Any]) -> bool:
    """Tell whether the hub's cache has all that a published model needs: its weights and its tokenizer."""
    weights = _cached_weights(entry)
    if weights is None:
        return False
    return tokenizer_is_here(architecture_config(name.rpartition("/")[0])["text_cfg"], weights)


def is_complete(files: ModelFiles) -> bool:
    """Tell whether a model whose weights are here can be used without a network."""
    if tokenizer_is_here(files.model_config["text_cfg"], files.weights):
        return True
    return read_towers(towers_folder() / files.export_key) is not None  # they have its tokenizer


def _cached_weights(entry: Mapping[str, Any]) -> Path | None:
    repository, names = hub_files(entry)
    return next(filter(None, (cached_file(repository, file) for file in names)), None)


def choose_auto(notify: Notify, device: str = "auto", runtime: str = "auto") -> str:
    """Choose a model for a new library, and say in one line which, and how to choose otherwise."""
    place = choose_device(device)
    wanted = CPU_CHOICE if place == "cpu" else GPU_CHOICE
    if _is_at_hand(wanted, exports_serve=place == "cpu" and runtime != "torch"):
        notify(f"using {wanted}; --model NAME chooses another, `sightline models` lists them")
        return wanted
    if not hub_reachable():
        why = "HF_HUB_OFFLINE is set" if hub_is_off() else "the Hugging Face hub does not answer"
        return _fall_back(wanted, f"{_missing(wanted)} not on this computer and {why}", notify)
    try:
        notify(f"using {wanted}: fetching {_to_fetch(wanted)}, once; --model builtin needs no download")
        with text_files(resolve(wanted, _unheard), _unheard):  # fetched now: later there is no other choice
            pass
    except WeightsUnavailable as error:
        return _fall_back(wanted, error.reason, notify)
    return wanted


def _is_at_hand(name: str, *, exports_serve: bool) -> bool:
    exported = exports_serve and any(towers.card.name == name for towers in _exports())
    return exported or _in_hub_cache(name, _entry_of(RECOMMENDED[name]))


def _missing(name: str) -> str:
    return f"the tokenizer of {name} is" if _cached_weights(_entry_of(RECOMMENDED[name])) else f"{name} is"


def _to_fetch(name: str) -> str:
    facts = RECOMMENDED[name]
    return "its tokenizer" if _cached_weights(_entry_of(facts)) else f"{facts.size_megabytes:.0f} MB"


def _unheard(_line: str) -> None:
    return None


def _fall_back(wanted: str, why: str, notify: Notify) -> str:
    notify(
        f"using the small built-in model: {why}; --model {wanted} tries again, --model NAME chooses another"
    )
    return BUILTIN
