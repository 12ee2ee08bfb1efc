"""Error rates with intervals, and other measures."""
