"""Connectors: what ends one pipeline and begins others."""
