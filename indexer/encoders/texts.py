"""Texts: words as people give them, made fit for tokenizers."""


def valid_unicode(text: str) -> str:
    """Put question marks for surrogates: they are bytes that were no UTF-8, and no tokenizer takes them."""
    return text.encode("utf-8", "replace").decode("utf-8")
