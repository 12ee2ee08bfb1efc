"""Task classes: from a config to a model, its data, its losses and its log."""
