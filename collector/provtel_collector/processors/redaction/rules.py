"""What is removed, masked or kept, and the attributes that say so."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from provtel_collector.attribute_lists import as_text, get, put
from provtel_collector.patterns import any_matches, compile_all, compile_pattern, replace_all
from provtel_collector.requests import drop

if TYPE_CHECKING:
    from collections.abc import Callable

    from provtel_collector.processors.redaction.config import RedactionConfig

_MASK: Final = "****"
_SEPARATOR: Final = ","
_ATTRIBUTES: Final = "redaction."
_BODY: Final = "redaction.body."
_SUMMARIES: Final = ("redacted", "masked", "allowed", "ignored")


@dataclass
class _Done:
    """The keys of what was redacted, masked, allowed and ignored in one list or body."""

    redacted: list[str] = field(default_factory=list)
    masked: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


class Rules:
    """Decides by key and value what becomes of an attribute.

    Args:
        config: What the user wrote.
    """

    def __init__(self, config: RedactionConfig) -> None:
        own = {f"{_ATTRIBUTES}{name}" for name in ("redacted.keys", "redacted.count", "masked.keys", "masked.count")}
        self._allowed_keys = frozenset({*config.allowed_keys, *own, f"{_ATTRIBUTES}ignored.count"})
        self._ignored_keys = frozenset(config.ignored_keys)
        self._ignored_patterns = compile_all(config.ignored_key_patterns)
        self._blocked_keys = compile_all(config.blocked_key_patterns)
        self._blocked_values = compile_all(config.blocked_values)
        self._allowed_values = compile_all(config.allowed_values)
        # One look that tells whether any of them matches, however many there are.
        self._any_blocked = compile_pattern("|".join(f"(?:{one})" for one in config.blocked_values) or "$^")
        self._everything = compile_pattern(".*")
        self._hide = _hiding(config)
        self._config = config

    def redact(self, attributes: Any) -> bool:
        """Redact a list of attributes in place; return whether it changed."""
        done = _Done()
        for pair in attributes:
            self._redact_pair(pair, done)
        if done.redacted:
            removed = set(done.redacted)
            drop(attributes, lambda pair: pair.key in removed)
        return self._summarise(done, attributes, _ATTRIBUTES) or bool(done.redacted or done.masked)

    def _redact_pair(self, pair: Any, done: _Done) -> None:
        if self._is_ignored(pair.key):
            done.ignored.append(pair.key)
            return
        if self._is_removed(pair.key):
            done.redacted.append(pair.key)
            return
        text = as_text(pair.value) if self._config.redact_all_types else pair.value.string_value
        if any_matches(self._allowed_values, text):
            done.allowed.append(pair.key)
        elif any_matches(self._blocked_keys, pair.key):
            done.masked.append(pair.key)
            pair.value.string_value = replace_all(self._everything, text, self._hide)
        else:
            self._mask_value(pair.value, text, pair.key, done)

    def redact_body(self, body: Any, attributes: Any) -> bool:
        """Redact the body of a log record in place; its attributes get the summary. Return whether either changed."""
        done = _Done()
        kind = body.WhichOneof("value")
        if kind == "kvlist_value":
            self._redact_members(body.kvlist_value.values, "", done)
        elif kind == "array_value":
            for index, value in enumerate(body.array_value.values):
                self._redact_value(value, f"[{index}]", done)
        elif any_matches(self._allowed_values, as_text(body)):
            return False
        else:
            self._mask_value(body, as_text(body), "body", done)
        return self._summarise(done, attributes, _BODY) or bool(done.redacted or done.masked)

    def _redact_members(self, pairs: Any, path: str, done: _Done) -> None:
        removed = set()
        for pair in pairs:
            place = path + pair.key
            if self._is_ignored(pair.key):
                done.ignored.append(place)
            elif self._is_removed(pair.key):
                removed.add(pair.key)
                done.redacted.append(place)
            elif any_matches(self._blocked_keys, pair.key):
                done.masked.append(place)
                pair.value.string_value = replace_all(self._everything, pair.value.string_value, self._hide)
            else:
                self._redact_value(pair.value, place, done)
        if removed:
            drop(pairs, lambda pair: pair.key in removed)

    def _redact_value(self, value: Any, place: str, done: _Done) -> None:
        kind = value.WhichOneof("value")
        if kind == "kvlist_value":
            self._redact_members(value.kvlist_value.values, f"{place}.", done)
        elif kind == "array_value":
            for index, one in enumerate(value.array_value.values):
                self._redact_value(one, f"{place}.[{index}]", done)
        elif any_matches(self._allowed_values, as_text(value)):
            done.allowed.append(place)
        else:
            self._mask_value(value, as_text(value), place, done)

    def _mask_value(self, value: Any, text: str, place: str, done: _Done) -> None:
        if not self._blocked_values or not self._any_blocked.search(text):
            return
        masked = text
        for pattern in self._blocked_values:
            masked = replace_all(pattern, masked, self._hide)
        if masked != text:
            done.masked.append(place)
            value.string_value = masked

    def _is_ignored(self, key: str) -> bool:
        return key in self._ignored_keys or (bool(self._ignored_patterns) and any_matches(self._ignored_patterns, key))

    def _is_removed(self, key: str) -> bool:
        return not self._config.allow_all_keys and key not in self._allowed_keys

    def _summarise(self, done: _Done, attributes: Any, prefix: str) -> bool:
        """Put the summary among the attributes; return whether there was anything to say."""
        if self._config.summary not in {"info", "debug"}:
            return False
        told = False
        for name in _SUMMARIES:
            keys: list[str] = getattr(done, name)
            if keys:
                told = True
                if self._config.summary == "debug" and name != "ignored":
                    _put_keys(attributes, f"{prefix}{name}.keys", keys)
                counted = get(attributes, f"{prefix}{name}.count")
                before = counted.int_value if counted is not None else 0
                put(attributes, f"{prefix}{name}.count").int_value = before + len(keys)
        return told


def _put_keys(attributes: Any, name: str, keys: list[str]) -> None:
    before = get(attributes, name)
    told = before.string_value.split(_SEPARATOR) if before is not None and before.string_value else []
    put(attributes, name).string_value = _SEPARATOR.join(sorted([*keys, *told]))


def _hiding(config: RedactionConfig) -> Callable[[str], str]:
    """Return what a text is replaced by."""
    name = config.hash_function
    if not name:
        return lambda _text: _MASK
    if name.startswith("hmac-"):
        key, digest = config.hmac_key.reveal().encode(), name.removeprefix("hmac-")
        return lambda text: hmac.new(key, text.encode(), digest).hexdigest()
    # SHA-1 and MD5 are what the OpenTelemetry Collector offers too; nothing is kept safe by them.
    algorithm = {"sha3": "sha3_256"}.get(name, name)
    return lambda text: hashlib.new(algorithm, text.encode(), usedforsecurity=False).hexdigest()
