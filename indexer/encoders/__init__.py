"""Encoders: images and texts to unit vectors, whatever runs them."""
