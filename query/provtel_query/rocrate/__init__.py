"""A run as a Workflow Run RO-Crate 0.5, by the profiles for processes, workflows and provenance.

A crate is a folder: ``ro-crate-metadata.json`` says what ran, and beside it lie the program of the workflow and, where
asked for, the files that it read and wrote. Every task is a ``CreateAction`` of the code that ran, under a
``ControlAction`` of its step; an ``OrganizeAction`` by this program holds them together.
"""

from __future__ import annotations

from provtel_query.rocrate.folder import Crate, write_crate

__all__ = ["Crate", "write_crate"]
