"""Beam search, sampling, iterative decoding, and the classes for Python users."""
