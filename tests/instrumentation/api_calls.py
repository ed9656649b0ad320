"""Calls of OpenTelemetry's tracing API, one program a row: what each does to whatever provider it is given."""

# ruff: noqa: D103  # the name of a row says what it is

from __future__ import annotations

import asyncio
import contextlib
import enum
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NamedTuple

from opentelemetry import baggage, context, trace
from opentelemetry.context import Context
from opentelemetry.propagate import extract, inject
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
    set_span_in_context,
    use_span,
)

Call = Callable[[Tracer], object]

REMOTE = SpanContext(0x1234, 0x5678, is_remote=True, trace_flags=TraceFlags(1), trace_state=TraceState([("v", "1")]))
UNSAMPLED = SpanContext(0x1234, 0x5678, is_remote=True, trace_flags=TraceFlags(0))
NOON = 1_700_000_000_000_000_000


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Args:
        call: The calls.
        provider: Arguments of the provider.
        environment: Variables that are set while the provider is made.
    """

    call: Call
    provider: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


ROWS: dict[str, Row] = {}


def row(environment: dict[str, str] | None = None, **provider: Any) -> Callable[[Call], Call]:
    """Add a row."""

    def add(call: Call) -> Call:
        ROWS[call.__name__] = Row(call, provider, environment or {})
        return call

    return add


class BoomError(Exception):
    """Raised on purpose."""


# ---- spans, and what is current ----


@row()
def a_span_alone(tracer: Tracer) -> None:
    tracer.start_span("alone").end()


@row()
def a_block(tracer: Tracer) -> None:
    with tracer.start_as_current_span("block") as span:
        assert trace.get_current_span() is span
    assert trace.get_current_span() is INVALID_SPAN


@row()
def blocks_in_blocks(tracer: Tracer) -> None:
    with tracer.start_as_current_span("outer"):
        with tracer.start_as_current_span("middle"):
            tracer.start_span("leaf").end()
        tracer.start_span("leaf").end()


@row()
def a_span_as_a_block(tracer: Tracer) -> None:
    with tracer.start_span("entered") as span:
        assert trace.get_current_span() is not span


@row()
def a_block_that_leaves_its_span_open(tracer: Tracer) -> None:
    with tracer.start_as_current_span("kept", end_on_exit=False) as span:
        pass
    span.set_attribute("after", 1)
    span.end()


@row()
def a_decorated_function(tracer: Tracer) -> None:
    @tracer.start_as_current_span("call", attributes={"a": 1})
    def function(x: int) -> int:
        """Say it."""
        return x + 1

    assert [function(1), function(2)] == [2, 3]
    assert (function.__name__, function.__doc__) == ("function", "Say it.")


@row()
def a_decorated_coroutine(tracer: Tracer) -> None:
    @tracer.start_as_current_span("call")
    async def coroutine(x: int) -> int:
        await asyncio.sleep(0)
        trace.get_current_span().set_attribute("x", x)
        return x

    async def main() -> list[int]:
        return [*await asyncio.gather(coroutine(1), coroutine(2))]

    assert asyncio.run(main()) == [1, 2]


@row()
def a_decorated_function_that_fails(tracer: Tracer) -> None:
    @tracer.start_as_current_span("call")
    def fail() -> None:
        raise BoomError("x")

    with contextlib.suppress(BoomError):
        fail()


@row()
def a_given_context(tracer: Tracer) -> None:
    parent = tracer.start_span("parent")
    with tracer.start_as_current_span("elsewhere"):
        tracer.start_span("child", context=set_span_in_context(parent)).end()
        tracer.start_span("root", context=Context()).end()
    parent.end()


@row()
def use_span_of_the_api(tracer: Tracer) -> None:
    span = tracer.start_span("used")
    with use_span(span, end_on_exit=True):
        tracer.start_span("child").end()


@row()
def context_by_hand(tracer: Tracer) -> None:
    span = tracer.start_span("attached")
    token = context.attach(set_span_in_context(span))
    tracer.start_span("child").end()
    context.detach(token)
    span.end()


@row()
def a_thread_starts_anew(tracer: Tracer) -> None:
    with tracer.start_as_current_span("main"):
        thread = threading.Thread(target=lambda: tracer.start_span("in thread").end())
        thread.start()
        thread.join()


@row()
def end_twice(tracer: Tracer) -> None:
    span = tracer.start_span("ended")
    span.end(NOON)
    span.end(NOON + 5)


@row()
def all_that_comes_late(tracer: Tracer) -> None:
    span = tracer.start_span("ended")
    span.end()
    span.set_attribute("late", 1)
    span.set_attributes({"late": 1})
    span.add_event("late")
    span.add_link(REMOTE)
    span.update_name("late")
    span.set_status(StatusCode.ERROR)
    span.record_exception(BoomError("late"))
    assert not span.is_recording()


@row()
def times_that_are_given(tracer: Tracer) -> None:
    tracer.start_span("past", start_time=NOON).end(NOON + 1_000)
    with tracer.start_as_current_span("block", start_time=NOON, end_on_exit=False) as span:
        span.add_event("then", timestamp=NOON + 7)
    span.end(NOON + 9)


@row()
def every_kind(tracer: Tracer) -> None:
    for kind in SpanKind:
        tracer.start_span(kind.name, kind=kind).end()


@row()
def a_new_name(tracer: Tracer) -> None:
    span = tracer.start_span("before", kind=SpanKind.SERVER)
    span.update_name("after")
    span.end()


@row()
def an_empty_name(tracer: Tracer) -> None:
    tracer.start_span("").end()


@row()
def names_of_any_letters(tracer: Tracer) -> None:
    tracer.start_span("naïve ☃ \U0001f600").end()


@row()
def very_many_names(tracer: Tracer) -> None:
    for number in range(1100):
        tracer.start_span(f"name {number}").end()


# ---- attributes ----


@row()
def attributes_of_every_type(tracer: Tracer) -> None:
    span = tracer.start_span("typed", attributes={"s": "x", "b": True, "i": 1, "f": 1.5, "n": None, "y": b"\x00\xff"})
    span.set_attribute("list", [1, 2])
    span.set_attribute("tuple", ("a", "b"))
    span.set_attribute("empty", [])
    span.set_attribute("mixed", [1, "a", None, [True]])
    span.set_attribute("map", {"a": {"b": (1, 2)}})
    span.set_attribute("big", 2**63 - 1)
    span.set_attribute("small", -(2**63))
    span.set_attribute("inf", float("inf"))
    span.end()


@row()
def the_last_value_counts(tracer: Tracer) -> None:
    span = tracer.start_span("twice", attributes={"a": 1, "b": 1})
    span.set_attribute("a", 2)
    span.set_attributes({"b": 2, "c": 3})
    span.set_attributes({"c": 4})
    span.end()


@row()
def a_list_that_changes_later(tracer: Tracer) -> None:
    values = [1, 2]
    span = tracer.start_span("kept", attributes={"a": values})
    values.append(3)
    span.set_attribute("b", values)
    values.append(4)
    span.end()


@row()
def attributes_without_a_name(tracer: Tracer) -> None:
    span = tracer.start_span("nameless", attributes={"": 1, "a": 2})
    span.set_attribute("", 3)
    span.end()


class Word(enum.StrEnum):
    """A text that is no str alone."""

    MODE = "mode"


class Size(NamedTuple):
    """A tuple that is no tuple alone."""

    width: int


@row()
def attributes_of_subclasses(tracer: Tracer) -> None:
    values: dict[str, Any] = {
        Word.MODE: Word.MODE,
        "status": HTTPStatus.OK,
        "all": [HTTPStatus.OK, Word.MODE],
        "size": Size(1),
    }
    span = tracer.start_span("derived", attributes={**values, "map": OrderedDict(a=Word.MODE)})
    span.set_attribute(Word.MODE, 1)
    span.set_attributes({Word.MODE: 2})
    span.add_event("e", {Word.MODE: HTTPStatus.OK})
    span.add_link(REMOTE, {Word.MODE: Word.MODE})
    span.end()


@row()
def attributes_whose_name_is_no_text(tracer: Tracer) -> None:
    keys: dict[Any, Any] = {1: 1, b"b": 2, 1.5: 3, None: 4, 0: 5, (): 6}
    span = tracer.start_span("numbered", attributes=keys)
    span.set_attributes({2: 1})  # type: ignore[dict-item]  # on purpose
    span.set_attribute(3, 1)  # type: ignore[arg-type]  # on purpose
    span.add_event("e", keys)
    span.end()


@row()
def no_attributes(tracer: Tracer) -> None:
    span = tracer.start_span("none", attributes={})
    span.set_attributes({})
    span.add_event("e", {})
    span.end()


@row()
def attributes_that_say_prov(tracer: Tracer) -> None:
    with tracer.start_as_current_span("run", attributes={"prov.activity.type": "workflow"}):
        tracer.start_span(
            "step", attributes={"prov.activity.type": "task", "prov.used.x": 1, "prov.generated.y": [1.5, 2.5]}
        ).end()
        tracer.start_span("map", attributes={"prov.used": {"x": 1}, "workflow.task.tags": ["a", "b"]}).end()


# ---- events, links ----


@row()
def events(tracer: Tracer) -> None:
    with tracer.start_as_current_span("eventful") as span:
        span.add_event("bare")
        span.add_event("told", {"a": 1, "l": ("x", "y")}, timestamp=NOON)
        span.add_event("told", attributes={"a": 2})


@row()
def links_at_the_start(tracer: Tracer) -> None:
    tracer.start_span("linked", links=[Link(REMOTE), Link(UNSAMPLED, {"why": "because", "n": (1, 2)})]).end()


@row()
def links_later(tracer: Tracer) -> None:
    span = tracer.start_span("linked", links=(Link(REMOTE),))
    span.add_link(UNSAMPLED, {"why": "because"})
    span.end()


@row()
def links_to_nothing(tracer: Tracer) -> None:
    nowhere = SpanContext(0, 0, is_remote=False)
    span = tracer.start_span("linked", links=[Link(nowhere), Link(nowhere, {"a": 1})])
    span.add_link(nowhere)
    span.add_link(nowhere, {"b": 1})
    span.end()


# ---- status, exceptions ----


@row()
def every_status(tracer: Tracer) -> None:
    for status in (Status(StatusCode.OK), Status(StatusCode.ERROR, "why"), Status(StatusCode.UNSET)):
        span = tracer.start_span(status.status_code.name)
        span.set_status(status)
        span.end()


@row()
def status_by_its_code(tracer: Tracer) -> None:
    for code, text in ((StatusCode.OK, None), (StatusCode.ERROR, "why"), (StatusCode.ERROR, None)):
        span = tracer.start_span(code.name)
        span.set_status(code, text)
        span.end()


@row()
def ok_is_final(tracer: Tracer) -> None:
    span = tracer.start_span("well")
    span.set_status(StatusCode.OK)
    span.set_status(StatusCode.ERROR, "too late")
    span.end()


@row()
def unset_changes_nothing(tracer: Tracer) -> None:
    span = tracer.start_span("failed")
    span.set_status(StatusCode.ERROR, "why")
    span.set_status(StatusCode.UNSET)
    span.end()


@row()
def an_error_may_turn_out_well(tracer: Tracer) -> None:
    span = tracer.start_span("recovered")
    span.set_status(StatusCode.ERROR, "first")
    span.set_status(StatusCode.ERROR, "second")
    span.set_status(StatusCode.OK)
    span.end()


@row()
def an_exception_that_is_recorded(tracer: Tracer) -> None:
    with tracer.start_as_current_span("handled") as span:
        try:
            raise BoomError("handled")  # noqa: TRY301  # where it is raised is what is recorded
        except BoomError as error:
            span.record_exception(error)
            span.record_exception(error, {"extra": 1, "exception.message": "mine"}, timestamp=NOON, escaped=True)


@row()
def an_exception_that_was_never_raised(tracer: Tracer) -> None:
    with tracer.start_as_current_span("handled") as span:
        span.record_exception(ValueError("built in"))


@row()
def an_exception_that_leaves_a_block(tracer: Tracer) -> None:
    with contextlib.suppress(BoomError), tracer.start_as_current_span("outer"), tracer.start_as_current_span("inner"):
        raise BoomError("out")


@row()
def an_exception_that_leaves_a_span(tracer: Tracer) -> None:
    with contextlib.suppress(BoomError), tracer.start_span("entered"):
        raise BoomError("out")


@row()
def an_exception_that_is_not_recorded(tracer: Tracer) -> None:
    choices: list[dict[str, Any]] = [{"record_exception": False}, {"set_status_on_exception": False}]
    for options in choices:
        with contextlib.suppress(BoomError), tracer.start_as_current_span("block", **options):
            raise BoomError("out")
        with contextlib.suppress(BoomError), tracer.start_span("span", **options):
            raise BoomError("out")


@row()
def an_exception_in_use_span(tracer: Tracer) -> None:
    with contextlib.suppress(BoomError), use_span(tracer.start_span("used"), end_on_exit=True):
        raise BoomError("out")


@row()
def what_is_no_error(tracer: Tracer) -> None:
    for error in (KeyboardInterrupt(), SystemExit(3), GeneratorExit(), asyncio.CancelledError()):
        with contextlib.suppress(BaseException), tracer.start_as_current_span(type(error).__name__):
            raise error


@row()
def a_status_before_an_exception(tracer: Tracer) -> None:
    with contextlib.suppress(BoomError), tracer.start_as_current_span("well") as span:
        span.set_status(StatusCode.OK)
        raise BoomError("out")


# ---- contexts from elsewhere, propagation ----


@row()
def a_remote_parent(tracer: Tracer) -> None:
    with tracer.start_as_current_span("served", context=set_span_in_context(NonRecordingSpan(REMOTE))) as span:
        tracer.start_span("child").end()
        assert span.get_span_context().trace_state == REMOTE.trace_state
    assert span.get_span_context().trace_id == REMOTE.trace_id


@row()
def a_remote_parent_that_is_not_sampled(tracer: Tracer) -> None:
    with tracer.start_as_current_span("dropped", context=set_span_in_context(NonRecordingSpan(UNSAMPLED))) as span:
        assert not span.is_recording()
        assert span.get_span_context().trace_id == UNSAMPLED.trace_id
        assert span.get_span_context().span_id != UNSAMPLED.span_id
        tracer.start_span("dropped too").end()


@row()
def propagators(tracer: Tracer) -> None:
    carrier: dict[str, str] = {}
    with tracer.start_as_current_span("client") as span:
        token = context.attach(baggage.set_baggage("k", "v"))
        inject(carrier)
        context.detach(token)
    ids = span.get_span_context()
    assert carrier["traceparent"] in {f"00-{ids.trace_id:032x}-{ids.span_id:016x}-{flags:02x}" for flags in (1, 3)}
    assert carrier["baggage"] == "k=v"
    tracer.start_span("server", context=extract(carrier)).end()
