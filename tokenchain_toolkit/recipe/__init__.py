"""The contract that a recipe's folder keeps, and what is wrong with one that does not; egs2/README.md states it."""
