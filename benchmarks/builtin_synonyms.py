"""Whether the built-in model understands words that its training captions lack or hardly know.

Each of 50 words is asked for among 50 plain ones, "a photo of a ...": at which rank does its own plain word
stand? The list was written without looking at any model's answers. Chance for the first three is 6 %.

    python benchmarks/builtin_synonyms.py [MODEL ...]
"""

import argparse

import numpy as np

SYNONYMS = {
    "puppy": "dog", "kitten": "cat", "automobile": "car", "kid": "child", "bicycle": "bike",
    "lorry": "truck", "aeroplane": "plane", "vessel": "ship", "motorbike": "motorcycle", "steed": "horse",
    "fowl": "bird", "serpent": "snake", "bunny": "rabbit", "infant": "baby", "gentleman": "man",
    "lady": "woman", "pupil": "student", "seashore": "beach", "hill": "mountain", "brook": "river",
    "woodland": "forest", "blossom": "flower", "dwelling": "house", "couch": "sofa", "spectacles": "glasses",
    "cap": "hat", "sneakers": "shoes", "trousers": "pants", "sweater": "jumper", "handbag": "purse",
    "telephone": "phone", "laptop": "computer", "television": "tv", "timepiece": "clock", "lamp": "light",
    "supper": "dinner", "pastry": "cake", "beverage": "drink", "espresso": "coffee", "sausage": "hot dog",
    "football": "soccer", "swimming": "swim", "jogging": "running", "leaping": "jumping", "climbing": "climb",
    "crimson": "red", "tiny": "small", "huge": "big", "twilight": "sunset", "metropolis": "city",
}  # fmt: skip


def ranks(model: str) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Give the rank of each word's plain word among all plain words, 1 the first."""
    import sightline

    encoder = sightline.load_encoder(model)
    words, plain = list(SYNONYMS), sorted(set(SYNONYMS.values()))
    asked = encoder.encode_texts([f"a photo of a {word}" for word in words])
    known = encoder.encode_texts([f"a photo of a {word}" for word in plain])
    scores = asked @ known.T
    own = np.array([plain.index(SYNONYMS[word]) for word in words])
    return np.asarray((scores >= scores[np.arange(len(words)), own][:, None]).sum(axis=1))


def main() -> None:
    """Print the share found and the words that were not."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=["builtin"])
    for model in parser.parse_args().models:
        found = ranks(model)
        print(f"{model}: first {np.mean(found == 1):.0%}, among the first three {np.mean(found <= 3):.0%}")
        print(
            "  not among the first five:", ", ".join(w for w, r in zip(SYNONYMS, found, strict=True) if r > 5)
        )


if __name__ == "__main__":
    main()
