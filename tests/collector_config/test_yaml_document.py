"""YAML as Go reads it, bounded."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provtel_collector_config.problems import InvalidConfigurationError, Place
from provtel_collector_config.yaml_document import SIZE_LIMIT, parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-5", -5),
        ("+5", 5),
        ("0x1F", 31),
        ("0o17", 15),
        ("017", 15),
        ("0b11", 3),
        ("1_000", 1000),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        (".inf", float("inf")),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("yes", "yes"),
        ("off", "off"),
        ("12:30", "12:30"),
        ("2020-01-01", "2020-01-01"),
        ("'5'", "5"),
        ("!!str 5", "5"),
        ("[1, a, {b: }]", [1, "a", {"b": None}]),
        ("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
        ("a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}", {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}),
    ],
)
def test_values(text: str, value: object) -> None:
    """Every scalar and collection means what it means to the OpenTelemetry Collector."""
    read = parse(text, "a.yaml").tree

    assert (value, type(value)) == (read, type(read))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", 'a.yaml:3: mapping key "a" already defined at line 1'),
        (
            "a:\n\tb: 1",
            "a.yaml:2: while scanning for the next token, found character '\\t' that cannot start any token",
        ),
        ("a: [b", "a.yaml:1: while parsing a flow sequence, expected ',' or ']', but got '<stream end>'"),
        ("a: 1\n~: b", "a.yaml:2: the key ~ is no text; write it in quotes"),
        ("? [a]\n: b", "a.yaml:1: the key of this kind is no text; write it in quotes"),
        (
            "a: !!python/object:os.system {}",
            "a.yaml:1: the tag tag:yaml.org,2002:python/object:os.system is not supported",
        ),
        ("a: !secret x", "a.yaml:1: the tag !secret is not supported"),
        ("a: !!binary aGk=", "a.yaml:1: the tag tag:yaml.org,2002:binary is not supported"),
        ("a: !!int x", "a.yaml:1: this is no int"),
        ('a: "\\ud800"', "a.yaml:1: this is no str"),
        ("a: &a [*a]", "a.yaml:1: contains itself"),
        ("a: 1\n---\nb: 1", "a.yaml:2: expected a single document in the stream, but found another document"),
        ("a: {<<: 5}", "a.yaml:1: << merges maps only"),
        ("a: *b", "a.yaml:1: found undefined alias 'b'"),
        ("a: 1" + "1" * 5000, "a.yaml:1: this is no int"),
        ("a" * (SIZE_LIMIT + 1), f"a.yaml:1: has more than {SIZE_LIMIT} characters"),
        ("[" * 200 + "]" * 200, "a.yaml:1: nested deeper than 100"),
    ],
)
def test_refused(text: str, message: str) -> None:
    """What cannot be read is refused with file and line."""
    with pytest.raises(InvalidConfigurationError) as refused:
        parse(text, "a.yaml")

    assert message == str(refused.value)


@pytest.mark.parametrize("innermost", ["[x]", f"[{'x' * 1000}]", "{x: {}}"])
def test_alias_bombs(innermost: str) -> None:
    """Aliases that would write out to billions of values are refused at once."""
    levels = [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 12)]

    with pytest.raises(InvalidConfigurationError, match="aliases written out"):
        parse("\n".join([f"a0: &a0 {innermost}", *levels]), "a.yaml")


def test_places() -> None:
    """Every key and item is found at its line, and a path that leads nowhere at the last line on its way."""
    document = parse("a:\n  b:\n    - c\n    - d: 1\n", "a.yaml")

    assert Place("a.yaml", 2) == document.place(("a", "b"))
    assert Place("a.yaml", 4) == document.place(("a", "b", 1, "d"))
    assert Place("a.yaml", 4) == document.place(("a", "b", 1, "missing", "too"))
    assert document.place(("missing",)) is None


@given(st.text(alphabet=st.sampled_from("a:-[]{}&*!|>'\"#%@,?~<\n\t 1.\\u"), max_size=60) | st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes the reader fail in any other way than by refusing it."""
    with contextlib.suppress(InvalidConfigurationError):
        parse(text, "a.yaml")
