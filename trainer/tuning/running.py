"""Running: a request to a trained, measured and saved model; the one module that joins the stages."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from indexer.encoders.dense import Variant
from indexer.encoders.dense_torch import patch_module
from indexer.encoders.device import choose_device
from indexer.encoders.names import canonical, resolve
from indexer.errors import PairsInvalid, UsageError

from ..checking import Finding, about_cut
from ..examples import Example
from ..precision import precision_for
from . import pieces
from .curves import draw_curves, write_board
from .folder import PROBE_FILE, RunFolder
from .heads import HeadResult, between, check_has_place, fold, learn_head, turned
from .images import Images
from .kept_pairs import write_pairs
from .learning import Learning, Moment, Watch
from .lora import merge
from .patch_heads import PatchHeadTraining, save_encoder
from .probing import check_classes, fit_probe
from .processes import Process, joined, local_device
from .scratch import asked_with_own, canonical_configuration, read_configuration
from .settings import (
    BY_GRADIENT,
    FOR_MEMORY,
    MEASURED_ON_GENERAL,
    Method,
    Settings,
    check_options,
    default_settings,
)
from .trainee import ENCODED_AT_ONCE, Trainee, forget_unfinished
from .validation import Score, Validation
from .wise_ft import ALPHAS, Blend, choose, measure_blends, mix, state_of

Notify = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What to train, on what, and where to."""

    model: str  # to begin from; with the method scratch a configuration
    method: Method
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    folder: Path
    asked: dict[str, Any]  # settings that the user named
    general: tuple[Example, ...] = ()  # pairs of another kind, to see what is forgotten
    device: str = "auto"
    resume: bool = False
    source: str | None = None  # the digest of what the pairs were chosen from; None: not to be kept


@dataclass(frozen=True)
class Summary:
    """What came of a run."""

    folder: Path
    method: Method
    before: Score | None  # None: there was nothing before
    after: Score
    general: tuple[Score, Score] | None = None  # before and after
    blends: tuple[Blend, ...] = ()
    alpha: float = 1.0  # of the mixture that was kept
    epochs: int = 0
    seconds: float = 0.0
    probe: tuple[float, float] | None = None  # accuracy on validation: by texts, and by the probe
    whole: Score | None = None  # with the method pacl: by the vectors of whole images

    def as_dict(self) -> dict[str, Any]:
        """Give plain values for JSON."""
        return {
            "method": self.method.value,
            "before": self.before.as_dict() if self.before else None,
            "after": self.after.as_dict(),
            "general": [score.as_dict() for score in self.general] if self.general else None,
            "blends": [
                {"alpha": blend.alpha, **blend.validation.as_dict()}
                | ({"general": blend.general.as_dict()} if blend.general else {})
                for blend in self.blends
            ],
            "alpha": self.alpha,
            "epochs": self.epochs,
            "seconds": round(self.seconds, 1),
            "probe": list(self.probe) if self.probe else None,
            "whole": self.whole.as_dict() if self.whole else None,
        }


def tune(
    request: Request, *, watch: Watch = lambda _: None, notify: Notify = lambda _: None
) -> Summary | None:
    """Train; None in those of several processes that are not the first.

    Raises UsageError, EncoderError and TrainingFailed. A run that was killed goes on with `resume`.
    """
    check_options(request.method, request.asked)
    device = local_device(choose_device(request.device))
    with joined(device) as process:
        return _tune(request, device, process, watch, notify)


def _tune(
    request: Request, device: torch.device, process: Process, watch: Watch, notify: Notify
) -> Summary | None:
    began = time.monotonic()
    folder = RunFolder(request.folder)
    trainee, settings = _begin(request, process, notify)
    trainee.to(device)
    trainee.encoded_at_once = min(ENCODED_AT_ONCE, settings.micro_batch or ENCODED_AT_ONCE)
    if process.is_first:
        folder.begin(_description(request, settings, trainee.origin), resume=request.resume)
        forget_unfinished(folder.path)
        if request.source is not None:
            write_pairs(folder.pairs, request.source, (request.train, request.validation))
    with ExitStack() as stack:
        validation = stack.enter_context(closing(_held_out(request.validation, trainee)))
        is_general = bool(request.general) and settings.method in MEASURED_ON_GENERAL
        general = stack.enter_context(closing(_held_out(request.general, trainee))) if is_general else None
        summary = _Job(request, settings, trainee, validation, general, folder, process).run(watch)
    if not process.is_first or summary is None:
        return None
    summary = replace(summary, seconds=time.monotonic() - began)
    folder.write_summary(summary.as_dict())
    folder.forget_checkpoints()
    draw_curves(folder)
    write_board(folder)
    return summary


def _held_out(examples: tuple[Example, ...], trainee: Trainee) -> Validation:
    return Validation(examples, Images(examples, trainee.preprocessing))


def _begin(request: Request, process: Process, notify: Notify) -> tuple[Trainee, Settings]:
    trainee, settings = _resumed(request, process, notify) if request.resume else _fresh(request, notify)
    if request.method is Method.HEAD:
        check_has_place(trainee.model)
    if request.method is Method.PROBE:
        check_classes(request.train, request.validation)
    if process.is_first:
        for line in pieces.remarks(trainee, settings, len(request.train), process.count):
            notify(line)
        for finding in _cut_by_own(trainee, request):
            notify(str(finding))
    return trainee, settings


def _cut_by_own(trainee: Trainee, request: Request) -> Iterator[Finding]:
    """Tell of captions that a new model cuts; by another's tokenizer they were looked for beforehand."""
    if request.method is Method.SCRATCH:
        examples = (*request.train, *request.validation)
        yield from about_cut([text for each in examples for text in each.captions], trainee.own_cuts())


def _resumed(request: Request, process: Process, notify: Notify) -> tuple[Trainee, Settings]:
    begun = _begun(request)
    settings = replace(begun, **_for_memory(request.asked))
    trainee = _trainee(request, settings.seed, notify)
    _check_began_from(trainee, request)
    if pieces.depend_on_size(trainee, settings):
        pieces.check_are_the_same(begun, settings, len(request.train), process.count)
    return trainee, settings


def _begun(request: Request) -> Settings:
    """Read the settings of the run that is gone on with; refuses other settings, and other pairs."""
    folder = RunFolder(request.folder)
    folder.check_can_go_on()
    begun = folder.description()
    _check_is_the_same(request.asked, begun["settings"])
    if begun.get("pairs") != _digest(request):
        raise PairsInvalid(
            request.folder, "the run began with other pairs; give the same ones, and the same --val-share"
        )
    return Settings.from_dict(begun["settings"])


def _check_began_from(trainee: Trainee, request: Request) -> None:
    """Refuse another model under the same name: what was learned belongs to the one that was begun from."""
    begun = RunFolder(request.folder).description().get("origin")
    if begun not in (None, trainee.origin):  # None: a run of before, which has not kept it
        raise UsageError(
            f"{request.model} is not what the run in {request.folder} began from: its weights or its "
            "configuration have changed; put it back as it was, or begin another run"
        )


def _fresh(request: Request, notify: Notify) -> tuple[Trainee, Settings]:
    from_nothing = request.method is Method.SCRATCH
    asked = asked_with_own(request.model, request.asked) if from_nothing else request.asked
    trainee = _trainee(request, int(asked.get("seed") or 0), notify)
    return trainee, default_settings(request.method, trainee.parameter_count, **asked)


def _check_is_the_same(asked: Mapping[str, Any], begun: Mapping[str, Any]) -> None:
    """Refuse other settings than a run began with: half of it would have been learned by each."""
    for name, value in asked.items():
        if value is not None and begun.get(name) != value and name not in FOR_MEMORY:
            raise UsageError(
                f"the run began with {name.replace('_', ' ')} {begun.get(name)}, not {value}; leave that "
                "option out to go on, or begin another run"
            )


def _for_memory(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Give the settings that may change on the way, as a run must that has found too little memory."""
    return {name: asked[name] for name in FOR_MEMORY if asked.get(name) is not None}


def _trainee(request: Request, seed: int, notify: Notify) -> Trainee:
    if request.method is not Method.SCRATCH:
        trainee = Trainee.load(request.model, notify)
        if request.method is Method.PACL:
            patch_module(trainee.model, request.model, Variant.NACLIP)  # raises where there are no patches
        return trainee
    texts = [text for example in request.train for text in example.captions]
    return Trainee.from_nothing(read_configuration(request.model), texts, seed)


def _description(request: Request, settings: Settings, origin: str) -> dict[str, Any]:
    return {
        "model": canonical_model(request.model, request.method),
        "origin": origin,
        "settings": settings.as_dict(),
        "train_images": len(request.train),
        "validation_images": len(request.validation),
        "pairs": _digest(request),
    }


def canonical_model(name: str, method: Method) -> str:
    """Give what a run begins from a name that holds from any working folder."""
    return canonical_configuration(name) if method is Method.SCRATCH else canonical(name)


def _digest(request: Request) -> str:
    """Tell the pairs from any others."""
    parts = (
        (part, example.image.name, example.captions)
        for part, examples in (("train", request.train), ("validation", request.validation))
        for example in examples
    )
    return hashlib.sha256("\n".join(map(repr, parts)).encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class _Job:
    request: Request
    settings: Settings
    trainee: Trainee
    validation: Validation
    general: Validation | None
    folder: RunFolder
    process: Process

    def run(self, watch: Watch) -> Summary | None:
        if self.settings.method not in BY_GRADIENT and not self.process.is_first:
            return None  # of several processes the first works alone
        if self.settings.method is Method.HEAD:
            return self._head(watch)
        if self.settings.method is Method.PROBE:
            return self._probe()
        if self.settings.method is Method.PACL:
            return self._patch_head(watch)
        return self._gradient(watch)

    def _measure(self) -> tuple[Score, Score | None]:
        general = self.general.score(self.trainee) if self.general else None
        return self.validation.score(self.trainee), general

    def _gradient(self, watch: Watch) -> Summary | None:
        settings, trainee = self.settings, self.trainee
        from_nothing = settings.method is Method.SCRATCH
        # Before, after and all mixtures are measured alike.
        trainee.precision = precision_for(settings.precision, trainee.device)
        before = None if from_nothing or not self.process.is_first else self._measure()
        weights_before = state_of(trainee.model)
        learning = Learning(
            trainee, settings, self.request.train, self.validation, self.folder, self.process, watch
        )
        if self.request.resume:
            learning.resume()
        state = learning.run()
        if not self.process.is_first:
            return None
        if settings.method is Method.LORA:
            merge(trainee.model)
        blends = self._blend(weights_before) if settings.blend and not from_nothing else []
        return self._finish(before, blends, state.best_epoch)

    def _blend(self, before: dict[str, torch.Tensor]) -> list[Blend]:
        """Measure the mixtures of before and now, and load the best."""
        after = state_of(self.trainee.model)
        blends = measure_blends(self.trainee.model, before, after, self._measure)
        mix(self.trainee.model, before, after, choose(blends).alpha)
        return blends

    def _head(self, watch: Watch) -> Summary:
        self.folder.cut_log(0)  # a resumed run begins anew
        before = self._measure()
        tell = self._epoch_teller(watch)
        found = learn_head(self.trainee, self.settings, self.request.train, self.validation, tell)
        blends = self._head_blends(found) if self.settings.blend and found.epochs else []
        fold(self.trainee, between(found.maps, choose(blends).alpha) if blends else found.maps)
        return self._finish(before, blends, found.epochs)

    def _head_blends(self, found: HeadResult) -> list[Blend]:
        """Measure the mixtures by vectors that are there: all of the head is in its maps."""
        general = self.general
        vectors = general.vectors(self.trainee) if general else None

        def measured(alpha: float) -> Blend:
            maps = between(found.maps, alpha)
            forgotten = general.score_vectors(*turned(vectors, maps)) if general and vectors else None
            return Blend(alpha, self.validation.score_vectors(*turned(found.held_out, maps)), forgotten)

        return [measured(alpha) for alpha in ALPHAS]

    def _epoch_teller(self, watch: Watch) -> Callable[[int, float, Score], None]:
        began = time.monotonic()

        def tell(epoch: int, loss: float, score: Score) -> None:
            epochs, rate = self.settings.epochs, self.settings.rate
            self.folder.log(step=epoch, epoch=epoch, loss=round(loss, 5), rate=rate, **score.as_dict())
            per_epoch = (time.monotonic() - began) / epoch
            left = (epochs - epoch) * per_epoch
            speed = len(self.request.train) / per_epoch
            watch(Moment(epoch, epochs, epoch, epochs, loss, rate, speed, left, score))

        return tell

    def _patch_head(self, watch: Watch) -> Summary:
        """Learn a head for the patches; the towers stay."""
        request, settings, path = self.request, self.settings, self.folder.path
        training = PatchHeadTraining(self.trainee, request.model, settings, request.train, path)
        self.folder.cut_log(0)  # the patches are kept for `resume`, the steps are done again
        whole = self.validation.score(self.trainee)
        gathered = training.gather(self.validation, _preparing(watch))
        aligned = training.learn(gathered, self.validation, self._epoch_teller(watch))
        for file in training.kept:
            file.unlink(missing_ok=True)
        return Summary(path, Method.PACL, aligned.before, aligned.score, epochs=aligned.epochs, whole=whole)

    def _finish(self, before: tuple[Score, Score | None] | None, blends: list[Blend], epochs: int) -> Summary:
        self.trainee.save(self.folder.path)
        after, general_after = self._measure()
        general_before = before[1] if before else None
        general = (general_before, general_after) if general_before and general_after else None
        alpha = choose(blends).alpha if blends else 1.0
        return Summary(
            self.folder.path,
            self.settings.method,
            before[0] if before else None,
            after,
            general=general,
            blends=tuple(blends),
            alpha=alpha,
            epochs=epochs,
        )

    def _probe(self) -> Summary:
        trainee, folder, request = self.trainee, self.folder.path, self.request
        told = fit_probe(trainee, self.settings.seed, request.train, self.validation, folder / PROBE_FILE)
        save_encoder(resolve(request.model, lambda _: None), trainee, folder)
        score = self.validation.score(trainee)
        return Summary(folder, Method.PROBE, score, score, probe=told)


def _preparing(watch: Watch) -> Callable[[int, int], None]:
    began = time.monotonic()
    first: list[int] = []  # what a run before this one has done already

    def tell(done: int, of: int) -> None:
        first.append(done)
        speed = (done - first[0]) / max(1e-9, time.monotonic() - began)
        left = (of - done) / speed if speed else 0.0
        watch(Moment(done, of, 0, 0, 0.0, 0.0, speed, left, None, preparing="encoding patches"))

    return tell
