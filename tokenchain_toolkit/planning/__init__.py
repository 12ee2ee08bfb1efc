"""What a run will need, before it is started: checks of machine, corpora and data, and measured estimates."""
