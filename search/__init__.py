"""Search: from an index to an answer; reads the library, never writes it."""
