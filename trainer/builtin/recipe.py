"""The command that trains the built-in model, round by round, and exports it.

    python -m trainer.builtin.recipe --data DATA --run RUN_FOLDER

trains, or goes on training, and in the end measures the model and writes its files into the package.

DATA holds pairs/flickr8k-{train,dev}.tar, labelled/tiny-imagenet-train.tar, tiny-imagenet-classes.json and
labelled/caltech101-train.tar. It needs the extra `recipe`. The figures of a run are in docs/builtin-model.md.
"""

import argparse
import copy
import functools
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..checkpoint import Progress, load_checkpoint, load_state, save_checkpoint, save_state
from ..loop import Schedule, StepReport, make_optimizer, train
from ..templates import TRAINING_TEMPLATES
from .batches import Batch, batches
from .captions import text_batches, text_loss
from .data import COARSE_SIZE, HELD_OUT_PER_CLASS, Data, read_data
from .learner import (
    Learner,
    RememberedTexts,
    WordQueries,
    WordTargets,
    draw_columns,
    tokenize,
    wordings_of,
)
from .model import (
    BUILTIN_FOLDER,
    CONFIG_FILE,
    encode_texts,
    make_model,
    make_tokenizer,
    measure,
    model_config,
)
from .rounds import (
    IMAGE_ROUNDS,
    ROUNDS,
    SEED,
    TAUGHT,
    TAUGHT_SEED,
    ImageRound,
    Round,
    schedule_of,
    shares_of,
    shortened,
    shortened_images,
)
from .teacher import Bridge, SentenceTeacher
from .teacher_round import (
    ImageLearner,
    Teacher,
    all_texts,
    blend_images,
    fit_bridge,
    remembered,
    teach_text_tower,
)

log = logging.getLogger(__name__)

CHECKPOINT_EVERY = 100  # steps, about two minutes on two cores
EVALUATE_EVERY = 500
TEXT_STEPS = 800
WEIGHT_DECAY = 0.1
CAPTIONS_RATE = 1e-3
TEXT_SHARE = 0.3  # of the rate, for a text tower that knows its captions already
QUERY_WORDS = 160  # drawn per batch when the text tower has to encode them


class Run:
    """One run of the recipe: its folder, its data, and the learner as far as it has come."""

    def __init__(self, data: Data, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.data, self.folder = data, folder
        self.tokenizer = make_tokenizer(data)
        self.words = WordTargets(data.learned_from)
        self.learner = Learner(make_model(), len(self.words.words))
        model = self.learner.model
        helpers = [*self.learner.text_map.parameters(), *self.learner.word_head.parameters()]
        shares = [([*model.visual.parameters(), *helpers, model.logit_scale], 1.0)]
        shares.append((list(model.text.parameters()), TEXT_SHARE))
        self.optimizer = make_optimizer(shares, weight_decay=WEIGHT_DECAY)
        self.progress = Progress(0, 0, 0.0)
        if self.checkpoint.exists():
            self.progress = load_checkpoint(self.checkpoint, self.learner, self.optimizer)

    @functools.cached_property
    def _coarse(self) -> Data:
        return self.data.coarse()

    def _data_for(self, this: Round) -> Data:
        return self._coarse if this.largest <= COARSE_SIZE else self.data

    @property
    def checkpoint(self) -> Path:
        """Where the run stands on disk."""
        return self.folder / "checkpoint.pt"

    @property
    def finished_file(self) -> Path:
        """Where the model is as the taught round left it."""
        return self.folder / "finished.pt"

    def _file_after(self, rounds: Sequence[ImageRound]) -> Path:
        return self.folder / f"{rounds[-1].name}.pt" if rounds else self.finished_file

    def finished(self) -> nn.Module:
        """Give the model as it shall be shipped."""
        for rounds in range(len(IMAGE_ROUNDS), -1, -1):
            file = self._file_after(IMAGE_ROUNDS[:rounds])
            if file.exists():
                self.learner.model.load_state_dict(load_state(file)["model"])
                return self.learner.model.eval()  # type: ignore[no-any-return]
        return self.learner.finished()  # type: ignore[no-any-return]

    def learn_captions(self, steps: int) -> None:
        """Teach the text tower which captions say the same; done once, before the first image."""
        text = self.learner.model.text
        optimizer = make_optimizer([(text.parameters(), 1.0)], weight_decay=WEIGHT_DECAY)
        stream = text_batches(self.data.learned_from, (144, 16, 32), seed=SEED)
        schedule = Schedule(steps, warmup_steps=50, decay_steps=steps, peak=CAPTIONS_RATE)

        def on_step(report: StepReport) -> None:
            if report.progress.step % 50 == 0:
                log.info("captions step %d loss %.3f", report.progress.step, report.loss)

        train(
            lambda batch: text_loss(
                self.learner,
                tokenize(self.tokenizer, batch.first),
                tokenize(self.tokenizer, batch.second),
                batch.keys,
            ),
            optimizer,
            stream,
            schedule,
            start=Progress(0, 0, 0.0),
            on_step=on_step,
        )
        save_checkpoint(self.checkpoint, self.learner, self.optimizer, self.progress)

    def learn_pairs(self, rounds: Sequence[Round]) -> None:
        """Train on images and texts round by round, or go on with it, with a checkpoint every two minutes."""
        first_step = 0
        for this in rounds:
            if self.progress.step < first_step + this.steps:
                self._learn_round(this, first_step)
            first_step += this.steps

    def _learn_round(self, this: Round, first_step: int) -> None:
        unlock_at, data = first_step + this.unlock_step, self._data_for(this)
        sets = self.data.learned_from
        words = self.words.texts if this.asks_for_words else ()
        remembered = RememberedTexts(self.learner, self.tokenizer, sets, words)
        stream = batches(
            lambda step: shares_of(data, this, locked=step < unlock_at),
            size=lambda step: this.size(step - first_step),
            seed=SEED,
            first_step=self.progress.step,
            least_area=this.least_area,
        )

        def loss_of(batch: Batch) -> Tensor:
            locked = batch.step < unlock_at
            encode = remembered.rows if locked else self._encode_fresh
            weights = self.words.rows(batch.image_keys)
            if not this.asks_for_words:
                return self.learner.loss(batch, encode(batch.texts), weights)
            asked, query_weights = self._draw_words(batch.step, weights, None if locked else QUERY_WORDS)
            texts = encode([*batch.texts, *asked])
            queries = WordQueries(texts[len(batch.texts) :], query_weights)
            return self.learner.loss(batch, texts[: len(batch.texts)], weights, queries)

        def on_step(report: StepReport) -> None:
            self.progress = report.progress
            self._report(report, last=report.progress.step == first_step + this.steps)

        self.learner.train()
        train(
            loss_of,
            self.optimizer,
            stream,
            schedule_of(this, first_step),
            start=self.progress,
            on_step=on_step,
        )

    def learn_taught(self, this: Round, teacher: Teacher) -> None:
        """Learn from a teacher's texts, blend, and teach the text tower; done once."""
        if self.finished_file.exists():
            return
        learner, sets = self.learner, self.data.learned_from
        learner.model.load_state_dict(learner.finished().state_dict())
        before = copy.deepcopy(learner.model)
        wordings = [text for pairs in sets for text in wordings_of(pairs)]
        texts = remembered(teacher, all_texts(wordings, self.words.texts), self.folder / "texts.pt")
        bridge = Bridge(learner.text_map.weight.shape[0])
        fit_bridge(
            bridge, texts, torch.from_numpy(encode_texts(before, self.tokenizer, texts.texts)), seed=SEED
        )
        self._learn_images(
            this, ImageLearner(learner, bridge, texts, weight_decay=WEIGHT_DECAY), "taught", TAUGHT_SEED
        )
        blend_images(before, learner.model)
        learner.model = before
        captions = [text for group in self.data.captioned.texts for text in group]
        teach_text_tower(learner, self.tokenizer, bridge, teacher, texts, captions, self.folder, seed=SEED)
        save_state(
            self.finished_file,
            {"model": learner.model.state_dict(), "word_head": learner.word_head.state_dict()},
        )

    def learn_images(self, rounds: Sequence[ImageRound]) -> None:
        """Let the image tower learn by itself after the taught round; each round is done once."""
        for done in range(len(rounds)):
            file = self._file_after(rounds[: done + 1])
            if not file.exists():
                self._learn_and_blend(rounds[done], self._file_after(rounds[:done]), file)

    def _learn_and_blend(self, image_round: ImageRound, came_from: Path, file: Path) -> None:
        learner = self.learner
        known = load_state(came_from)
        learner.model.load_state_dict(known["model"])
        learner.word_head.load_state_dict(known["word_head"])
        before = copy.deepcopy(learner.model)
        texts = RememberedTexts(learner, self.tokenizer, self.data.learned_from, self.words.texts)
        dimension = learner.model.text.text_projection.shape[1]
        turn = nn.Linear(dimension, dimension, bias=False)
        nn.init.eye_(turn.weight)
        images = ImageLearner(learner, turn, texts, weight_decay=WEIGHT_DECAY)
        self._learn_images(image_round.this, images, f"{image_round.name}-round", image_round.seed)
        after = learner.finished()
        blend_images(before, after, image_round.share)
        after.visual.load_state_dict(before.visual.state_dict())
        with torch.no_grad():
            texts_before, texts_after = before.text.text_projection, after.text.text_projection
            texts_after.copy_(torch.lerp(texts_before, texts_after, image_round.text_share))
        learner.model = after
        word_head = learner.word_head.state_dict()
        save_state(file, {"model": after.state_dict(), "word_head": word_head})

    def _learn_images(self, this: Round, images: ImageLearner, name: str, seed: int) -> None:
        file, data = self.folder / f"{name}.pt", self._data_for(this)
        start = images.resume(file)
        stream = batches(
            lambda _: shares_of(data, this, locked=True),
            size=this.size,
            seed=seed,
            first_step=start.step,
            least_area=this.least_area,
            mixed=this.mixed,
        )

        def loss_of(batch: Batch) -> Tensor:
            words = self.words.rows(batch.image_keys)
            asked, weights = self._draw_words(batch.step, words, None)
            return images.loss(batch, words, asked, weights)

        def on_step(report: StepReport) -> None:
            step = report.progress.step
            if step % 20 == 0:
                log.info("%s step %d loss %.3f", name, step, report.loss)
            if step % CHECKPOINT_EVERY == 0 or step == this.steps:
                images.save(file, report)

        self.learner.train()
        train(loss_of, images.optimizer, stream, schedule_of(this, 0), start=start, on_step=on_step)

    def _encode_fresh(self, texts: Sequence[str]) -> Tensor:
        return self.learner.encode_texts(tokenize(self.tokenizer, texts))

    def _draw_words(self, step: int, weights: Tensor, most: int | None) -> tuple[list[str], Tensor]:
        chance = np.random.default_rng((SEED, step, 1))
        columns = draw_columns(weights, most, chance)
        templates = chance.choice(len(TRAINING_TEMPLATES), len(columns))
        texts = [
            TRAINING_TEMPLATES[template].format(self.words.texts[column])
            for template, column in zip(templates, columns.tolist(), strict=True)
        ]
        return texts, weights[:, columns]

    def _report(self, report: StepReport, *, last: bool) -> None:
        step, seconds = report.progress.step, report.progress.seconds
        if step % 20 == 0:
            rate = report.progress.samples / seconds
            log.info("step %d loss %.3f lr %.5f %.0f images/s", step, report.loss, report.rate, rate)
        if step % CHECKPOINT_EVERY == 0 or last:
            save_checkpoint(self.checkpoint, self.learner, self.optimizer, report.progress)
        if step % EVALUATE_EVERY == 0 or last:
            recall, top_1 = measure(self.learner.finished(), self.tokenizer, self.data)
            log.info("step %d minutes %.1f %s top-1 %.3f", step, seconds / 60, recall, top_1)


def export(data: Data, run_folder: Path, folder: Path = BUILTIN_FOLDER) -> None:
    """Measure the newest checkpoint; write float16 weights and tokenizer where the product reads them."""
    from safetensors.torch import save_file

    run = Run(data, run_folder)
    model = run.finished()
    half = {name: _half(tensor) for name, tensor in model.state_dict().items()}
    model.load_state_dict({name: tensor.to(model.state_dict()[name].dtype) for name, tensor in half.items()})
    recall, top_1 = measure(model, run.tokenizer, data)
    log.info("%s, float16 weights: %s top-1 %.3f", run.progress, recall, top_1)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG_FILE.name).write_text(CONFIG_FILE.read_text(encoding="utf-8"), encoding="utf-8")
    weights = folder / "open_clip_model.safetensors"
    # The network is told in the weights: one that looks otherwise makes other weights, and libraries know.
    network = model_config()["vision_cfg"]["timm_model_name"]
    save_file(half, weights, metadata={"format": "pt", "network": network})
    weights.chmod(0o644)  # safetensors writes for its owner alone
    run.tokenizer.save(str(folder / "tokenizer.json"))


def _half(tensor: torch.Tensor) -> torch.Tensor:
    return (tensor.to(torch.float16) if tensor.is_floating_point() else tensor).contiguous()


def main() -> None:
    """Read the arguments and run."""
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    data = read_data(arguments.data, arguments.held_out)
    run = Run(data, arguments.run)
    if run.progress.step == 0:
        run.learn_captions(TEXT_STEPS)
    run.learn_pairs(shortened(ROUNDS, arguments.length))
    run.learn_taught(shortened([TAUGHT], arguments.length)[0], SentenceTeacher())
    run.learn_images(shortened_images(IMAGE_ROUNDS, arguments.length))
    export(data, arguments.run, arguments.out)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the built-in model.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True, help="folder of checkpoint and tokenizer")
    parser.add_argument("--out", type=Path, default=BUILTIN_FOLDER, help="folder for the files of the model")
    parser.add_argument(
        "--held-out",
        type=int,
        default=HELD_OUT_PER_CLASS,
        metavar="N",
        help="of each tiny-imagenet class, the last N photos that are only measured on",
    )
    parser.add_argument("--length", type=float, default=1.0, help="share of each round's steps, for a trial")
    return parser.parse_args()


if __name__ == "__main__":
    main()
