"""References to the environment, as the OpenTelemetry Collector follows them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provtel_collector_config.substitution import substitute

ENVIRONMENT = {
    "TEXT": "q",
    "NUMBER": "123",
    "QUOTED": '"5"',
    "COMMENT": "abc # comment",
    "MAP": "{a: 1, b: '${env:TEXT}'}",
    "LIST": "[a, b]",
    "EMPTY": "",
    "NAME": "NUMBER",
    "OTHER": "${env:TEXT}",
    "DOLLARS": "a$$b",
    "BROKEN": "[a",
    "LOOP": "${env:LOOP}",
    "WIDE": "${env:WIDE}${env:WIDE}",
    "DEEP": "{a: '${env:DEEP}'}",
    "INJECTED": "x\nc: y",
    "INTO": "a: ${env:INJECTED}",
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("${env:TEXT}", "q"),
        ("${TEXT}", "q"),
        ("$TEXT", "$TEXT"),
        ("a${env:TEXT}b${TEXT}", "aqbq"),
        ("${env:NUMBER}", 123),
        ("x${env:NUMBER}", "x123"),
        ("${env:QUOTED}", '"5"'),
        ("${env:COMMENT}", "abc # comment"),
        ("${env:MAP}", {"a": 1, "b": "q"}),
        ("${env:LIST}", ["a", "b"]),
        ("x${env:LIST}", "x[a, b]"),
        ("${env:EMPTY}", None),
        ("x${env:EMPTY}y", "xy"),
        ("${env:EMPTY:-other}", None),
        ("${env:${env:NAME}}", 123),
        ("${env:OTHER}", "q"),
        ("${env:DOLLARS}", "a$b"),
        ("x${env:DOLLARS}", "xa$b"),
        ("${env:BROKEN}", "[a"),
        ("${env:UNSET:-other}", "other"),
        ("${env:UNSET:-5}", 5),
        ("${env:UNSET:-5}z", "5z"),
        ("${env:UNSET:-}", ""),
        ("${env:UNSET:-a:-b}", "a:-b"),
        ("${env:UNSET:-${env:TEXT}}", "q"),
        ("${env:UNSET:-$${env:TEXT}}", "${env:TEXT}"),
        ("$$", "$"),
        ("$$TEXT", "$TEXT"),
        ("$${env:TEXT}", "${env:TEXT}"),
        ("$$$${env:TEXT}", "$${env:TEXT}"),
        ("$$${env:TEXT}", "$q"),
        ("${env:TEXT", "${env:TEXT"),
        ("a}${env:TEXT}}", "a}q}"),
        ("${env:INTO}", {"a": "x\nc: y"}),
        ({"k${env:TEXT}": ["${env:TEXT}", 5, None]}, {"k${env:TEXT}": ["q", 5, None]}),
    ],
)
def test_values(text: object, value: object) -> None:
    """A whole reference means YAML, one inside a text is text, and nothing can add keys to a map."""
    substituted = substitute(text, ENVIRONMENT)

    assert value == substituted.tree
    assert substituted.problems == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "${env:1x}",
            'a: environment variable "1x" has invalid name: must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$',
        ),
        ("${}", 'a: environment variable "" has invalid name: must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$'),
        ("${http://x}", 'a: scheme "http" is not supported for uri "http://x"'),
        ("${http://${env:TEXT}}", 'a: scheme "http" is not supported for uri "http://${env:TEXT}"'),
        ("${file:absent}", "a: absent: cannot be read: No such file or directory"),
        ("${file:/}", "a: /: cannot be read: Is a directory"),
        ("${env:LOOP}", "a: too many recursive expansions"),
        ("${env:WIDE}", "a: too many recursive expansions"),
        ("${env:DEEP}", "a: too many recursive expansions"),
        ("${" * 200 + "}" * 200, "a: too many recursive expansions"),
    ],
)
def test_refused(text: str, message: str) -> None:
    """A reference that leads nowhere, or round in circles, is a problem with its path."""
    assert [message] == [str(problem) for problem in substitute({"a": text}, ENVIRONMENT).problems]


def test_original_text_is_kept() -> None:
    """What a reference turned into a number can still be had as the text that it was."""
    assert substitute({"a": ["${env:NUMBER}"]}, ENVIRONMENT).originals == {("a", 0): "123"}


def test_unset_variable_is_told() -> None:
    """A variable that is neither set nor has a default is empty, with a warning."""
    substituted = substitute("x${env:UNSET}", {})

    assert substituted.tree == "x"
    assert substituted.warnings == ['environment variable "UNSET" is not set and has no default']


@given(st.text(alphabet=st.sampled_from("${}:-envTEXTLOOP ")), st.dictionaries(st.just("TEXT"), st.text()))
def test_any_text_is_substituted(text: str, environment: dict[str, str]) -> None:
    """No text and no environment makes substitution fail in any other way than by a problem."""
    assert all(str(problem).startswith("a") for problem in substitute({"a": text}, environment).problems)


@given(st.text())
def test_escaped_text_comes_back(text: str) -> None:
    """Whatever is written with every dollar doubled arrives as it was."""
    assert text == substitute(text.replace("$", "$$"), {}).tree
