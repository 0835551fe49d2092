"""Tuning: an encoder and pairs to a better encoder, in a run folder that can be gone on with."""
