"""Semantic tokenizers and acoustic codecs."""
