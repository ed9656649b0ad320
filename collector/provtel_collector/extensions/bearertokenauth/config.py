"""What a user writes for the ``bearertokenauth`` extension; keys and defaults are the OpenTelemetry Collector's."""

from __future__ import annotations

from dataclasses import dataclass

from provtel_model.settings import Secret


@dataclass(frozen=True)
class BearerTokenAuthConfig:
    """The ``bearertokenauth`` extension.

    Args:
        header: The header that carries the token.
        scheme: What stands before the token in it; nothing, where it is empty.
        token: The token.
        tokens: Several tokens, of which a server takes any, and a client sends the first.
        filename: A file that has the tokens, one a line, and counts before the others; it is read when it changes.
    """

    header: str = "Authorization"
    scheme: str = "Bearer"
    token: Secret | None = None
    tokens: tuple[Secret, ...] = ()
    filename: str = ""

    def __post_init__(self) -> None:
        """Refuse what would let in anybody or nobody.

        Raises:
            ValueError: There is no token, or one is said in two ways.
        """
        told = [text.reveal() for text in (*self.tokens, *([self.token] if self.token else []))]
        if not self.filename and not any(told):
            raise ValueError("no bearer token provided; set token, tokens or filename")
        if self.token and self.tokens:
            raise ValueError("either tokens or token should be set, not both")
        if not self.header:
            raise ValueError("header must not be empty")
