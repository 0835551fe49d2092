"""Indexer: from pictures to an index; owns every format on disk."""
