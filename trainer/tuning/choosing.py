"""Choosing: the method for a number of images and the model to begin from."""

from collections.abc import Callable

from indexer.encoders.names import resolve
from indexer.encoders.openclip import build_outline

from .heads import has_place
from .settings import Method

HEAD_BELOW, FULL_FROM = 300, 5_000  # images


def choose_method(images: int, model: str, notify: Callable[[str], None]) -> Method:
    """Choose by the number of images: few allow few numbers to be learned from them.

    A model without projections that a head could change, as SigLIP, learns by lora instead. Raises
    EncoderUnknown and EncoderError.
    """
    if images >= HEAD_BELOW:
        return Method.LORA if images < FULL_FROM else Method.FULL
    return Method.HEAD if has_place(build_outline(resolve(model, notify))) else Method.LORA
