"""The recipe of the built-in model: data, settings and the command that trains and exports it.

    python -m trainer.builtin_recipe --data DATA --run RUN_FOLDER

trains, or goes on training, and in the end measures the model and writes its files into the package.

DATA holds pairs/flickr8k-{train,dev}.tar, labelled/tiny-imagenet-train.tar, tiny-imagenet-classes.json and
labelled/caltech101-train.tar. The figures of a run are in docs/builtin-model.md.
"""

import argparse
import json
import logging
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn

from indexer.encoders.builtin.network import register_image_network
from indexer.records import Vectors

from .batches import Share, batches, normalise
from .checkpoint import Progress, load_checkpoint, save_checkpoint
from .evaluate import TEMPLATES, Recall, class_vectors, prompts, text_to_image_recall, zero_shot_top_1
from .loop import Schedule, StepReport, make_optimizer, train
from .pairs import PairSet, hold_out, read_captioned, read_labelled
from .vocabulary import learn_vocabulary

log = logging.getLogger(__name__)

BUILTIN_FOLDER = Path(__file__).parent.parent / "indexer" / "encoders" / "builtin"
CONFIG_FILE = BUILTIN_FOLDER / "open_clip_config.json"
HELD_OUT_PER_CLASS = 5  # of tiny-imagenet's 200 per class: 1,000 photos that are never trained on
CHECKPOINT_EVERY = 100  # steps, about two minutes on two cores
EVALUATE_EVERY = 500
SMALL_SIZE, SMALL_STEPS, FULL_SIZE = 48, 2300, 64  # pixels, steps, pixels
# Pixels of captioned images in memory: crops of it come near 64, so that scaling leaves no moiré.
SOURCE_SIZE = 80
SEED = 20261121

# Folder names that are no English for what is in them.
CALTECH_NAMES = {
    "BACKGROUND_Google": (),
    "Faces": ("face", "person's face"),
    "Faces_easy": ("face", "person's face"),
    "Leopards": ("leopard",),
    "Motorbikes": ("motorcycle", "motorbike"),
    "airplanes": ("airplane", "plane"),
    "car_side": ("car", "side of a car"),
    "cougar_body": ("cougar",),
    "cougar_face": ("cougar", "face of a cougar"),
    "crocodile_head": ("crocodile", "head of a crocodile"),
    "flamingo_head": ("flamingo", "head of a flamingo"),
    "gerenuk": ("gerenuk", "antelope"),
    "inline_skate": ("inline skate", "roller skate"),
    "minaret": ("minaret", "tower"),
    "pagoda": ("pagoda", "temple"),
    "water_lilly": ("water lily", "flower"),
}


@dataclass(frozen=True)
class Data:
    """What the model learns from, and what it is measured on."""

    captioned: PairSet
    objects: PairSet  # Caltech101
    classes: PairSet  # tiny-imagenet
    dev: PairSet  # Flickr8k dev: never trained on
    held_out: PairSet  # the last of each tiny-imagenet class: never trained on


def read_data(folder: Path) -> Data:
    """Read the shards into memory, about one gigabyte."""
    names = json.loads((folder / "labelled/tiny-imagenet-classes.json").read_text())
    synonyms = {wnid: _synonyms(text) for wnid, text in names.items()}
    tiny = read_labelled(folder / "labelled/tiny-imagenet-train.tar", synonyms, 64)
    classes, held_out = hold_out(tiny, HELD_OUT_PER_CLASS)
    return Data(
        captioned=read_captioned(folder / "pairs/flickr8k-train.tar", SOURCE_SIZE),
        objects=read_labelled(folder / "labelled/caltech101-train.tar", _caltech_names(folder), SOURCE_SIZE),
        classes=classes,
        dev=read_captioned(folder / "pairs/flickr8k-dev.tar", 64),
        held_out=held_out,
    )


def _synonyms(text: str) -> tuple[str, ...]:
    """Take the first two names of a WordNet entry: later ones are mostly Latin."""
    return tuple(name.strip() for name in text.split(","))[:2]


def _caltech_names(folder: Path) -> dict[str, tuple[str, ...]]:
    with tarfile.open(folder / "labelled/caltech101-train.tar") as archive:
        found = {member.name.split("/")[0] for member in archive if member.isfile()}
    names = {name: CALTECH_NAMES.get(name, (name.replace("_", " ").lower(),)) for name in found}
    return {name: synonyms for name, synonyms in names.items() if synonyms}


def model_config() -> dict[str, Any]:
    """Read the model's part of the open_clip configuration that ships with the weights."""
    config: dict[str, Any] = json.loads(CONFIG_FILE.read_text())["model_cfg"]
    return config


def make_tokenizer(data: Data) -> Tokenizer:
    """Learn the vocabulary from the training captions and class names."""
    text_config = model_config()["text_cfg"]
    texts = [
        text
        for pairs in (data.captioned, data.objects, data.classes)
        for group in pairs.texts
        for text in group
    ]
    return learn_vocabulary(
        texts, size=text_config["vocab_size"], context_length=text_config["context_length"]
    )


def make_model() -> Any:
    """Build the untrained model from its open_clip configuration."""
    import open_clip

    register_image_network()
    torch.manual_seed(SEED)
    config = model_config()
    model = open_clip.CustomTextCLIP(config["embed_dim"], config["vision_cfg"], config["text_cfg"])
    _trim_padding(model.text)
    return model.to(memory_format=torch.channels_last)


def _trim_padding(text_tower: nn.Module) -> None:
    """Cut the columns that are padding in all rows: behind a causal mask they change nothing but the cost."""
    whole_mask: Any = text_tower.attn_mask

    def trim(tower: nn.Module, arguments: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        (tokens,) = arguments
        length = int(torch.count_nonzero(tokens, dim=1).max())
        tower.attn_mask = whole_mask[:length, :length]
        return (tokens[:, :length],)

    text_tower.register_forward_pre_hook(trim)


@torch.no_grad()
def encode_images(model: nn.Module, pairs: PairSet, batch_size: int = 250) -> Vectors:
    """Encode all images of a set; (n, dim) float32 unit rows."""
    parts = [
        model.encode_image(normalise(pairs.pixels[start : start + batch_size]), normalize=True)  # type: ignore[operator]
        for start in range(0, len(pairs), batch_size)
    ]
    return torch.cat(parts).numpy()


@torch.no_grad()
def encode_texts(
    model: nn.Module, tokenizer: Tokenizer, texts: Sequence[str], batch_size: int = 500
) -> Vectors:
    """Encode texts; (n, dim) float32 unit rows."""
    parts = []
    for start in range(0, len(texts), batch_size):
        encodings = tokenizer.encode_batch(list(texts[start : start + batch_size]))
        tokens = torch.tensor([encoding.ids for encoding in encodings])
        parts.append(model.encode_text(tokens, normalize=True))  # type: ignore[operator]
    return torch.cat(parts).numpy()


def measure(model: nn.Module, tokenizer: Tokenizer, data: Data) -> tuple[Recall, float]:
    """Measure text-to-image recall on Flickr8k dev, and zero-shot top-1 on the held-out class photos."""
    model.eval()
    captions = [text for group in data.dev.texts for text in group]
    own = np.repeat(np.arange(len(data.dev)), [len(group) for group in data.dev.texts])
    recall = text_to_image_recall(
        encode_texts(model, tokenizer, captions), encode_images(model, data.dev), own
    )
    names = [synonyms[0] for synonyms in data.held_out.texts]
    classes = class_vectors(encode_texts(model, tokenizer, prompts(names)), len(TEMPLATES))
    top_1 = zero_shot_top_1(encode_images(model, data.held_out), data.held_out.groups, classes)
    model.train()
    return recall, top_1


def run(data: Data, run_folder: Path, schedule: Schedule) -> None:
    """Train, or go on training, with a checkpoint every two minutes."""
    run_folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer(data)
    tokenizer.save(str(run_folder / "tokenizer.json"))
    model = make_model()
    optimizer = make_optimizer(model, weight_decay=0.1)
    checkpoint = run_folder / "checkpoint.pt"
    start = load_checkpoint(checkpoint, model, optimizer) if checkpoint.exists() else Progress(0, 0, 0.0)
    shares = [Share(data.captioned, 96, 0), Share(data.objects, 28, 10), Share(data.classes, 132, 20)]

    def on_step(report: StepReport) -> None:
        progress = report.progress
        last = progress.step == schedule.steps
        if progress.step % 20 == 0:
            rate = progress.samples / progress.seconds
            log.info("step %d loss %.3f lr %.5f %.0f images/s", progress.step, report.loss, report.rate, rate)
        if progress.step % CHECKPOINT_EVERY == 0 or last:
            save_checkpoint(checkpoint, model, optimizer, progress)
        if progress.step % EVALUATE_EVERY == 0 or last:
            recall, top_1 = measure(model, tokenizer, data)
            log.info(
                "step %d minutes %.1f %s top-1 %.3f", progress.step, progress.seconds / 60, recall, top_1
            )

    stream = batches(shares, size=_image_size, seed=SEED, first_step=start.step)
    train(model, optimizer, tokenizer, stream, schedule, start=start, on_step=on_step)


def _image_size(step: int) -> int:
    """Most of the way is gone at a smaller size, where an image costs half."""
    return SMALL_SIZE if step < SMALL_STEPS else FULL_SIZE


def export(data: Data, run_folder: Path, folder: Path = BUILTIN_FOLDER) -> None:
    """Measure the newest checkpoint; write float16 weights and tokenizer where the product reads them."""
    from safetensors.torch import save_file

    tokenizer = Tokenizer.from_file(str(run_folder / "tokenizer.json"))
    model = make_model()
    progress = load_checkpoint(run_folder / "checkpoint.pt", model, make_optimizer(model, weight_decay=0.1))
    half = {name: _half(tensor) for name, tensor in model.state_dict().items()}
    model.load_state_dict({name: tensor.to(model.state_dict()[name].dtype) for name, tensor in half.items()})
    recall, top_1 = measure(model, tokenizer, data)
    log.info("%s, float16 weights: %s top-1 %.3f", progress, recall, top_1)
    weights = folder / "open_clip_model.safetensors"
    save_file(half, weights, metadata={"format": "pt"})
    weights.chmod(0o644)  # safetensors writes for its owner alone
    tokenizer.save(str(folder / "tokenizer.json"))


def _half(tensor: torch.Tensor) -> torch.Tensor:
    return (tensor.to(torch.float16) if tensor.is_floating_point() else tensor).contiguous()


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description="Train the built-in model.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True, help="folder of checkpoint and tokenizer")
    parser.add_argument("--steps", type=int, default=3600, help="more of them make a better model")
    parser.add_argument("--decay-steps", type=int, default=2600, help="how many of them the rate falls for")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    schedule = Schedule(arguments.steps, warmup_steps=200, decay_steps=arguments.decay_steps, peak=2e-3)
    data = read_data(arguments.data)
    run(data, arguments.run, schedule)
    export(data, arguments.run)


if __name__ == "__main__":
    main()
