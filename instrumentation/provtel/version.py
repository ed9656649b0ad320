"""The version of provtel; looking it up in the installed metadata would cost the first task 30 ms."""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.1.0"
