"""Compiles the optional C modules when the package is built or installed; without a compiler it is pure Python.

Every C source of a room has a Python twin that does the same; `provtel_model.compiled` decides which of the two runs.
``PROVTEL_PURE_PYTHON=1`` leaves the compiling out, ``CI=true`` turns every warning of the compiler into an error.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from textwrap import shorten
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from setuptools import Distribution, Extension
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError

SOURCES = "*/provtel*/**/*.c"
"""A module bears the name of its file."""
HEADERS = ("model/provtel_model", "model/provtel_model/journal")
FLAGS = ["-O2", "-g0", "-fno-strict-aliasing", "-fvisibility=hidden", "-Wall", "-Wextra"]


class CompiledModules(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's own hooks leave it out
    """Puts the compiled modules into a wheel, or, for an editable install, beside their sources."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; what cannot be compiled is left out, and one line says so."""
        if os.environ.get("PROVTEL_PURE_PYTHON", "") not in {"", "0"}:
            return
        self._folder = Path(tempfile.mkdtemp(prefix="provtel-build-"))
        root = Path(self.root)
        for source in sorted(root.glob(SOURCES)):
            try:
                module = compile_module(root, source, self._folder)
            except (BaseError, CCompilerError, OSError) as error:
                name, reason = source.relative_to(root), shorten(str(error), 120)
                self.app.display_warning(f"{name} was not compiled ({reason}): the same runs in Python, and slower")
                if version == "editable":
                    remove_modules(source)
                continue
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
            if version == "editable":
                put(module, source.with_name(module.name))
            else:
                inside = source.relative_to(root).with_name(module.name).parts[1:]
                build_data["force_include"][str(module)] = "/".join(inside)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was only needed while the wheel was written."""
        del version, build_data, artifact_path
        if hasattr(self, "_folder"):
            shutil.rmtree(self._folder, ignore_errors=True)


def compile_module(root: Path, source: Path, folder: Path) -> Path:
    """Compile one C file into a folder, and return the module's file.

    Raises:
        BaseError: There is no compiler.
        CCompilerError: It does not compile; Python's headers are missing.
    """
    strict = ["-Werror"] if os.environ.get("CI") == "true" else []
    extension = Extension(
        ".".join(source.relative_to(root).with_suffix("").parts[1:]),
        [str(source)],
        include_dirs=[str(root / folder) for folder in HEADERS],
        extra_compile_args=FLAGS + strict,
    )
    command = build_ext(Distribution({"name": "provtel", "ext_modules": [extension]}))
    command.build_lib = command.build_temp = str(folder)
    command.ensure_finalized()
    command.run()
    return Path(command.get_ext_fullpath(extension.name))


def put(module: Path, place: Path) -> None:
    """Replace a module by a new one; processes that have the old one loaded keep it."""
    new = place.with_name(f".{place.name}.new")
    shutil.copy(module, new)
    new.replace(place)


def remove_modules(source: Path) -> None:
    """Remove what was compiled from an earlier state of a source."""
    for old in source.parent.glob(f"{source.stem}.*.so"):
        old.unlink()
