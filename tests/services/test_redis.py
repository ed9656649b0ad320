"""The Redis that the tests use is the real one, is found where a person says, and keeps what it acknowledged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.services.found import Found, MissingServiceError
from tests.services.redis import Redis, find


def test_the_named_one_is_taken(found_redis: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable names the program; one that is none is told of."""
    monkeypatch.setenv("PROVTEL_TEST_REDIS", str(found_redis.binary))
    assert find().how == "named by PROVTEL_TEST_REDIS"

    monkeypatch.setenv("PROVTEL_TEST_REDIS", str(tmp_path / "none"))
    with pytest.raises(MissingServiceError, match="is no program"):
        find()


def test_missing_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is none, that is said, and what to do; nothing is installed unasked."""
    monkeypatch.delenv("PROVTEL_TEST_REDIS", raising=False)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(MissingServiceError, match="no redis-server on PATH"):
        find()


def test_it_keeps_what_it_acknowledged(redis: Redis) -> None:
    """Killed and started again, it has what it had."""
    with redis.client() as client:
        client.set("a", "b")
    redis.kill()
    redis.start()

    assert redis.look("GET", "a").strip() == "b"
