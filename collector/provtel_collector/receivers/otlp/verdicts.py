"""What becomes of a request, in the words of ``google.rpc``, from which both protocols make their answers."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from provtel_model.components import Authenticator, Batch, Consumer, RefusesEarly, Signal
from provtel_model.errors import MalformedError, PermanentError, RetryableError, UnauthenticatedError
from provtel_model.otlp import check, from_json
from provtel_model.rpc_status import RpcStatus
from provtel_model.unpacking import PACKINGS, PLAIN, TooLargeError, most_times, unpack

from provtel_collector.receivers.otlp.budget import Budget
from provtel_collector.receivers.otlp.metadata import metadata

if TYPE_CHECKING:
    from collections.abc import Mapping

_MESSAGE_LIMIT: Final = 4096
# JSON becomes objects before it becomes bytes, each many times as large as its text.
_OBJECTS: Final = 30


class Code(enum.IntEnum):
    """The codes of ``google.rpc.Status`` that are used here."""

    OK = 0
    INVALID_ARGUMENT = 3
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a request.

    Args:
        code: What kind of end it came to.
        message: Why.
        wait: After how many seconds to send it again, where somebody said so.
    """

    code: Code
    message: str = ""
    wait: float | None = None

    @property
    def text(self) -> str:
        """The message, of a length that fits into headers."""
        return self.message.encode(errors="replace")[:_MESSAGE_LIMIT].decode(errors="ignore")

    def status(self) -> bytes:
        """Return it as a serialised ``google.rpc.Status``."""
        return RpcStatus(self.code, self.text, self.wait).serialised()


TAKEN: Final = Verdict(Code.OK)


@dataclass(frozen=True, slots=True)
class Route:
    """Where the requests of one signal go.

    Args:
        signal: The signal.
        consumer: What takes them.
        limit: The most bytes of a request, unpacked.
        limit_name: The key that the limit comes from.
        authenticator: Who decides which are taken; None for all.
        include_metadata: What follows is told the headers of each request.
        budget: What requests may become when they are unpacked.
        objects: What those in JSON may become besides, while they are read; who has a share of it waits for no other.
        early: Who refuses some of them as soon as their headers are known; None for nobody.
    """

    signal: Signal
    consumer: Consumer
    limit: int
    limit_name: str
    authenticator: Authenticator | None = None
    include_metadata: bool = False
    budget: Budget = field(default_factory=Budget)
    objects: Budget = field(default_factory=Budget)
    early: RefusesEarly | None = None

    def stranger(self, headers: Mapping[str, str]) -> Verdict | None:
        """Return what is said to a request that the headers alone show not to be taken; None to all others."""
        if self.early is not None:
            try:
                self.early.refuse_early(headers)
            except UnauthenticatedError as error:
                return Verdict(Code.UNAUTHENTICATED, str(error))
        return None

    def take(self, headers: Mapping[str, str], body: bytes, packing: str, *, json: bool = False) -> Verdict:
        """Give a request on, and say what became of it when that is known; this may wait."""
        try:
            if self.authenticator is not None:
                self.authenticator.authenticate(headers)
            if packing in PLAIN and not json:
                self._give_on(check(self.signal, body), headers)
            else:
                self._unpack(headers, body, packing, json=json)
        except UnauthenticatedError as error:
            return Verdict(Code.UNAUTHENTICATED, str(error))
        except TooLargeError:
            return self.too_large()
        except MalformedError as error:
            return Verdict(Code.INVALID_ARGUMENT, str(error))
        except RetryableError as error:
            return Verdict(Code.UNAVAILABLE, str(error), error.retry_after)
        except PermanentError as error:
            return Verdict(Code.INTERNAL, str(error))
        return TAKEN

    def _unpack(self, headers: Mapping[str, str], body: bytes, packing: str, *, json: bool) -> None:
        """Give on what is packed or in JSON, when there is memory for the most that it may become."""
        worst = min(self.limit, len(body) * most_times(packing))
        with self.budget.reserve(worst) as share:
            payload = body if packing in PLAIN else unpack(body, packing, self.limit)
            share.shrink(len(payload))
            if json:
                with self.objects.reserve(len(payload) * _OBJECTS):
                    payload = from_json(self.signal, payload)
                share.shrink(len(payload))
            self._give_on(check(self.signal, payload), headers)

    def _give_on(self, batch: Batch, headers: Mapping[str, str]) -> None:
        if self.include_metadata:
            batch = replace(batch, metadata=metadata(headers, self.authenticator))
        if batch.items:
            self.consumer.consume(batch)

    def too_large(self) -> Verdict:
        """Return what is said to a request that is longer than allowed."""
        message = f"the request has more than {self.limit} bytes, the {self.limit_name} of this receiver; send smaller"
        return Verdict(Code.RESOURCE_EXHAUSTED, f"{message} ones")


def overloaded() -> Verdict:
    """Return what is said to a request that there is no room for now."""
    return Verdict(Code.UNAVAILABLE, "this receiver is answering as many requests as it can, try again", 1.0)


def unknown_packing(name: str, packings: tuple[str, ...]) -> str:
    """Return what is said of a packing that is not taken."""
    return f"{name}; supported: {', '.join(one for one in packings if one)}"


ALL_PACKINGS: Final = tuple(PACKINGS)
