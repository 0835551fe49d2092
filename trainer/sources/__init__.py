"""Sources: the forms in which people keep images with texts, read into examples."""

from .reading import read_examples
from .records import Reading

__all__ = ["Reading", "read_examples"]
