"""RESULTS.md, plots and the HTML report."""
