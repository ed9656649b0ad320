"""Destinations that the collector writes to, and their readers."""
