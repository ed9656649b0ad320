"""Packages that only an extra brings, and what is said where one is missing."""

from __future__ import annotations

from importlib import import_module

from provtel_model.errors import UserError


def need_packages(component: str, extra: str, *modules: str) -> None:
    """Import what a component needs.

    Args:
        component: What needs it, as people call it.
        extra: The extra of ours that brings it.
        *modules: What is imported.

    Raises:
        UserError: One is not installed; the text says which, and what to run.
    """
    try:
        for module in modules:
            import_module(module)
    except ModuleNotFoundError as error:
        raise UserError(f'{component} needs {error.name}; run: pip install "provtel[{extra}]"') from error
