"""A configuration as a document: what counts, secrets hidden, and to be read again."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provtel_collector_config.loading import load
from provtel_collector_config.printing import as_yaml, document, plain, spell_duration
from provtel_model.settings import Duration, Secret, Size

from tests.collector_config.components import FACTORIES, Http, StoreConfig

DOCUMENT = """
receivers: {otlp: {protocols: {http: {max_size: 5}}}}
exporters: {store: {token: hun$$ter2, timeout: 90s, limit: 4MiB, roles: [a$$b], free: {a: , b: 1}, peers: [{}]}}
service: {pipelines: {traces: {receivers: [otlp], exporters: [store]}}}
"""


def test_secrets_are_hidden(tmp_path: Path) -> None:
    """What is printed has every default and no secret."""
    (tmp_path / "a.yaml").write_text(DOCUMENT)

    printed = document(load([str(tmp_path / "a.yaml")], FACTORIES, {}))

    assert "ter2" not in str(printed)
    assert printed["exporters"]["store"] == {
        "mode": "safe",
        "timeout": "1m30s",
        "limit": 4 * 2**20,
        "token": "[REDACTED]",
        "headers": {},
        "labels": {},
        "roles": ["a$$b"],
        "free": {"a": None, "b": 1},
        "peers": [{"endpoint": "localhost:4318", "max_size": 20, "ratio": 0.5, "secure": False}],
    }


def test_shown_configuration_is_the_same(tmp_path: Path) -> None:
    """What is printed with its secrets is read as the same configuration."""
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text(DOCUMENT)
    loaded = load([str(first)], FACTORIES, {})
    second.write_text(as_yaml(document(loaded, reveal=True)))

    assert "hun$$ter2" in second.read_text()
    assert loaded == load([str(second)], FACTORIES, {})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (1, "1s"),
        (1.5, "1.5s"),
        (0.2, "200ms"),
        (0.0015, "1.5ms"),
        (5e-9, "5ns"),
        (90, "1m30s"),
        (3600, "1h"),
        (3661.25, "1h1m1.25s"),
        (-1, "-1s"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    """Durations are written as Go reads them."""
    assert text == spell_duration(seconds)


@given(st.integers(0, 10**15))
def test_durations_come_back(microseconds: int) -> None:
    """A duration that was written is read as the same one."""
    duration = Duration(microseconds / 10**6)

    assert Duration.parse(spell_duration(duration)) == pytest.approx(duration, abs=1e-9, rel=1e-12)


def test_duration_with_a_sign() -> None:
    """A plus before a duration is as good as none, as in Go."""
    assert Duration.parse("+1m30s") == Duration.parse("90s")


def test_plain_values() -> None:
    """Values inside of values are plain too."""
    assert plain(StoreConfig(limit=Size(5), peers=(Http("a"),), token=Secret("x")), reveal=True) == {
        "mode": "safe",
        "timeout": "5s",
        "limit": 5,
        "token": "x",
        "headers": {},
        "labels": {},
        "roles": [],
        "free": {},
        "peers": [{"endpoint": "a", "max_size": 20, "ratio": 0.5, "secure": False}],
    }
