"""OTLP over HTTP: which requests are wanted, and what is answered."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from provtel_collector.http.messages import Answer
from provtel_collector.receivers.otlp import answers
from provtel_collector.receivers.otlp.verdicts import Code, Verdict, overloaded, unknown_packing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provtel_collector.http.messages import Reply, Request
    from provtel_collector.http.workers import Workers
    from provtel_collector.receivers.otlp.cross_origin import CrossOrigin
    from provtel_collector.receivers.otlp.verdicts import Route

_FORMS: Final = {answers.PROTOBUF: False, answers.JSON: True}


class OtlpOverHttp:
    """Answers a posted request only after the consumer returned.

    Args:
        routes: Where the requests of each path go, and who does it.
        limit: The most bytes of a request, packed and unpacked.
        packings: What ``Content-Encoding`` may say.
        headers: What each answer has besides.
        cross_origin: Which pages of other origins may send; None for none.
    """

    def __init__(
        self,
        routes: Mapping[str, tuple[Route, Workers]],
        limit: int,
        packings: Sequence[str],
        headers: Mapping[str, str],
        cross_origin: CrossOrigin | None = None,
    ) -> None:
        self._routes = routes
        self.limit = limit
        self._packings = tuple(packings)
        self._headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        self._cross_origin = cross_origin

    def admit(self, request: Request) -> Answer | None:
        """Return why a request is not taken, as far as its headers say."""
        refusal = self._refusal(request)
        return refusal if refusal is None else self._completed(request, refusal)

    def too_large(self, request: Request) -> Answer:
        """Return what is said to a request that is longer than allowed."""
        route, _ = self._routes[request.path]
        return self._completed(request, self._told(request, route.too_large()))

    def overloaded(self, request: Request) -> Answer:
        """Return what is said to a request that there is no room for now."""
        return self._completed(request, self._told(request, overloaded()))

    def take(self, request: Request, reply: Reply) -> None:
        """Have a request taken by a worker."""
        route, workers = self._routes[request.path]
        if not workers.submit(partial(self._take, route, request, reply)):
            reply(self.overloaded(request))

    def _take(self, route: Route, request: Request, reply: Reply) -> None:
        verdict = Verdict(Code.INTERNAL, "this receiver failed in a way that it should not")
        try:
            verdict = route.take(request.headers, request.body, _packing(request), json=_FORMS[_form(request)])
        finally:
            reply(self._completed(request, self._told(request, verdict)))

    def _refusal(self, request: Request) -> Answer | None:
        if request.path not in self._routes:
            return answers.NOT_FOUND
        if self._cross_origin is not None and request.method == "OPTIONS":
            preflight = self._cross_origin.preflight(request.headers)
            if preflight is not None:
                return preflight
        if request.method != "POST":
            return answers.NOT_POST
        form = _form(request)
        if form not in _FORMS:
            return answers.NO_FORM
        packing = _packing(request)
        if packing not in self._packings and packing != "identity":
            message = f"unsupported Content-Encoding: {unknown_packing(packing, self._packings)}"
            return self._told(request, Verdict(Code.INVALID_ARGUMENT, message))
        route, _ = self._routes[request.path]
        stranger = route.stranger(request.headers)
        return None if stranger is None else self._told(request, stranger)

    @staticmethod
    def _told(request: Request, verdict: Verdict) -> Answer:
        return answers.answer(verdict, in_json=_FORMS[_form(request)])

    def _completed(self, request: Request, answer: Answer) -> Answer:
        """Return an answer with the headers that every answer has."""
        further = self._headers
        if self._cross_origin is not None:
            further = [*further, *self._cross_origin.headers(request.headers)]
        if not further:
            return answer
        return Answer(HTTPStatus(answer.status), answer.body, answer.content_type, [*answer.headers, *further])


def _form(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _packing(request: Request) -> str:
    return request.headers.get("content-encoding", "").strip().lower()
