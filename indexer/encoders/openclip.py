"""The torch runtime: open_clip models as encoders, in half precision on a GPU.

Imports torch at the top: it is itself imported only when torch is wanted.
"""

import functools
import pickle
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from ..errors import EncoderError
from ..records import EncoderCard, Preprocessing, Vectors
from .base import PixelBatch, checked_texts, checked_vectors, prepared_batch, unit_rows
from .batching import find_batch_size, in_batches
from .builtin.network import register_image_network
from .hub import Notify
from .names import ModelFiles
from .quiet import brief, quiet_libraries
from .tokenizer import TextTokenizer

CPU_BATCH_SIZE = 16
TEXT_BATCH_SIZE = 256
# What torch's load_state_dict lists, the first of each kind, as we tell it.
_MISFITS = (
    (r'Missing key\(s\) in state_dict: "([^"]+)"', "{} is missing"),
    (r'Unexpected key\(s\) in state_dict: "([^"]+)"', "{} has no place in the model"),
    (
        r"size mismatch for (.+): copying .* torch.Size\(\[(.*?)\]\) .* torch.Size\(\[(.*?)\]\)",
        "{} is {} where the model has {}",
    ),
)
# As a GPU says it, and torch's allocator on a CPU: on Linux and macOS, and on Windows.
_NO_MEMORY = ("out of memory", "defaultcpuallocator", "allocate memory", "not enough memory")


class ImageTower(nn.Module):
    """Takes prepared pixels, (n, height, width, 3) uint8, to image vectors; normalises them itself."""

    def __init__(self, model: nn.Module, preprocessing: Preprocessing, dtype: torch.dtype) -> None:
        super().__init__()
        self.model = model
        self.dtype = dtype
        self._reads_class_token = _reads_class_token_alone(model)
        # Of 255, so that no division by 255 is needed first.
        self.mean: torch.Tensor
        self.std: torch.Tensor
        self.register_buffer("mean", 255 * torch.tensor(preprocessing.mean).view(1, 3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(preprocessing.std).view(1, 3, 1, 1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Encode a batch."""
        batch = self.standardised(pixels)
        if self._reads_class_token and not self.training:
            return self._read_class_token(batch).float()
        vectors: torch.Tensor = self.model.encode_image(batch)  # type: ignore[operator]
        return vectors.float()

    def _read_class_token(self, batch: torch.Tensor) -> torch.Tensor:
        """Do what open_clip's vision transformer does, but run its last block for the token that is read.

        No other token's result is used: that saves five sixths of the block, 8 % of ViT-B-32's time.
        """
        visual: Any = self.model.visual
        *blocks, last = visual.transformer.resblocks
        hidden = visual._embeds(batch)
        for block in blocks:
            hidden = block(hidden)
        keys = last.ln_1(hidden)
        attended, _ = last.attn(keys[:, :1], keys, keys, need_weights=False)
        token = hidden[:, :1] + last.ls_1(attended)
        token = token + last.ls_2(last.mlp(last.ln_2(token)))
        return _projected(visual.ln_post(token)[:, 0], visual.proj)

    def standardised(self, pixels: torch.Tensor) -> torch.Tensor:
        """Give what the network takes, (n, 3, height, width); pixels may be of any size."""
        channels_first = pixels.permute(0, 3, 1, 2).float()
        return ((channels_first - self.mean) / self.std).to(self.dtype)


def _reads_class_token_alone(model: nn.Module) -> bool:
    """Tell whether an image tower is open_clip's plain vision transformer, read at its class token."""
    from open_clip.transformer import ResidualAttentionBlock, VisionTransformer

    visual: Any = getattr(model, "visual", None)
    if type(visual) is not VisionTransformer or visual.attn_pool is not None or visual.output_tokens:
        return False
    last: Any = visual.transformer.resblocks[-1]
    plain = type(last) is ResidualAttentionBlock and isinstance(last.attn, nn.MultiheadAttention)
    # Private to open_clip: where a version has no such method, the whole block is run.
    known = hasattr(visual, "_embeds")
    return known and plain and last.attn.batch_first and visual.pool_type == "tok"


class TextTower(nn.Module):
    """Takes token ids to text vectors; a causal tower may be given fewer columns than its context."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.tower: Any = causal_tower(model)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Encode a batch."""
        if self.tower is None:
            vectors: torch.Tensor = self.model.encode_text(ids)  # type: ignore[operator]
            return vectors.float()
        return self._read_causally(ids).float()

    def _read_causally(self, ids: torch.Tensor) -> torch.Tensor:
        """Do what open_clip's text towers do, with position vectors and mask cut to the ids' length."""
        tower, length = self.tower, ids.shape[1]
        dtype = tower.transformer.get_cast_dtype()
        hidden = tower.token_embedding(ids).to(dtype) + tower.positional_embedding[:length].to(dtype)
        hidden = tower.transformer(hidden, attn_mask=tower.attn_mask[:length, :length])
        hidden = tower.ln_final(hidden)
        mark = read_at(self.model)
        place = (ids if mark == "highest" else (ids == mark).int()).argmax(dim=-1)
        pooled: torch.Tensor = hidden[torch.arange(ids.shape[0], device=ids.device), place]
        return _projected(pooled, tower.text_projection)


def _projected(vectors: torch.Tensor, projection: Any) -> torch.Tensor:
    if projection is None:
        return vectors
    projected: torch.Tensor = (
        projection(vectors) if isinstance(projection, nn.Module) else vectors @ projection
    )
    return projected


def causal_tower(model: nn.Module) -> Any | None:
    """Give the part of a model that reads texts causally; None when it reads them in another way."""
    from open_clip.transformer import TextTransformer

    tower: Any = getattr(model, "text", model)
    if read_at(model) is None or getattr(tower, "attn_mask", None) is None:
        return None
    if tower is model:
        return tower
    plain = type(tower) is TextTransformer and tower.cls_emb is None and not tower.use_pad_mask
    return tower if plain and not tower.output_tokens else None


def read_at(model: nn.Module) -> Any:
    """Tell where a causal text tower is read: "highest", an end token's id, or None for neither."""
    tower: Any = getattr(model, "text", model)
    pool = getattr(tower, "text_pool_type", None) or getattr(tower, "pool_type", None)
    if pool == "argmax":
        return "highest"
    return (getattr(tower, "text_eos_id", None) or getattr(tower, "eos_id", None)) if pool == "eos" else None


def build_model(files: ModelFiles, precision: str = "fp32", device: str = "cpu") -> nn.Module:
    """Build an open_clip model and load its weights, safely; raises EncoderError where they are no good."""
    check_is_safe(files.weights)
    with _told_if_unfit(files):
        from open_clip.factory import load_checkpoint

        model = _untrained(files, precision=precision, device=device)
        load_checkpoint(model, str(files.weights), strict=True, weights_only=True)
    _check_numbers(model, files.weights)
    return model.eval().requires_grad_(False)


def build_outline(files: ModelFiles) -> nn.Module:
    """Build an open_clip model's modules without any numbers in them, in a fraction of a second."""
    with _told_if_unfit(files), torch.device("meta"):
        return _untrained(files, device="meta")


def _untrained(files: ModelFiles, **how: str) -> nn.Module:
    import open_clip

    register_image_network()
    model: nn.Module = open_clip.create_model(
        files.architecture or f"local-dir:{files.folder}",
        load_weights=False,
        pretrained_text=False,
        force_quick_gelu=files.quick_gelu,
        **how,
    )
    return model


@contextmanager
def _told_if_unfit(files: ModelFiles) -> Iterator[None]:
    with quiet_libraries():
        try:
            yield
        except (EncoderError, MemoryError):
            raise
        except Exception as error:  # open_clip and what it calls raise a dozen kinds
            raise EncoderError(f"{files.name} cannot be built: {_misfit(error, files)}") from error


def _misfit(error: Exception, files: ModelFiles) -> str:
    for pattern, told in _MISFITS:
        if found := re.search(pattern, str(error)):
            name, *shapes = found.groups()
            what = told.format(name, *(shape.replace(", ", " x ") or "one number" for shape in shapes))
            return f"{files.weights.name} is of another architecture, or not whole: {what}"
    return brief(error)


def _check_numbers(model: nn.Module, weights: Path) -> None:
    """Refuse weights that are no numbers, as a training that diverged leaves them.

    In half precision an infinite one may be a large number; in a buffer it may be a mask.
    """
    wrong = next((name for name, tensor in model.named_parameters() if not _are_numbers(tensor)), None)
    wrong = wrong or next((name for name, tensor in model.named_buffers() if tensor.isnan().any()), None)
    if wrong is not None:
        raise EncoderError(
            f"{weights} holds weights that are no numbers (in {wrong}): its training has diverged, or the "
            "file is damaged; use an earlier checkpoint, or fetch it again"
        )


def _are_numbers(tensor: torch.Tensor) -> bool:
    wrong = tensor.isnan() if tensor.dtype == torch.float16 else ~tensor.isfinite()
    return not bool(wrong.any())


def check_is_safe(weights: Path) -> None:
    """Refuse a checkpoint that holds more than tensors: loading such a file would run its code.

    Raises EncoderError, also for one that holds no tensors by name.
    """
    try:
        names = _tensor_names(weights)
    except OSError as error:
        raise EncoderError(f"{weights} cannot be read ({brief(error)})") from error
    except (
        pickle.UnpicklingError,
        RuntimeError,
        ValueError,
        EOFError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        raise EncoderError(
            f"{weights} is refused: it holds more than plain tensors, or is damaged ({brief(error)}); "
            "save its state_dict with safetensors and use that file"
        ) from error
    if not names or not all(isinstance(name, str) for name in names):
        raise EncoderError(
            f"{weights} holds no tensors by name, so it is no model; give the file that open_clip has saved"
        )


def _tensor_names(weights: Path) -> list[object]:
    """List what a checkpoint names, where open_clip looks for it."""
    if weights.suffix == ".safetensors":
        return _safe_names(weights)
    content = _read_pickle(weights)
    if isinstance(content, Mapping) and "state_dict" in content:
        content = content["state_dict"]
    return list(content) if isinstance(content, Mapping) else []


def _safe_names(weights: Path) -> list[object]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, framework="pt") as file:
            return list(file.keys())
    except SafetensorError as error:
        raise EncoderError(f"{weights} is damaged ({brief(error)}); copy or fetch it again") from error


def _read_pickle(weights: Path) -> Any:
    with quiet_libraries():
        try:
            return torch.load(weights, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError:  # the old format, which cannot be mapped into memory
            return torch.load(weights, map_location="cpu", weights_only=True)


class TorchEncoder:
    """An open_clip model run by torch: float32 on a CPU, float16 on a GPU."""

    def __init__(
        self,
        files: ModelFiles,
        tokenizer: TextTokenizer,
        *,
        device: str,
        batch_size: int | None = None,
        notify: Notify,
        half: bool | None = None,
    ) -> None:
        self._files = files
        self._tokenizer = tokenizer
        self._device = torch.device(device)
        self._half = self._device.type == "cuda" if half is None else half
        self._wanted_batch_size = batch_size
        self._notify = notify
        self._lock = threading.Lock()
        self._load()

    def _load(self) -> None:
        dtype = torch.float16 if self._half else torch.float32
        model = build_model(self._files, "fp16" if self._half else "fp32", str(self._device))
        self._images = ImageTower(model, self._files.preprocessing, dtype).to(self._device).eval()
        self._texts: TextTower = TextTower(model).eval()

    @property
    def card(self) -> EncoderCard:
        """Say who we are."""
        return self._files.card("float16" if self._half else "float32")

    @functools.cached_property
    def batch_size(self) -> int:
        """Give the number of images that keeps the device busy; on a GPU found by trying."""
        if self._wanted_batch_size is not None:
            return self._wanted_batch_size
        if self._device.type == "cpu":
            return CPU_BATCH_SIZE
        return find_batch_size(self._timed_run, is_out_of_memory=is_out_of_memory, free=self._free)

    def encode_pixels(self, pixels: PixelBatch) -> Vectors:
        """Encode images that `prepare` has brought to the input size."""
        return self._encode(self._images, pixels, self.batch_size)

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        """Encode Pillow images of any size and mode."""
        return self.encode_pixels(prepared_batch(images, self._files.preprocessing))

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """Encode texts; over-long ones are cut."""
        texts = checked_texts(texts)
        causal = self._texts.tower is not None
        ids = self._tokenizer.trimmed_ids(texts) if causal else self._tokenizer.ids(texts)
        return self._encode(self._texts, ids, TEXT_BATCH_SIZE)

    def _encode(self, tower: nn.Module, rows: NDArray[Any], size: int) -> Vectors:
        run = functools.partial(self._run, tower)
        with self._lock:
            parts = list(in_batches(run, rows, size, is_out_of_memory=is_out_of_memory, free=self._free))
            if self._half and not all(np.isfinite(part).all() for part in parts):
                self._widen()
                tower = self._images if isinstance(tower, ImageTower) else self._texts
                run = functools.partial(self._run, tower)
                parts = list(in_batches(run, rows, size, is_out_of_memory=is_out_of_memory, free=self._free))
        return unit_rows(checked_vectors(np.concatenate(parts), self._files.name)) if parts else self._none()

    def _none(self) -> Vectors:
        return np.zeros((0, int(self._files.model_config["embed_dim"])), dtype=np.float32)

    def _widen(self) -> None:
        """Load the model again in float32: a few models leave float16's range."""
        self._notify(f"{self._files.name}: float16 overflows here; going on in float32")
        self._half = False
        del self._images, self._texts
        self._free()
        self._load()

    @torch.inference_mode()
    def _run(self, tower: nn.Module, rows: NDArray[Any]) -> NDArray[np.float32]:
        batch = torch.from_numpy(np.ascontiguousarray(rows))
        if self._device.type == "cuda":
            batch = batch.pin_memory()
        vectors: torch.Tensor = tower(batch.to(self._device, non_blocking=True))
        return vectors.cpu().numpy()

    def _timed_run(self, count: int) -> None:
        preprocessing = self._files.preprocessing
        pixels = np.zeros((count, preprocessing.height, preprocessing.width, 3), dtype=np.uint8)
        self._run(self._images, pixels)

    def _free(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether an error means that a smaller batch would do."""
    return isinstance(error, torch.cuda.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _NO_MEMORY)
    )
