"""Errors that two rooms must agree on.

::

    ProvtelError
    ├── UserError            a person's mistake: says what, where and what to do; no traceback is shown
    │   ├── ConfigError      a configuration file or setting; carries the path inside the document
    │   ├── FilterError      a filter, field or sort that is not understood
    │   ├── StoreError       a store that cannot be opened, read or written as asked
    │   └── UnsupportedError something that a kind of store cannot do
    ├── DeliveryError        the data path; one of the two below
    │   ├── RetryableError   the same batch may succeed later
    │   └── PermanentError   the same batch will never succeed
    ├── UnauthenticatedError a request that does not prove who sends it
    └── MalformedError       bytes that are not what they claim to be
"""

from __future__ import annotations


class ProvtelError(Exception):
    """Base of every error that provtel raises on purpose."""


class UserError(ProvtelError):
    """A mistake that the person can mend: the text says what was wrong, where, and what to do."""


class ConfigError(UserError):
    """A configuration that cannot be used.

    Args:
        message: What is wrong and what to do.
        path: Where in the document, its keys joined by ``::`` as the OpenTelemetry Collector writes them.
    """

    def __init__(self, message: str, path: str = "") -> None:
        """Keep the path beside the message."""
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path


class FilterError(UserError):
    """A filter, field, projection or sort that is not understood."""


class StoreError(UserError):
    """A store that cannot be opened, read or written as asked."""


class UnsupportedError(UserError):
    """Something that a kind of store cannot do; the text says which kind can."""


class DeliveryError(ProvtelError):
    """A batch was not delivered."""


class RetryableError(DeliveryError):
    """The destination could not take the batch now; the same batch may succeed later.

    Args:
        message: What happened.
        retry_after: Seconds that the destination asked to wait, where it did.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        """Keep the wait that the destination asked for."""
        super().__init__(message)
        self.retry_after = retry_after


class PermanentError(DeliveryError):
    """The destination will never take this batch; sending it again is of no use."""


class UnauthenticatedError(ProvtelError):
    """A request that does not prove who sends it."""


class MalformedError(ProvtelError):
    """Bytes from a file or a peer that are not what they claim to be."""
