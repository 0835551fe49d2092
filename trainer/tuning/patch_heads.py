"""Patch heads: from pairs to a PACL head, written beside a copy of the encoder whose patches it turns."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from indexer.encoders.dense import PatchEncoder
from indexer.encoders.dense_loading import load_patch_encoder
from indexer.encoders.names import CONFIG_FILE, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE, ModelFiles, resolve
from indexer.encoders.patch_head import HEAD_CARD_FILE, HEAD_FILE, TENSORS, HeadCard, PatchHead
from indexer.records import Vectors
from indexer.store.files import replacing
from search.regions_pacl import TEMPERATURE
from search.regions_texts import SENTENCES

from ..examples import Example
from ..nouns import NamedThings, named_things
from ..pacl import PatchEmbedder
from ..patches import Patches, Tell, keep_patches
from .aligning import Aligned, Material, align
from .folder import PATCHES_FILES
from .settings import Settings
from .trainee import Trainee
from .validation import Score, Validation

SCALE = 20.0  # the inverse temperature of the contrast between pairs


@dataclass(frozen=True)
class Gathered:
    """All vectors of both parts."""

    material: Material
    held_out: tuple[Patches, Vectors]  # patches and texts of the validation


class PatchHeadTraining:
    """An encoder, and the pairs that its head is learned from."""

    def __init__(
        self, trainee: Trainee, model: str, settings: Settings, examples: tuple[Example, ...], folder: Path
    ) -> None:
        self._trainee, self._settings, self._examples = trainee, settings, examples
        self._files = resolve(model, lambda _line: None)
        self._encoder = load_patch_encoder(model, device=trainee.device.type, with_head=False)
        self._folder = folder
        self._things: NamedThings = named_things(examples)

    @property
    def kept(self) -> tuple[Path, Path]:
        """Give the files of the patches, which only an unfinished run needs."""
        train, validation = PATCHES_FILES
        return self._folder / train, self._folder / validation

    def learn(
        self, gathered: Gathered, validation: Validation, watch: Callable[[int, float, Score], None]
    ) -> Aligned:
        """Learn, and write the model with its head; without a head where none was better."""
        aligned = align(
            gathered.material,
            self._settings,
            validation,
            gathered.held_out,
            scale=SCALE,
            temperature=TEMPERATURE,
            device=self._trainee.device,
            watch=watch,
        )
        hash_written = save_encoder(self._files, self._trainee, self._folder)
        if aligned.epochs:
            save_head(self._folder, self._head(aligned, hash_written))
        return aligned

    def gather(self, validation: Validation, tell: Tell) -> Gathered:
        """Encode all images and texts, or read what an earlier run has left of them."""
        train_file, validation_file = self.kept
        every = len(self._examples) + len(validation.examples)
        patches = keep_patches(self._encoder, self._examples, train_file, lambda done, of: tell(done, every))
        others = keep_patches(
            self._encoder,
            validation.examples,
            validation_file,
            lambda done, of: tell(len(self._examples) + done, every),
        )
        captions = self._trainee.text_vectors([text for each in self._examples for text in each.captions])
        material = Material(self._examples, patches, captions, self._nouns(), self._things.named)
        return Gathered(material, (others, self._trainee.text_vectors(validation.texts)))

    def _nouns(self) -> Vectors:
        """Encode each noun in each sentence that the highlighter asks by; (nouns, sentences, dim)."""
        asked = [sentence.replace("{}", noun) for noun in self._things.nouns for sentence in SENTENCES]
        if not asked:
            return np.empty((0, len(SENTENCES), self._encoder.card.dimension), np.float32)
        return self._trainee.text_vectors(asked).reshape(len(self._things.nouns), len(SENTENCES), -1)

    def _head(self, aligned: Aligned, weights_hash: str) -> PatchHead:
        return PatchHead(
            head_card(self._files.name, weights_hash, self._encoder, aligned.head, self._trained_on()),
            {name: tensor.detach().cpu().numpy() for name, tensor in aligned.head.state_dict().items()},
        )

    def _trained_on(self) -> dict[str, Any]:
        return {
            "images": len(self._examples),
            "captions": sum(len(example.captions) for example in self._examples),
            "nouns": len(self._things.nouns),
            "settings": self._settings.as_dict(),
        }


def head_card(
    name: str, weights_hash: str, encoder: PatchEncoder, head: PatchEmbedder, trained_on: dict[str, Any]
) -> HeadCard:
    """Write down what a head belongs to."""
    text, patch = head.skip.weight.shape
    return HeadCard(
        weights_hash=weights_hash,
        encoder=name,
        patch_dimension=patch,
        text_dimension=text,
        hidden=head.hidden,
        temperature=TEMPERATURE,
        scale=SCALE,
        short_sides=encoder.settings.short_sides,
        window=encoder.settings.window,
        variant=encoder.settings.variant,
        trained_on=trained_on,
    )


def save_head(folder: Path, head: PatchHead) -> None:
    """Write a head as two files, in float16; each is replaced whole, the card last."""
    from safetensors.numpy import save

    stored = {name: np.ascontiguousarray(head.weights[name], np.float16) for name in TENSORS}
    with replacing(folder / HEAD_FILE) as file:
        file.write(save(stored))
    with replacing(folder / HEAD_CARD_FILE) as file:
        file.write((json.dumps(asdict(head.card), indent=2) + "\n").encode())


def save_encoder(files: ModelFiles, trainee: Trainee, folder: Path) -> str:
    """Put the encoder into a folder as it is; the hash of the weights there."""
    if files.folder is None:
        trainee.save(folder)
    else:
        beside = (files.folder / name for name in (CONFIG_FILE, TOKENIZER_FILE, TOKENIZER_CONFIG_FILE))
        for file in (*filter(Path.is_file, beside), files.weights):
            shutil.copyfile(file, folder / file.name)
    return resolve(str(folder), lambda _line: None).weights_hash
