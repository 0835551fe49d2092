"""Truncation: whether a caption is longer than a model's text tower reads."""

from collections.abc import Callable

from indexer.encoders.hub import Notify
from indexer.encoders.names import ModelFiles
from indexer.encoders.text_files import text_files
from indexer.encoders.tokenizer import clean, load_tokenizer_file


def cuts_of(files: ModelFiles, notify: Notify) -> Callable[[str], bool]:
    """Give the function that tells whether the model's tokenizer cuts a text; raises WeightsUnavailable."""
    with text_files(files, notify) as (file, rules):
        tokenizer = load_tokenizer_file(file, rules)

    def is_cut(text: str) -> bool:
        return bool(tokenizer.encode(clean(text, rules.cleaning)).overflowing)

    return is_cut


def cuts_by(tokenizer_file: bytes) -> Callable[[str], bool]:
    """Give the function that tells whether a `tokenizer.json` that says all itself cuts a text."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_buffer(tokenizer_file)
    return lambda text: bool(tokenizer.encode(text).overflowing)
