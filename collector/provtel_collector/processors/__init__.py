"""Processors: what happens to data between a receiver and an exporter."""
