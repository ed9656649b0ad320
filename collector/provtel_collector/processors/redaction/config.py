"""What a user writes for the ``redaction`` processor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from provtel_model.settings import Secret

from provtel_collector.patterns import compile_all

_LEAST_KEY: Final = {"hmac-sha256": 32, "hmac-sha512": 64}


@dataclass(frozen=True)
class RedactionConfig:
    """The ``redaction`` processor; what neither it nor a list allows is removed.

    Args:
        allow_all_keys: Keep every attribute that nothing else removes.
        allowed_keys: Attributes that are kept; all others are removed.
        blocked_key_patterns: Regular expressions of keys whose values are masked.
        hash_function: What a value is replaced by in place of ``****``: its hash.
        hmac_key: The secret of ``hmac-sha256`` (32 bytes or more) and ``hmac-sha512`` (64 or more).
        ignored_keys: Attributes that are kept as they are.
        ignored_key_patterns: Regular expressions of keys of attributes that are kept as they are.
        redact_all_types: Look at values of every type, as text; without, at texts alone.
        blocked_values: Regular expressions of what is masked in values.
        allowed_values: Regular expressions of values that are kept as they are.
        summary: Attributes that say what was done: ``debug`` keys and counts, ``info`` counts, ``silent`` none.
    """

    allow_all_keys: bool = False
    allowed_keys: tuple[str, ...] = ()
    blocked_key_patterns: tuple[str, ...] = ()
    hash_function: Literal["", "sha1", "sha3", "md5", "hmac-sha256", "hmac-sha512"] = ""
    hmac_key: Secret = Secret("")  # noqa: RUF009  # a secret never changes
    ignored_keys: tuple[str, ...] = ()
    ignored_key_patterns: tuple[str, ...] = ()
    redact_all_types: bool = False
    blocked_values: tuple[str, ...] = ()
    allowed_values: tuple[str, ...] = ()
    summary: Literal["", "debug", "info", "silent"] = ""

    def __post_init__(self) -> None:
        """Refuse patterns that are none, and keys that are too short.

        Raises:
            ValueError: It is so.
        """
        for patterns in (
            self.blocked_key_patterns,
            self.ignored_key_patterns,
            self.blocked_values,
            self.allowed_values,
        ):
            compile_all(patterns)
        least = _LEAST_KEY.get(self.hash_function, 0)
        if len(self.hmac_key.reveal().encode()) < least:
            raise ValueError(f'hmac_key must be at least {least} bytes long for "{self.hash_function}"')
