"""The trainee: an open_clip model that learns, with all that is needed to feed it and to write it down."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from indexer.encoders.base import PixelBatch
from indexer.encoders.builtin.network import register_image_network
from indexer.encoders.names import (
    CONFIG_FILE,
    DEFAULT_TRANSFORM,
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
    ModelFiles,
    preprocessing_of,
    resolve,
)
from indexer.encoders.openclip import ImageTower, build_model
from indexer.encoders.text_files import own_rules, text_files
from indexer.encoders.tokenizer import TextTokenizer
from indexer.records import Preprocessing, Vectors

from ..losses import LOG_SCALE_MAX, sigmoid_contrastive, weighted_contrastive
from ..truncation import cuts_by
from ..vocabulary import learn_vocabulary
from .out_of_memory import memory_told
from .settings import LossName

WEIGHTS_FILE = "open_clip_model.safetensors"
SIGMOID_SCALE, SIGMOID_BIAS = 10.0, -10.0  # where SigLIP begins (arXiv 2303.15343, section 3.2)
UNFINISHED = ".model-"  # how the folder begins that a model is written in, beside its place
ENCODED_AT_ONCE = 128  # images or texts, where nothing is learned from them


@dataclass(frozen=True)
class Inputs:
    """What a step takes: n images and their texts."""

    pixels: PixelBatch
    ids: NDArray[Any]  # (n, length) token ids

    def piece(self, rows: slice) -> Self:
        """Give some rows of it."""
        return type(self)(self.pixels[rows], self.ids[rows])

    def __len__(self) -> int:
        return len(self.pixels)


class Trainee(nn.Module):
    """A model with temperature and bias, its tokenizer and its preprocessing."""

    def __init__(
        self,
        model: nn.Module,
        model_config: dict[str, Any],
        preprocessing: Preprocessing,
        tokenizer: TextTokenizer,
        tokenizer_files: dict[str, bytes],
        weights_hash: str = "",
    ) -> None:
        super().__init__()
        self.model: Any = model
        self.model_config = model_config
        self.preprocessing = preprocessing
        self.tokenizer = tokenizer
        self._tokenizer_files = tokenizer_files  # by name; none where open_clip brings its own
        self._weights_hash = weights_hash  # of what is begun from; "": nothing
        self.tower = ImageTower(model, preprocessing, torch.float32)
        self.precision = torch.float32
        self.encoded_at_once = ENCODED_AT_ONCE

    @classmethod
    def load(cls, name: str, notify: Callable[[str], None]) -> Self:
        """Load a model by any name that `index` takes; raises EncoderError or EncoderUnknown."""
        files = resolve(name, notify)
        with text_files(files, notify) as (file, rules):
            tokenizer = TextTokenizer(file, rules)
            kept = _tokenizer_files(file, files)
        model = build_model(files).requires_grad_(True)
        config = dict(files.model_config) | ({"quick_gelu": True} if files.quick_gelu else {})
        return cls(model, config, files.preprocessing, tokenizer, kept, files.weights_hash)

    @classmethod
    def from_nothing(cls, config: dict[str, Any], texts: Sequence[str], seed: int) -> Self:
        """Build untrained towers from open_clip's folder form, with a vocabulary learned from the texts."""
        import open_clip

        register_image_network()
        torch.manual_seed(seed)
        shape = _shape(config["model_cfg"])
        text = shape["text_cfg"]
        words = learn_vocabulary(texts, size=text["vocab_size"], context_length=text["context_length"])
        content = words.to_str(pretty=False).encode()
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / TOKENIZER_FILE).write_bytes(content)
            tokenizer = TextTokenizer(Path(folder) / TOKENIZER_FILE, own_rules(text))
        model = open_clip.CustomTextCLIP(
            shape["embed_dim"], shape["vision_cfg"], text, quick_gelu=shape["quick_gelu"]
        )
        preprocessing = preprocessing_of(shape, config.get("preprocess_cfg"))
        return cls(model, shape, preprocessing, tokenizer, {TOKENIZER_FILE: content})

    @property
    def origin(self) -> str:
        """Tell what is begun from, weights and shape, from anything else."""
        parts = [self._weights_hash, self.model_config, asdict(self.preprocessing)]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @property
    def parameter_count(self) -> int:
        """Count the weights."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def device(self) -> torch.device:
        """Tell where it lives."""
        return next(self.model.parameters()).device  # type: ignore[no-any-return]

    @property
    def temperature(self) -> list[nn.Parameter]:
        """Give what belongs to no tower: the scale, and the bias where there is one."""
        found = (getattr(self.model, name, None) for name in ("logit_scale", "logit_bias"))
        return [parameter for parameter in found if isinstance(parameter, nn.Parameter)]

    def inputs(self, pixels: PixelBatch, texts: Sequence[str]) -> Inputs:
        """Tokenise; over-long texts are cut."""
        return Inputs(pixels, self.tokenizer.ids(texts))

    def own_cuts(self) -> Callable[[str], bool]:
        """Give the function that tells whether a tokenizer which came with the model cuts a text."""
        return cuts_by(self._tokenizer_files[TOKENIZER_FILE])

    def encode(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Encode both sides to (n, dim) float32 unit rows, with a graph."""
        return self.encode_pixels(inputs.pixels), self.encode_ids(inputs.ids)

    def encode_pixels(self, pixels: PixelBatch) -> Tensor:
        """Encode (n, height, width, 3) uint8 pixels to (n, dim) float32 unit rows."""
        batch = torch.from_numpy(pixels).to(self.device, non_blocking=True)
        with self._autocast():
            vectors = self.tower(batch)
        return functional.normalize(vectors.float(), dim=1)

    def encode_ids(self, ids: NDArray[Any]) -> Tensor:
        """Encode (n, length) token ids to (n, dim) float32 unit rows."""
        with self._autocast():
            vectors = self.model.encode_text(torch.from_numpy(ids).to(self.device))
        return functional.normalize(vectors.float(), dim=1)

    def _autocast(self) -> torch.autocast:
        half = self.precision is not torch.float32
        return torch.autocast(self.device.type, self.precision if half else torch.bfloat16, enabled=half)

    def loss(
        self,
        name: LossName,
        images: Tensor,
        texts: Tensor,
        positive: Tensor,
        log_scale: Tensor | None = None,
    ) -> Tensor:
        """Give the loss of (n, dim) unit rows of both sides; positive: (n, n); log_scale: not ours."""
        logarithm = self.model.logit_scale if log_scale is None else log_scale
        scale = logarithm.clamp(max=LOG_SCALE_MAX).exp()
        logits = scale * images @ texts.T
        if name is LossName.SOFTMAX:
            return weighted_contrastive(logits, positive)
        return sigmoid_contrastive(logits + self.model.logit_bias, positive)

    def prepare_sigmoid(self) -> None:
        """Give a model of the softmax loss the temperature and bias that the sigmoid loss begins with."""
        if getattr(self.model, "logit_bias", None) is None:
            device = self.device
            self.model.logit_bias = nn.Parameter(torch.tensor(SIGMOID_BIAS, device=device))
            with torch.no_grad():
                self.model.logit_scale.fill_(torch.tensor(SIGMOID_SCALE).log())

    @torch.no_grad()
    def image_vectors(self, batches: Iterator[PixelBatch]) -> Vectors:
        """Encode many images as users will have them encoded; (n, dim) float32 unit rows.

        Raises TrainingFailed where memory does not suffice.
        """
        with self._evaluating(), memory_told(self._memory_advice):
            return torch.cat([self.encode_pixels(batch).cpu() for batch in batches]).numpy()

    @torch.no_grad()
    def text_vectors(self, texts: Sequence[str]) -> Vectors:
        """Encode many texts; (n, dim) float32 unit rows. Raises TrainingFailed as `image_vectors` does."""
        size = self.encoded_at_once
        with self._evaluating(), memory_told(self._memory_advice):
            parts = [
                self.encode_ids(self.tokenizer.ids(texts[start : start + size])).cpu()
                for start in range(0, len(texts), size)
            ]
        return torch.cat(parts).numpy()

    def _memory_advice(self) -> str:
        now = self.encoded_at_once
        return (
            f"no memory to encode {now} images at once, as where a model is measured; go on with "
            f"--resume --micro-batch {max(1, now // 2)}"
        )

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        modes = {module: module.training for module in self.modules()}
        self.eval()
        try:
            yield
        finally:
            for module, mode in modes.items():
                module.training = mode

    def save(self, folder: Path) -> None:
        """Write the model as a folder that `--model FOLDER` takes; each file whole or not at all."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        forget_unfinished(folder)
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in self._plain_state().items()}
        config = {"model_cfg": self._saved_config(), "preprocess_cfg": self._saved_transform()}
        with ExitStack() as stack:
            beside = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder, prefix=UNFINISHED)))
            save_file(state, beside / WEIGHTS_FILE, metadata={"format": "pt"})
            (beside / WEIGHTS_FILE).chmod(0o644)  # safetensors writes for its owner alone
            (beside / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
            for name, content in self._tokenizer_files.items():
                (beside / name).write_bytes(content)
            for path in beside.iterdir():
                shutil.move(path, folder / path.name)

    def _plain_state(self) -> dict[str, Tensor]:
        state: dict[str, Tensor] = self.model.state_dict()
        return {name: tensor.clone() for name, tensor in state.items()}  # clones: none may share memory

    def _saved_config(self) -> dict[str, Any]:
        bias = getattr(self.model, "logit_bias", None)
        return self.model_config | ({} if bias is None else {"init_logit_bias": SIGMOID_BIAS})

    def _saved_transform(self) -> dict[str, Any]:
        shown = self.preprocessing
        return {
            **DEFAULT_TRANSFORM,
            "size": [shown.height, shown.width],
            "mode": "RGB",
            "mean": list(shown.mean),
            "std": list(shown.std),
            "interpolation": shown.interpolation,
            "resize_mode": shown.resize_mode,
            "fill_color": shown.fill,
        }


def forget_unfinished(folder: Path) -> None:
    """Remove the models that a kill left half-written."""
    for left in folder.glob(f"{UNFINISHED}*"):
        shutil.rmtree(left, ignore_errors=True)


def _shape(given: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a new model is built from, and nothing else: it is saved, and must be built alike again.

    The vocabulary is learned from the captions, whatever tokenizer is named; no tower comes with weights.
    """
    text = {key: value for key, value in given["text_cfg"].items() if not key.startswith("hf_")}
    text.pop("tokenizer_kwargs", None)
    vision = dict(given["vision_cfg"])
    if "timm_model_name" in vision:
        vision["timm_model_pretrained"] = False
    return {
        "embed_dim": given["embed_dim"],
        "vision_cfg": vision,
        "text_cfg": text,
        "custom_text": True,
        "quick_gelu": bool(given.get("quick_gelu")),
    }


def _tokenizer_files(file: Path, files: ModelFiles) -> dict[str, bytes]:
    """Keep what a saved folder needs: nothing where the text side is CLIP's own, which open_clip brings."""
    is_own = files.folder is not None and (files.folder / TOKENIZER_FILE).is_file()
    if not (is_own or files.model_config["text_cfg"].get("hf_tokenizer_name")):
        return {}
    beside = file.parent / TOKENIZER_CONFIG_FILE
    return {path.name: path.read_bytes() for path in (file, beside) if path.is_file()}
