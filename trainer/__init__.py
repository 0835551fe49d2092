"""Trainer: from pairs to a better encoder; measures with search."""
