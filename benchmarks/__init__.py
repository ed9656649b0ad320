"""Measurements of provtel beside its peers, as ratios within one run."""
