"""Sends documents so that one that a server refuses, or hangs up on, takes no others along.

Of documents that a server refuses it says which. Some servers close the connection instead, when they cannot read one
of many: then all would be sent again for ever. Where a connection is lost while the server answers, it is asked whether
it reads a NaN; if not, no document with one is sent to it. Where it is lost time and again, the documents are halved
until those on which the server hangs up stand alone.
"""

from __future__ import annotations

import math
import re
import threading
import time
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import bson
from provtel_model.errors import PermanentError
from pymongo.errors import AutoReconnect, BulkWriteError, PyMongoError

from provtel_exporters.mongodb.connection import DUPLICATE, refusals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pymongo.database import Database

    from provtel_exporters.mongodb.documents import Document

    Write = Callable[[Sequence[Document]], tuple[list[str], dict[str, str]]]

# A connection that was idle for long, or a server that was started anew, is one loss.
_PAUSES: Final = (0.1, 1.0)
_MOST_LOSSES: Final = 64
_REMEMBERED: Final = 1024
_MAYBE_NAN: Final = re.compile(rb"[\xf0-\xff][\x7f\xff]")


class HangUps:
    """On what a server hangs up, so that it is not tried again: what is refused comes again, in smaller batches.

    Attributes:
        on_nan: Whether it does on every NaN.
    """

    def __init__(self) -> None:
        self.on_nan = False
        self._known: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def add(self, identity: str, content: bytes) -> None:
        """Remember a document; of many the oldest are forgotten."""
        with self._lock:
            self._known[identity] = _digest(content)
            while len(self._known) > _REMEMBERED:
                del self._known[next(iter(self._known))]

    def on(self, document: Document, content: Callable[[Document], bytes]) -> str | None:
        """Return why a document is not sent; ``None`` where it is.

        Args:
            document: The document.
            content: Returns what of it is the same however often it comes.
        """
        if self.on_nan and _has_nan(document.content):
            return _NAN
        known = self._known.get(document.id)
        return _HUNG_UP if known is not None and known == _digest(content(document)) else None


class Sending:
    """One write of documents, piece by piece where it must be.

    Args:
        database: Where they go.
        hang_ups: What is known from writes before.
        content: Returns what of a document is the same however often it comes.
    """

    def __init__(
        self, database: Database[dict[str, Any]], hang_ups: HangUps, content: Callable[[Document], bytes]
    ) -> None:
        self._database = database
        self._hang_ups = hang_ups
        self._content = content
        self._refused: list[tuple[str, str]] = []
        self._losses = 0

    def send(self, documents: Sequence[Document], write: Write) -> list[str]:
        """Send documents, at once or in pieces.

        Args:
            documents: The documents.
            write: Sends some of them; returns what the caller wants to know, and why others are refused, by their ids.

        Returns:
            What `write` returned; what the server does not take is left out.

        Raises:
            PyMongoError: It is nothing of one document.
        """
        wanted = self._wanted(documents)
        return self._patiently(wanted, write) if wanted else []

    def end(self) -> None:
        """End the write.

        Raises:
            PermanentError: The server did not take all of it; the text names the first.
        """
        if self._refused:
            identity, reason = self._refused[0]
            raise PermanentError(f"{len(self._refused)} documents are refused: {identity}: {reason}")

    def _wanted(self, documents: Sequence[Document]) -> list[Document]:
        """Return the documents that the server is not known to hang up on; the others are refused."""
        reasons = {document.id: self._hang_ups.on(document, self._content) for document in documents}
        self._refused += [(identity, reason) for identity, reason in reasons.items() if reason]
        return [document for document in documents if not reasons[document.id]]

    def _patiently(self, documents: Sequence[Document], write: Write) -> list[str]:
        """Send documents as often as a lost connection may be chance; then in pieces."""
        for pause in _PAUSES:
            try:
                return self._once(documents, write)
            except AutoReconnect as error:
                self._check_answers(error)
            if not self._hang_ups.on_nan and self._loses_nan():
                self._hang_ups.on_nan = True
                return self.send(documents, write)
            time.sleep(pause)
        return self._apart(documents, write)

    def _apart(self, documents: Sequence[Document], write: Write) -> list[str]:
        try:
            return self._once(documents, write)
        except AutoReconnect as error:
            self._check_answers(error)
        self._losses += 1
        if self._losses > _MOST_LOSSES:
            self._refused += [(document.id, _NOT_TOLD_APART) for document in documents]
            return []
        if len(documents) > 1:
            half = len(documents) // 2
            return [*self._apart(documents[:half], write), *self._apart(documents[half:], write)]
        return self._alone(documents, write)

    def _alone(self, documents: Sequence[Document], write: Write) -> list[str]:
        """Send one document as often as it takes to know that it is the one."""
        for pause in _PAUSES:
            time.sleep(pause)
            try:
                return self._once(documents, write)
            except AutoReconnect as error:
                self._check_answers(error)
        (document,) = documents
        self._hang_ups.add(document.id, self._content(document))
        self._refused.append((document.id, _HUNG_UP))
        return []

    def _once(self, documents: Sequence[Document], write: Write) -> list[str]:
        result, refused = write(documents)
        self._refused += refused.items()
        return result

    def _check_answers(self, lost: AutoReconnect) -> None:
        """See that a connection was closed by a server that is there.

        Raises:
            AutoReconnect: It was lost otherwise.
        """
        if type(lost) is not AutoReconnect:  # no server, another primary, or one that is silent
            raise lost
        try:
            self._database.client.admin.command("ping")
        except PyMongoError:
            raise lost from None

    def _loses_nan(self) -> bool:
        """Say whether the server hangs up on a NaN wherever it is, which is a number of BSON like any other."""
        for _ in _PAUSES:
            try:
                self._database.client.admin.command({"ping": 1, "comment": math.nan})
            except AutoReconnect as error:
                self._check_answers(error)
            except PyMongoError:
                return False
            else:
                return False
        return True


def sort_out(error: BulkWriteError, documents: Sequence[Document]) -> tuple[list[str], dict[str, str]]:
    """Return the ids of those that were there already, and why others are refused, by their ids.

    Raises:
        BulkWriteError: It is nothing of single documents.
    """
    errors = error.details["writeErrors"]
    others = [each for each in errors if each["code"] != DUPLICATE]
    refused = refusals(others)
    if error.details["writeConcernErrors"] or len(refused) < len(others):
        raise BulkWriteError({**error.details, "writeErrors": others}) from error
    known = [documents[each["index"]].id for each in errors if each["code"] == DUPLICATE]
    return known, {documents[index].id: reason for index, reason in refused.items()}


_HUNG_UP: Final = "the server hangs up on it, time and again, while it answers otherwise"
_NAN: Final = "it holds a NaN, and this server hangs up on every NaN"
_NOT_TOLD_APART: Final = "it is among documents on too many of which the server hangs up"


def _has_nan(content: bytes) -> bool:
    return _MAYBE_NAN.search(content) is not None and _is_nan_in(bson.decode(content))


def _is_nan_in(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_is_nan_in, value.values()))
    if isinstance(value, list):
        return any(map(_is_nan_in, value))
    return isinstance(value, float) and math.isnan(value)


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()
