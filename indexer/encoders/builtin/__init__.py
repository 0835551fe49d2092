"""The built-in model: a small image-text network that ships with the package."""
