"""Settings: what a training run is asked to do, with defaults by method that suit a small set of pairs."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Self

from indexer.errors import UsageError


class Method(StrEnum):
    """What learns."""

    FULL = "full"  # both towers
    LORA = "lora"  # small additions to the matrices of both towers, merged in the end
    HEAD = "head"  # the two projections alone, from remembered features
    PROBE = "probe"  # a classifier over features that stay as they are
    SCRATCH = "scratch"  # both towers, from nothing
    PACL = "pacl"  # a head that makes patches speak


# What they leave has a score before and after that general pairs can compare: the others begin with nothing,
# or leave the vectors of whole images as they are.
MEASURED_ON_GENERAL = frozenset([Method.FULL, Method.LORA, Method.HEAD])

BY_GRADIENT = frozenset([Method.FULL, Method.LORA, Method.SCRATCH])  # a batch is shared by all processes
IN_EPOCHS = frozenset(Method) - {Method.PROBE}
# Which methods use what a person may ask for; what is not named here is of use to all.
USED_BY: dict[str, frozenset[Method]] = {
    "epochs": IN_EPOCHS,
    "batch_size": IN_EPOCHS,
    "rate": IN_EPOCHS,
    "patience": IN_EPOCHS,
    "loss": IN_EPOCHS,
    "flips": BY_GRADIENT,
    "recompute": BY_GRADIENT,
    "precision": BY_GRADIENT,
    "lora_rank": frozenset([Method.LORA]),
}


class LossName(StrEnum):
    """How image and text are drawn together."""

    SOFTMAX = "softmax"  # CLIP's
    SIGMOID = "sigmoid"  # SigLIP's


@dataclass(frozen=True, slots=True)
class Settings:
    """All that decides what a run computes: equal settings and pairs give equal weights on a CPU.

    `micro_batch` and `recompute` alone (`FOR_MEMORY`) leave the gradient as it is; but where a model with
    batch normalisation begins from nothing, it normalises over the images computed at once, and
    `micro_batch` decides what is learned as well.
    """

    method: Method
    loss: LossName = LossName.SOFTMAX
    epochs: int = 10
    batch_size: int = 256  # images contrasted with one another, at most
    micro_batch: int | None = None  # images computed at once; None: the whole batch
    rate: float = 1e-5  # the highest learning rate
    weight_decay: float = 0.1
    warmup: float = 0.1  # share of the steps
    least_area: float = 0.8  # of a picture, that a crop keeps
    flips: bool = False  # mirroring; texts that say left and right forbid it
    lora_rank: int = 8
    patience: int = 3  # epochs without a gain on validation, after which the run ends
    seed: int = 0
    precision: str = "auto"  # float32, bfloat16, float16; auto: what the device is quick at
    recompute: bool = False  # gradient checkpointing: less memory, a third more time
    blend: bool = True  # WiSE-FT, after the training

    def as_dict(self) -> dict[str, Any]:
        """Give plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read what `as_dict` gave; unknown keys raise TypeError."""
        known = {field.name for field in fields(cls)}
        if unknown := values.keys() - known:
            raise TypeError(f"unknown settings: {', '.join(sorted(unknown))}")
        return cls(**{**values, "method": Method(values["method"]), "loss": LossName(values["loss"])})


SEED_MAX = 2**64 - 1  # torch takes none above
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
_BOUNDS: dict[str, tuple[float, float]] = {
    "epochs": (1, math.inf),
    "batch_size": (2, math.inf),
    "micro_batch": (1, math.inf),
    "weight_decay": (0, 1),
    "warmup": (0, 1),
    "lora_rank": (1, math.inf),
    "patience": (1, math.inf),
    "seed": (0, SEED_MAX),
}


def limits_broken(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give the names of values (None: the usual one) that no run can be done with, and what is wanted."""
    given = {name: value for name, value in values.items() if value is not None}
    for name, (least, most) in _BOUNDS.items():
        if name in given and not least <= given[name] <= most:
            yield name, f"at least {least}" if most == math.inf else f"{least} to {most}"
    if "rate" in given and not 0 < given["rate"] < math.inf:
        yield "rate", "above 0"
    if "least_area" in given and not 0 < given["least_area"] <= 1:
        yield "least_area", "above 0, and 1 at most"
    if given.get("precision", "auto") not in PRECISIONS:
        yield "precision", f"one of {', '.join(PRECISIONS)}"


FOR_MEMORY = frozenset(["micro_batch", "recompute"])

# FLYP (arXiv 2212.00638) takes 1e-5 for pretrained ViTs of 86 M parameters and more; networks as small as the
# built-in one were trained at rates a hundred times higher and learn nothing at that.
SMALL_MODEL = 20_000_000  # parameters
RATES: dict[Method, tuple[float, float]] = {  # (of a small model, of a usual one)
    Method.FULL: (3e-4, 1e-5),
    Method.LORA: (1e-3, 2e-4),  # CLIP-LoRA (arXiv 2405.18541): 2e-4
    Method.HEAD: (0.03, 0.03),  # of plain gradient descent
    Method.PROBE: (1e-2, 1e-2),
    Method.SCRATCH: (1e-3, 5e-4),
    Method.PACL: (5e-4, 5e-4),  # the paper's (arXiv 2212.04994), as re-implementations tell
}


def check_options(method: Method, asked: Mapping[str, object]) -> None:
    """Raise UsageError for what was asked for (neither None nor False) and the method does not do."""
    named = [name for name, value in asked.items() if value is not None and value is not False]
    idle = [name for name in named if method not in USED_BY.get(name, (method,))]
    if idle:
        options = ", ".join(map(_option, idle))
        raise UsageError(f"the method {method} makes no use of {options}; leave that out")
    for name, want in limits_broken(asked):
        raise UsageError(f"{_option(name)} {asked[name]} must be {want}")
    if method in (Method.HEAD, Method.PACL) and asked.get("loss") == LossName.SIGMOID:
        raise UsageError(f"the method {method} learns by the softmax loss alone; leave --loss out")


def _option(name: str) -> str:
    return f"--{name.removesuffix('_size').replace('_', '-')}"


def default_settings(method: Method, parameters: int, **asked: Any) -> Settings:
    """Give a method's settings for a model of so many parameters; what is asked for (not None) wins."""
    small, usual = RATES[method]
    own: dict[str, Any] = {"rate": small if parameters < SMALL_MODEL else usual}
    if method is Method.SCRATCH:
        own |= {"epochs": 30, "least_area": 0.4, "flips": True, "blend": False}
    elif method is Method.HEAD:
        own |= {"epochs": 40, "batch_size": 1024, "patience": 10}
    elif method is Method.LORA:
        own |= {"weight_decay": 0.01}
    own |= {name: value for name, value in asked.items() if value is not None}
    return Settings(method, **own | {"loss": LossName(own.get("loss", LossName.SOFTMAX))})
