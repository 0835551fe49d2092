"""The background: what queries unrelated to a library score in it, so that a score can be read as relevance.

A cosine means nothing by itself: its usual height depends on the encoder, the image and the library. So each
run encodes texts that are about nothing in a photo collection and notes how they score: what they get at an
image on average, how much that varies, and how far above it each text's best image stands. A real match must
stand higher (search/rank.py reads this, and tells why it is measured at the best image).
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .encoders.base import Encoder
from .encoders.cache import kept_vectors
from .records import Vectors

# Plain sentences, in the words captions are made of, about what people hardly ever photograph; a few are
# of no sense at all. Many subjects, so that no one library can be about more than a few of them.
UNRELATED_TEXTS = (
    "a spreadsheet of quarterly revenue by region",
    "the cross section of a nuclear reactor vessel",
    "an electron microscope image of a pollen grain",
    "the floor plan of a medieval monastery",
    "a circuit diagram of an audio amplifier",
    "the chemical structure of caffeine",
    "a seismograph recording of an earthquake",
    "an x-ray of a broken wrist",
    "a periodic table of the elements",
    "the wiring inside a telephone exchange",
    "a bar chart of rainfall in millimetres",
    "a submarine under the arctic ice",
    "a volcano erupting at night",
    "an astronaut repairing a satellite in orbit",
    "a hieroglyph carved on a tomb wall",
    "a sheet of handwritten violin music",
    "a tax form with a signature",
    "a fossil of a flying reptile",
    "a lighthouse in a winter storm",
    "an oil platform far out at sea",
    "a camel caravan crossing the desert",
    "a polar bear on drifting ice",
    "a sumo wrestler entering the ring",
    "a glass blower at the furnace",
    "a hot air balloon over a salt lake",
    "a jellyfish glowing in deep water",
    "the inside of a grand piano",
    "a blacksmith hammering a horseshoe",
    "a subway map of a large city",
    "a chessboard seen from above with few pieces left",
    "a rocket engine on a test stand",
    "a swarm of locusts in a wheat field",
    "a judge in a wig reading a verdict",
    "a surgeon's tray of steel instruments",
    "an abandoned coal mine with rusty rails",
    "a wax seal on an old letter",
    "a totem pole beside a wooden lodge",
    "an aurora over a frozen lake",
    "a beekeeper lifting a frame of honeycomb",
    "a printing press with trays of lead type",
    "a weather satellite image of a hurricane",
    "the control panel of a power station",
    "a suit of armour in a glass case",
    "a barcode and a serial number",
    "a diver beside a sunken aeroplane",
    "a sack of coffee beans on a scale",
    "a loom with half a carpet on it",
    "a wind tunnel test of a racing car",
    "a page of mathematical equations",
    "a stamp with the head of a queen",
    "a dial that points to zero",
    "a proof of the last theorem",
    "the price of copper in three currencies",
    "an argument between two philosophers",
    "the smell of rain on warm stone",
    "colourless ideas that sleep furiously",
    "seventeen percent of nothing",
    "the day before the invention of Tuesday",
    "a verb without a subject",
    "terms and conditions apply",
    "lorem ipsum dolor sit amet",
    "zxcv qwer asdf hjkl",
    "404 page not found",
    "error in line twelve",
)
SAMPLE_SIZE = 2048  # vectors; the mean and spread of a text's scores move by 2 % at most
MEASURE_AGAIN_GROWTH = 0.1  # of the library; less moves the statistics by less than their own noise


@dataclass(frozen=True, slots=True)
class Background:
    """How unrelated texts score: at an image on average, and at the best image of each text.

    A text's height at an image is its score less the mean of all texts there, in spreads. top_mean is the
    median height of the texts' best images, top_std the distance from there down to the 16th percentile:
    both are blind to the few texts that a library does show.
    """

    texts: int
    images: int  # the library's size when this was measured
    mean: tuple[float, ...]  # of the text vectors, (dim,); its product with an image is the mean score there
    spread: float  # standard deviation of the scores around that mean
    top_mean: float
    top_std: float

    def as_dict(self) -> dict[str, Any]:
        """Give the form that the catalog keeps."""
        return asdict(self)


def is_stale(background: dict[str, Any] | None, images: int, new: int = 0) -> bool:
    """Tell whether the library has changed so much that the background must be measured again.

    images: how many it has; new: those of them that came since, of which some may have replaced others.
    """
    if background is None or "mean" not in background or background["texts"] != len(UNRELATED_TEXTS):
        return True
    changed = max(abs(images - background["images"]), new)
    return bool(changed > MEASURE_AGAIN_GROWTH * background["images"])


def background_vectors(encoder: Encoder) -> Vectors:
    """Encode UNRELATED_TEXTS, (t, dim); once per model, then read from its cache."""
    return kept_vectors(
        encoder.card, "background", UNRELATED_TEXTS, lambda: encoder.encode_texts(UNRELATED_TEXTS)
    )


def measure_background(
    text_vectors: Vectors, sample: Vectors, best_image: Callable[[Vectors], Vectors], images: int
) -> Background:
    """Measure over (t, dim) text vectors; sample is (s, dim) of the library, best_image gives (t, dim)."""
    mean = text_vectors.mean(axis=0)
    spread = max(float(((text_vectors - mean) @ sample.T).std()), 1e-6)
    heights = ((text_vectors - mean) * best_image(text_vectors)).sum(axis=1) / spread
    low, middle = np.percentile(heights, [16, 50])
    return Background(
        texts=len(text_vectors),
        images=images,
        mean=tuple(round(float(value), 6) for value in mean),
        spread=spread,
        top_mean=float(middle),
        top_std=float(max(middle - low, 0.1)),
    )
