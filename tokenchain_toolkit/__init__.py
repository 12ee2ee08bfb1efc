"""TokenChain: a machine speech chain over discrete speech tokens (arXiv 2510.06201)."""

__version__ = "0.1.0"
