"""The rounds that the built-in model is trained in: how long, how fast, and what is shown meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..loop import Schedule
from .batches import Share
from .data import Data

SEED = 20261121
TAUGHT_SEED = SEED + 4


@dataclass(frozen=True)
class Round:
    """One rise and fall of the learning rate, and what is shown meanwhile."""

    steps: int
    peak_rate: float
    # An image costs a quarter at 32 px and half at 48: most is learned there, the rest at the shipped size.
    sizes: tuple[tuple[int, float], ...]  # pixels, and up to which share of the steps
    unlock_text_at: float  # share of the steps; until then the text tower stays as it came
    locked: tuple[int, int, int]  # images a batch of captioned, objects, classes
    unlocked: tuple[int, int, int]
    least_area: float  # of a picture, that a crop keeps
    asks_for_words: bool  # single words are queries too
    mixed: float = 0.0  # share of the images that show part of another

    def size(self, step: int) -> int:
        """Give the side in pixels at step 0, 1, ... of the round."""
        return next(size for size, until in self.sizes if step < until * self.steps)

    @property
    def largest(self) -> int:
        """Give the largest side that pictures are shown at."""
        return max(size for size, _ in self.sizes)

    @property
    def unlock_step(self) -> int:
        """Give the first step at which the text tower learns."""
        return round(self.unlock_text_at * self.steps)


# After the first, recall among the captioned training photos is .96, and a third of the class photos are
# known: the second shows fewer captioned photos, smaller crops of everything, and asks for the plain words.
ROUNDS = (
    Round(6000, 4e-3, ((32, 0.40), (48, 0.66), (64, 1.0)), 0.55, (72, 28, 156), (96, 28, 132), 0.45, False),
    Round(6900, 3e-3, ((32, 0.55), (48, 0.74), (64, 1.0)), 0.72, (56, 28, 172), (64, 28, 164), 0.30, True),
)

# A sentence encoder stands in for the text tower; what is settled on is blended and taught (`teacher_round`).
TAUGHT = Round(3400, 3e-3, ((32, 0.38), (48, 0.72), (64, 1.0)), 1.0, (64, 28, 164), (64, 28, 164), 0.30, True)


@dataclass(frozen=True)
class ImageRound:
    """A round in which the image tower learns by itself, from the texts as they are."""

    name: str
    this: Round
    seed: int
    share: float  # of the way to the weights that learned
    text_share: float = 1.0  # the same for the matrix that turns the texts


IMAGE_ROUNDS = (
    # The image tower learns to see at the shipped size.
    ImageRound(
        "sharp",
        Round(1200, 2e-3, ((64, 0.30), (80, 0.75), (96, 1.0)), 1.0, (72, 28, 156), (72, 28, 156), 0.30, True),
        SEED + 5,
        share=0.7,
    ),
    # By now each photo is known by heart; mixed ones are new.
    ImageRound(
        "mixed",
        Round(
            1600,
            3e-3,
            ((64, 0.40), (80, 0.75), (96, 1.0)),
            1.0,
            (72, 28, 156),
            (72, 28, 156),
            0.30,
            True,
            mixed=0.6,
        ),
        SEED + 6,
        share=0.4,
        text_share=0.4,
    ),
)


def shortened(rounds: Sequence[Round], length: float) -> tuple[Round, ...]:
    """Give each round this share of its steps, for a trial of the whole recipe in less time."""
    return tuple(replace(each, steps=max(1, round(each.steps * length))) for each in rounds)


def shortened_images(rounds: Sequence[ImageRound], length: float) -> tuple[ImageRound, ...]:
    """Give each round of the image tower this share of its steps."""
    steps = shortened([each.this for each in rounds], length)
    return tuple(replace(each, this=this) for each, this in zip(rounds, steps, strict=True))


def shares_of(data: Data, this: Round, *, locked: bool) -> list[Share]:
    """Remembered texts cost nothing: then all captions and all names take part."""
    if locked:
        captioned, objects, classes = this.locked
        return [
            Share(data.captioned, captioned, 0, texts_per_group=5),
            Share(data.objects, objects, len(data.objects.texts)),
            Share(data.classes, classes, len(data.classes.texts)),
        ]
    captioned, objects, classes = this.unlocked
    return [
        Share(data.captioned, captioned, 0),
        Share(data.objects, objects, 20),
        Share(data.classes, classes, 40),
    ]


def schedule_of(this: Round, first_step: int) -> Schedule:
    """Warm up for a twentieth, stay for three, fall for the rest."""
    return Schedule(
        first_step + this.steps,
        warmup_steps=this.steps // 20,
        decay_steps=this.steps * 4 // 5,
        peak=this.peak_rate,
        first_step=first_step,
    )
