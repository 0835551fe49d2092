"""Duplicates: which images are copies of one another, how sure that is, and which one to keep."""
