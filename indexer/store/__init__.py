"""The store: the library on disk, catalog and vectors."""
