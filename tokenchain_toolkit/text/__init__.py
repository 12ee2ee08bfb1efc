"""Text normalisation and subword units."""
