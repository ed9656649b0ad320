"""From the text of a condition to something that decides."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from provtel_collector.conditions.paths import ENUMS, Find, Key, Level, Place, make_path
from provtel_collector.conditions.values import COMPARISONS, compare, text_of
from provtel_collector.patterns import compile_pattern

if TYPE_CHECKING:
    from provtel_model.components import Signal

Decide = Callable[[Place], bool]

_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<bytes>0x[a-fA-F0-9]+)
    | (?P<float>(?:\d+\.\d*|\d*\.\d+)(?:[eE][-+]?\d+)?)
    | (?P<int>\d+)
    | (?P<string>"(?:\\.|[^\\"])*")
    | (?P<compare>==|!=|>=|<=|>|<)
    | (?P<function>[A-Z][A-Z0-9_]*[a-z]\w*)
    | (?P<enum>[A-Z][A-Z0-9_]*)
    | (?P<word>[a-z][a-z0-9_]*)
    | (?P<mark>[-(),.\[\]])
    )""",
    re.VERBOSE,
)
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\\": "\\", '"': '"'}
_BOOLEANS: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that was understood.

    Args:
        text: As it was written.
        level: How deep in a request it looks.
        decide: Says whether it holds at a place of that depth; raises `ConditionError` where that cannot be decided.
    """

    text: str
    level: Level
    decide: Decide


class _Token(NamedTuple):
    kind: str
    text: str


class _Value(NamedTuple):
    """Something that can be compared; `fixed` where it is a truth by itself."""

    find: Find
    truth: bool = False


def parse_condition(text: str, signal: Signal, default: str = "") -> Condition:
    """Return a condition.

    Args:
        text: As it is written.
        signal: What it is about.
        default: What its paths begin with where they do not say it.

    Raises:
        ValueError: It is none, or uses what is not available here.
    """
    try:
        parser = _Parser(text, signal, default)
        decide = parser.either()
        parser.end()
    except ValueError as error:
        raise ValueError(f"condition {text!r}: {error}") from None
    return Condition(text, max(parser.levels, default=Level.RESOURCE), decide)


def _tokens(text: str) -> list[_Token]:
    tokens = []
    at = 0
    rest = text.rstrip()
    while at < len(rest):
        match = _TOKEN.match(rest, at)
        if match is None or match.lastgroup is None:
            raise ValueError(f"{rest[at:].strip()[:20]!r} is not understood")
        tokens.append(_Token(match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return tokens


class _Parser:
    """Reads a condition from left to right."""

    def __init__(self, text: str, signal: Signal, default: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._signal = signal
        self._default = default
        self.levels: list[Level] = []

    def either(self) -> Decide:
        """Read conditions with ``or`` between."""
        parts = [self.both()]
        while self.take("or"):
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else lambda place: any(part(place) for part in parts)

    def both(self) -> Decide:
        """Read conditions with ``and`` between."""
        parts = [self.single()]
        while self.take("and"):
            parts.append(self.single())
        return parts[0] if len(parts) == 1 else lambda place: all(part(place) for part in parts)

    def single(self) -> Decide:
        """Read one condition."""
        if self.take("not"):
            denied = self.single()
            return lambda place: not denied(place)
        if self.take("("):
            inner = self.either()
            self.expect(")")
            return inner
        left = self.value()
        if self.peek().kind != "compare":
            if not left.truth:
                raise ValueError(f"a comparison ({' '.join(COMPARISONS)}) is missing{self.here()}")
            return lambda place: left.find(place) is True
        sign = self.next().text
        right = self.value()
        return lambda place: compare(left.find(place), sign, right.find(place))

    def value(self) -> _Value:
        """Read a literal, a path or a call."""
        token = self.next()
        if token.kind == "word":
            return self.named(token.text)
        if token.kind == "function":
            return self.call(token.text)
        if token.kind == "enum":
            if token.text not in ENUMS:
                raise ValueError(f"there is no enumeration {token.text}")
            return _fixed(ENUMS[token.text])
        if token.text == "-":
            return _fixed(-self.number(self.next()))
        if token.kind == "string":
            return _fixed(_unquoted(token.text))
        if token.kind == "bytes":
            return _fixed(bytes.fromhex(token.text[2:]))
        return _fixed(self.number(token))

    def number(self, token: _Token) -> int | float:
        """Return the number that a token is."""
        if token.kind not in {"int", "float"}:
            self._at -= 1
            raise ValueError(f"a value is missing{self.here()}; lists, maps and arithmetic are not available")
        return int(token.text) if token.kind == "int" else float(token.text)

    def named(self, word: str) -> _Value:
        """Read what begins with a word: a literal or a path."""
        if word in _BOOLEANS:
            return _Value(_fixed(_BOOLEANS[word]).find, truth=True)
        if word == "nil":
            return _fixed(None)
        words, keys = [word], list[Key]()
        while self.take("."):
            words.append(self.next().text)
        if self.peek().text == "(":
            raise ValueError(f'the function "{".".join(words)}" is not available in conditions (valid: [IsMatch])')
        while self.take("["):
            keys.append(self.key())
            self.expect("]")
        level, find = make_path(self._signal, words, keys, self._default)
        self.levels.append(level)
        return _Value(find)

    def key(self) -> Key:
        """Read what stands in brackets."""
        token = self.next()
        if token.kind == "string":
            return _unquoted(token.text)
        if token.kind == "int":
            return int(token.text)
        raise ValueError(f"a text or a number in brackets was expected, not {token.text!r}")

    def call(self, name: str) -> _Value:
        """Read a call of the one function that there is."""
        if name != "IsMatch":
            raise ValueError(f'the function "{name}" is not available in conditions (valid: [IsMatch])')
        self.expect("(")
        target = self.value()
        self.expect(",")
        token = self.next()
        if token.kind != "string":
            raise ValueError("the pattern of IsMatch must be a text")
        pattern: Any = compile_pattern(_unquoted(token.text))
        self.expect(")")

        def find(place: Place) -> bool:
            text = text_of(target.find(place))
            return text is not None and bool(pattern.search(text))

        return _Value(find, truth=True)

    def end(self) -> None:
        """Refuse what follows a whole condition, and one that is about nothing."""
        if self._at < len(self._tokens):
            raise ValueError(f"nothing was expected{self.here()}")
        if not (self.levels or self._default):
            raise ValueError("it has no path, and so does not say of what it is")

    def peek(self) -> _Token:
        """Return the next token, and stay before it."""
        return self._tokens[self._at] if self._at < len(self._tokens) else _Token("", "")

    def next(self) -> _Token:
        """Return the next token, and step over it."""
        token = self.peek()
        if not token.kind:
            raise ValueError("it ends too early")
        self._at += 1
        return token

    def take(self, text: str) -> bool:
        """Step over a token where it is the one that is wanted."""
        found = self.peek().text == text
        self._at += found
        return found

    def expect(self, text: str) -> None:
        """Step over a token that must come.

        Raises:
            ValueError: Another one comes.
        """
        if not self.take(text):
            raise ValueError(f"{text!r} was expected{self.here()}")

    def here(self) -> str:
        """Return where the parser is, as words to end a sentence with."""
        token = self.peek()
        return f" before {token.text!r}" if token.kind else " at the end"


def _fixed(value: Any) -> _Value:
    return _Value(lambda _place: value)


def _unquoted(text: str) -> str:
    def escaped(match: re.Match[str]) -> str:
        code, byte, letter = match.groups()
        if code or byte:
            return chr(int(code or byte, 16))
        if letter not in _ESCAPED:
            raise ValueError(rf"\{letter} is no escape in a text; write \\{letter}")
        return _ESCAPED[letter]

    return _ESCAPE.sub(escaped, text[1:-1])
