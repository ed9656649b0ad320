"""One module for each reference page that comes from code."""
