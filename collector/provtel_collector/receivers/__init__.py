"""Receivers: where data comes in."""
