"""Runs programs that are captured, and reads the records that they left."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provtel_model import compiled
from provtel_model.journal import drain_journal, find_journals
from provtel_model.otlp import decode
from provtel_model.record import PlainRecord, Record

TIMEOUT = 60


@dataclass
class Outcome:
    """What a program did.

    Args:
        code: Its exit code.
        stdout: What it printed.
        stderr: What it complained of.
    """

    code: int
    stdout: str
    stderr: str


@dataclass
class Stage:
    """A folder in which programs run, with a store of its own.

    Args:
        folder: The working folder.
        environment: Variables that programs get beside those of every stage.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def store(self) -> Path:
        """The store folder."""
        return self.folder / "store"

    def variables(self) -> dict[str, str]:
        """Return the environment of a program: nothing of ours but what the stage says, and which twin is tested."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name == compiled.VARIABLE or not name.startswith(("PROVTEL_", "OTEL_", "COV_"))
        }
        own = {"PROVTEL_STORE": str(self.store), "XDG_STATE_HOME": str(self.folder / "state")}
        return {**inherited, **own, **self.environment}

    def start(self, program: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a program; warnings are errors in it."""
        script = self.folder / "program.py"
        script.write_text(textwrap.dedent(program))
        return subprocess.Popen(
            # From 3.12 on Python warns of each fork beside a thread, be the thread the program's own or the shipper's.
            [sys.executable, "-W", "error", "-W", "ignore:This process:DeprecationWarning", str(script), *arguments],
            cwd=self.folder,
            env=self.variables(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, program: str, *arguments: str, code: int = 0, quiet: bool = True) -> Outcome:
        """Run a program to its end and check its exit code, and that it complained of nothing."""
        with self.start(program, *arguments) as process:
            try:
                stdout, stderr = process.communicate(timeout=TIMEOUT)
            except BaseException:
                process.kill()
                raise
        assert process.returncode == code, stderr
        assert not quiet or not stderr, stderr
        return Outcome(process.returncode, stdout, stderr)

    def plain(self, store: Path | None = None) -> list[PlainRecord]:
        """Drain every journal of the store, or another one, and return the records, in the order in which they come."""
        records: list[PlainRecord] = []
        for journal in find_journals(store or self.store):
            outcome = drain_journal(journal, lambda batch: records.extend(decode(batch)))
            assert outcome.skipped is None, outcome.skipped
        return records

    def records(self, store: Path | None = None) -> list[Record]:
        """Drain every journal of the store, or another one, and return typed records, the earliest first."""
        return sorted(map(Record, self.plain(store)), key=lambda record: record.plain["started_at"])


def facts(record: Record) -> tuple[str, str, dict[str, Any], dict[str, Any]]:
    """Return what tests mostly ask for: name, status, used and generated."""
    return record.name, record.status.value, record.used, record.generated
