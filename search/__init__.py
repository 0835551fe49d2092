"""Search: from an index to an answer; writes to the library only caches of its own answers."""
