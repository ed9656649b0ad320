"""The grammar of the collector's configuration, and the presets that people run, copy and edit."""
