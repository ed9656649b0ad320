"""Asking a person before something is gone for good."""

from __future__ import annotations

import sys

import click
from provtel_model.errors import UserError

yes_option = click.option("--yes", is_flag=True, help="Do not ask; needed where nobody sits at a terminal.")


def confirm(question: str) -> None:
    """Return when a person on the terminal agrees.

    Raises:
        UserError: There is no terminal to ask on.
        click.Abort: They do not agree.
    """
    if not sys.stdin.isatty():
        raise UserError("nothing was removed: there is no terminal to ask on; give --yes to remove without a question")
    click.confirm(question, abort=True, err=True)
