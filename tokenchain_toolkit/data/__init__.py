"""Kaldi data directories, token dumps, datasets and batches."""
