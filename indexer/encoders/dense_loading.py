"""Loading patches: from a model's name to what gives its patch vectors here."""

from pathlib import Path

from ..errors import SightlineError
from .cache import cache_folder
from .dense import PatchEncoder, PatchSettings, PatchTower, Variant
from .dense_openvino import PATCHES_FILE, OpenVinoPatchTower
from .device import choose_device
from .hub import Notify
from .loading import wants_openvino
from .names import ModelFiles, resolve
from .openvino import CannotRun, TowersDamaged, discard_towers
from .patch_head import load_head
from .quiet import brief

CPU_BATCH_SIZE = 4
GPU_BATCH_SIZE = 32


def load_patch_encoder(
    name: str,
    *,
    device: str = "auto",
    runtime: str = "auto",
    settings: PatchSettings | None = None,
    with_head: bool = True,
    notify: Notify | None = None,
) -> PatchEncoder:
    """Load what gives a model's patch vectors, with the head beside it if there is one.

    Settings of one's own leave the head out: it was learned at its own. Raises NoPatchVectors, HeadUnfit, and
    what `load_encoder` raises.
    """
    tell = notify or (lambda _line: None)
    place = choose_device(device)
    files = resolve(name, tell)
    head = load_head(files) if with_head and settings is None else None
    if head is not None:
        tell(head.notice)
        settings = head.card.settings
    tower = _tower(files, place, runtime, settings.variant if settings else Variant.NACLIP, tell)
    batch_size = CPU_BATCH_SIZE if place == "cpu" else GPU_BATCH_SIZE
    return PatchEncoder(
        tower, files.card(tower.precision), settings=settings, head=head, batch_size=batch_size
    )


def _tower(files: ModelFiles, place: str, runtime: str, variant: Variant, tell: Notify) -> PatchTower:
    if wants_openvino(runtime, place):
        try:
            return _openvino_tower(files, variant, tell)
        except CannotRun as error:
            if runtime == "openvino":
                raise
            tell(f"{error}; patches of {files.name} are computed with torch, which starts slower")
    from .dense_torch import TorchPatchTower

    return TorchPatchTower(files, place, variant)


def _openvino_tower(files: ModelFiles, variant: Variant, tell: Notify) -> OpenVinoPatchTower:
    target = cache_folder() / "patches" / f"{files.patches_key}-{variant.value}"
    if (target / PATCHES_FILE).is_file():
        try:
            return OpenVinoPatchTower(target)
        except TowersDamaged:
            discard_towers(target)
    tell(f"preparing the patches of {files.name} for this computer; this is done once")
    _export(files, variant, target)
    return OpenVinoPatchTower(target)


def _export(files: ModelFiles, variant: Variant, target: Path) -> None:
    try:
        from .dense_export import export_patches

        export_patches(files, variant, target)
    except SightlineError:
        raise
    except Exception as error:  # whatever torch or OpenVINO stumble over, torch alone may still run it
        raise CannotRun(f"OpenVINO cannot take the patches of {files.name} ({brief(error)})") from error
