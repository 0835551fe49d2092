"""Learning: steps of gradient descent on a trainee, epoch by epoch, that a kill can interrupt anywhere."""

import math
import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from indexer.encoders.openclip import is_out_of_memory
from indexer.encoders.quiet import brief
from indexer.errors import EncoderError, TrainingFailed

from ..checkpoint import Progress, load_state, save_state
from ..examples import Example
from ..loop import CosineSchedule, make_optimizer
from ..losses import LOG_SCALE_MAX
from ..precision import precision_for
from .accumulation import backward
from .epochs import Epoch
from .folder import BEST_FILE, CHECKPOINT_FILE, RunFolder
from .images import Crops, Images
from .lora import add_low_rank
from .out_of_memory import memory_told
from .pieces import depend_on_size
from .positives import KeyTable
from .processes import Process
from .settings import LossName, Method, Settings
from .trainee import Inputs, Trainee
from .validation import Score, Validation

CHECKPOINT_SECONDS = 120.0
LOG_EVERY = 10  # steps
CLIP_NORM = 1.0


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a run is, for those who watch."""

    step: int
    steps: int
    epoch: int  # 1, 2, ...
    epochs: int
    loss: float
    rate: float
    images_per_second: float
    seconds_left: float
    score: Score | None  # the last on validation
    preparing: str = ""  # what is done before learning, to be shown instead of a step and a loss


Watch = Callable[[Moment], None]


@dataclass(slots=True)
class State:
    """What changes from step to step, besides weights and optimiser."""

    progress: Progress
    best: float = -1.0
    best_epoch: int = 0
    last: Score | None = None


class Learning:
    """A trainee, its data and its optimiser, as far as they have come."""

    def __init__(
        self,
        trainee: Trainee,
        settings: Settings,
        examples: tuple[Example, ...],
        validation: Validation,
        folder: RunFolder,
        process: Process,
        watch: Watch,
    ) -> None:
        self.trainee, self.settings, self.folder = trainee, settings, folder
        self._examples, self._validation = examples, validation
        self._process, self._watch = process, watch
        self._keys = KeyTable(examples)
        self._images = Images(examples, trainee.preprocessing)
        self._prepare_model()
        self._optimizer = self._make_optimizer()
        self._scaler = torch.GradScaler(
            trainee.device.type, enabled=trainee.precision is torch.float16, init_scale=2.0**12
        )
        self._schedule = CosineSchedule(self.steps, round(settings.warmup * self.steps), settings.rate)
        self.state = State(Progress(0, 0, 0.0))
        self._saved_at = self._counted_at = time.monotonic()

    @property
    def _epoch(self) -> Epoch:
        return Epoch.over(len(self._examples), self.settings.batch_size, processes=self._process.count)

    @property
    def batch_size(self) -> int:
        """Give the images of a batch: as many in each, and as many of each process."""
        return self._epoch.size

    @property
    def steps_per_epoch(self) -> int:
        """Count an epoch's batches."""
        return self._epoch.steps

    @property
    def steps(self) -> int:
        """Count all steps of the run."""
        return self.settings.epochs * self.steps_per_epoch

    def run(self) -> State:
        """Learn until the schedule ends or validation has not gained for long; leaves the best weights."""
        self._train_mode()
        try:
            self._run()
        finally:
            self._images.close()
        self._load_best()
        return self.state

    def _run(self) -> None:
        if self._has_ended():
            return  # killed while it was measured, or saved
        self._counted_at = time.monotonic()
        for pixels, rows, step in self._batches():
            loss = self._guarded_step(pixels, rows, step)
            self._count(len(rows))
            epoch, begun = divmod(step + 1, self.steps_per_epoch)
            if not begun:
                self._end_epoch(epoch)
            self._tell(step, loss)
            if not begun and self._has_stalled(epoch):
                break
            self._save_now_and_then()
        self.save()

    # -- the model -------------------------------------------------------------------------------

    def _prepare_model(self) -> None:
        trainee, settings = self.trainee, self.settings
        trainee.precision = precision_for(settings.precision, trainee.device)
        if settings.loss is LossName.SIGMOID:
            trainee.prepare_sigmoid()
        if settings.recompute:
            trainee.model.set_grad_checkpointing(True)
        torch.manual_seed(settings.seed)  # of what is added, and of dropout: the same in all processes
        if settings.method is Method.LORA:
            add_low_rank(trainee.model, settings.lora_rank)
            for parameter in trainee.temperature:
                parameter.requires_grad_(True)

    def _make_optimizer(self) -> torch.optim.AdamW:
        learning = [parameter for parameter in self.trainee.model.parameters() if parameter.requires_grad]
        return make_optimizer([(learning, 1.0)], weight_decay=self.settings.weight_decay)

    def _train_mode(self) -> None:
        """Train, but for running means of a model that has learned already: small sets would spoil them."""
        self.trainee.train()
        if self.settings.method is not Method.SCRATCH:
            for module in self.trainee.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()

    # -- a step ----------------------------------------------------------------------------------

    def _guarded_step(self, pixels: NDArray[np.uint8], rows: NDArray[np.int64], step: int) -> float:
        with memory_told(self._memory_advice):
            loss = float(self._step(pixels, rows, step))
        if not math.isfinite(loss):
            raise self._diverged(step)
        return loss

    def _step(self, pixels: NDArray[np.uint8], rows: NDArray[np.int64], step: int) -> Tensor:
        drawn = [self._examples[row] for row in rows]
        texts = [self._caption(int(row), step) for row in rows]
        positive = self._keys.keys(rows.tolist(), drawn, texts).positive().to(self.trainee.device)
        own = self._process.own(len(rows))
        inputs = self.trainee.inputs(pixels, texts[own])
        for group in self._optimizer.param_groups:
            group["lr"] = self._schedule.rate(step) * group["share"]
        self._optimizer.zero_grad(set_to_none=True)
        loss = backward(
            self._pieces(inputs),
            self.trainee.encode,
            lambda images, texts: self.trainee.loss(self.settings.loss, images, texts, positive),
            self.trainee.model,
            apart=self.trainee.temperature,
            scaled=self._scaler.scale,
        )
        self._update()
        return loss

    def _update(self) -> None:
        self._scaler.unscale_(self._optimizer)
        learning = [parameter for group in self._optimizer.param_groups for parameter in group["params"]]
        nn.utils.clip_grad_norm_(learning, CLIP_NORM)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        with torch.no_grad():
            self.trainee.model.logit_scale.clamp_(max=LOG_SCALE_MAX)

    def _pieces(self, inputs: Inputs) -> list[Inputs]:
        size = self.settings.micro_batch or len(inputs)
        return [inputs.piece(slice(start, start + size)) for start in range(0, len(inputs), size)]

    def _caption(self, row: int, step: int) -> str:
        captions = self._examples[row].captions
        chance = np.random.default_rng((self.settings.seed, 1, step // self.steps_per_epoch, row))
        return captions[int(chance.integers(len(captions)))]

    def _diverged(self, step: int) -> TrainingFailed:
        return TrainingFailed(
            f"the loss is no number any more at step {step + 1}: the rate {self.settings.rate:g} is too high "
            f"for this model; start again with --rate {self.settings.rate / 10:g}"
        )

    def _memory_advice(self) -> str:
        now = self.settings.micro_batch or self.batch_size // self._process.count
        fewer = f"--micro-batch {max(1, now // 2)}"
        if depend_on_size(self.trainee, self.settings):
            return (
                f"no memory for {now} images at once; go on with --resume --recompute, or begin another run "
                f"with {fewer}, which learns something else: this model normalises over the images at once"
            )
        return (
            f"no memory for {now} images at once; the same batch of {self.batch_size} fits in pieces: go on "
            f"with --resume {fewer}, or with --resume --recompute"
        )

    # -- the data --------------------------------------------------------------------------------

    def _batches(self) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64], int]]:
        settings, own = self.settings, self._process.own(self.batch_size)
        steps = range(self.state.progress.step, self.steps)
        crops = (
            Crops(self._rows(step)[own], (settings.seed, 2, step // self.steps_per_epoch)) for step in steps
        )
        pixels = self._images.cropped(crops, least_area=settings.least_area, flips=settings.flips)
        for step, batch in zip(steps, pixels, strict=True):
            yield batch, self._rows(step), step

    def _rows(self, step: int) -> NDArray[np.int64]:
        epoch, place = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng((self.settings.seed, 0, epoch)).permutation(len(self._examples))
        return order[place * self.batch_size : (place + 1) * self.batch_size]

    # -- epochs, checkpoints, words ----------------------------------------------------------------

    def _end_epoch(self, epoch: int) -> None:
        state = self.state
        if self._process.is_first:
            state.last = self._validate()
        overall = self._process.agree(state.last.overall if state.last else 0.0)
        if overall > state.best:
            state.best, state.best_epoch = overall, epoch
            if self._process.is_first:
                save_state(self.folder.best, {"model": self.trainee.model.state_dict()})
        if self._process.is_first and state.last is not None:
            self.folder.log(step=state.progress.step, epoch=epoch, **state.last.as_dict())
        self._count_seconds()

    def _validate(self) -> Score:
        try:
            return self._validation.score(self.trainee)
        except EncoderError as error:  # vectors that are no numbers
            raise self._diverged(self.state.progress.step) from error

    def _has_stalled(self, epoch: int) -> bool:
        return epoch - self.state.best_epoch >= self.settings.patience

    def _has_ended(self) -> bool:
        epochs, over = divmod(self.state.progress.step, self.steps_per_epoch)
        return epochs > 0 and over == 0 and self._has_stalled(epochs)

    def _count(self, images: int) -> None:
        done = self.state.progress
        self.state.progress = replace(done, step=done.step + 1, samples=done.samples + images)
        self._count_seconds()

    def _count_seconds(self) -> None:
        """Count all that has passed: waiting for images and validating take time as well."""
        now, done = time.monotonic(), self.state.progress
        self.state.progress = replace(done, seconds=done.seconds + now - self._counted_at)
        self._counted_at = now

    def _tell(self, step: int, loss: float) -> None:
        if not self._process.is_first:
            return
        done, rate = self.state.progress, self._schedule.rate(step)
        if (step + 1) % LOG_EVERY == 0 or step + 1 == self.steps:
            self.folder.log(step=step + 1, loss=round(loss, 5), rate=rate, seconds=round(done.seconds, 2))
        per_step = done.seconds / max(1, done.step)
        self._watch(
            Moment(
                step + 1,
                self.steps,
                step // self.steps_per_epoch + 1,
                self.settings.epochs,
                loss,
                rate,
                done.samples / max(1e-9, done.seconds),
                (self.steps - step - 1) * per_step,
                self.state.last,
            )
        )

    def _save_now_and_then(self) -> None:
        if time.monotonic() - self._saved_at > CHECKPOINT_SECONDS:
            self.save()

    def save(self) -> None:
        """Write a checkpoint; it takes the place of the last one whole."""
        if self._process.is_first:
            save_state(self.folder.checkpoint, self._as_dict())
        self._saved_at = time.monotonic()

    def resume(self) -> None:
        """Go back to the last checkpoint."""
        if not self.folder.checkpoint.exists():
            self._cut_log()
            return  # killed before the first: from the beginning
        with _told_if_unfit(self.folder.checkpoint):
            self._go_back(load_state(self.folder.checkpoint))
        self._cut_log()

    def _go_back(self, kept: dict[str, Any]) -> None:
        self.trainee.model.load_state_dict(kept["model"])
        self._optimizer.load_state_dict(kept["optimizer"])
        self._scaler.load_state_dict(kept["scaler"])
        torch.set_rng_state(kept["chance"])
        self.state = State(
            Progress(*kept["progress"]),
            kept["best"],
            kept["best_epoch"],
            _score(kept["last"]),
        )

    def _cut_log(self) -> None:
        if self._process.is_first:
            self.folder.cut_log(self.state.progress.step)

    def _as_dict(self) -> dict[str, Any]:
        state, done = self.state, self.state.progress
        return {
            "model": self.trainee.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "chance": torch.get_rng_state(),
            "progress": (done.step, done.samples, done.seconds),
            "best": state.best,
            "best_epoch": state.best_epoch,
            "last": _values(state.last),
        }

    def _load_best(self) -> None:
        if self.folder.best.exists():
            with _told_if_unfit(self.folder.best):
                self.trainee.model.load_state_dict(load_state(self.folder.best)["model"])


@contextmanager
def _told_if_unfit(file: Path) -> Iterator[None]:
    """Raise TrainingFailed, with the file and the remedy, where it cannot be gone on from."""
    try:
        yield
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, pickle.PickleError) as error:
        if isinstance(error, RuntimeError) and is_out_of_memory(error):
            raise TrainingFailed(
                f"no memory to read {file}; end other programs, then go on with --resume"
            ) from error
        raise TrainingFailed(
            f"{file} cannot be gone on from ({brief(error)}); if it is damaged, remove {CHECKPOINT_FILE} and "
            f"{BEST_FILE}: --resume then learns from the beginning"
        ) from error


def _values(score: Score | None) -> dict[str, float] | None:
    if score is None:
        return None
    names = ("recall_1", "recall_5", "recall_10", "back_1", "median_rank", "images")
    return {name: getattr(score, name) for name in names}


def _score(values: dict[str, Any] | None) -> Score | None:
    return None if values is None else Score(**values)
