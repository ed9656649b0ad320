"""Activities that are blocks of code: ``with task("name") as t:``, or from `start` to ``end`` in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from provtel import calls, notices, telemetry
from provtel.activity import Activity, InertActivity
from provtel.definition import Definition
from provtel.inputs import Inputs, writable
from provtel.recording import recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

_F = TypeVar("_F", bound="Callable[..., Any] | staticmethod[..., Any] | classmethod[Any, ..., Any]")
_MAX_DEFINITIONS: Final = 1000
_definitions: Final[dict[tuple[Any, ...], Definition]] = {}


class Block:
    """What `task` and `workflow` return when they are given a name: a block of code, or a decorator.

    Args:
        kind: Kind of the activity.
        name: Its name; a decorated function's own where there is none.
        used: Inputs of the block.
        outputs: Names of what a decorated function returns.
        tags: The user's tags.
        **options: What `Definition` takes besides.
    """

    def __init__(
        self,
        kind: str,
        name: str | None,
        *,
        used: Mapping[str, object] | None = None,
        outputs: str | tuple[str, ...] | list[str] | None = None,
        tags: tuple[str, ...] = (),
        **options: Any,
    ) -> None:
        """Keep what was said; nothing starts."""
        self._kind = kind
        self._name = name
        self._used = used or {}
        self._outputs = outputs
        self._tags = tags
        self._options = options
        self._running: list[Activity] = []

    def __call__(self, function: _F) -> _F:
        """Decorate a function: each of its calls is an activity."""
        decorated: _F = self._decorate(function)
        return decorated

    def _decorate(self, function: Any) -> Any:
        if isinstance(function, staticmethod | classmethod):
            return type(function)(self._decorate(function.__func__))
        definition = Definition(
            self._kind,
            self._name or name_of(function),
            function=function,
            outputs=self._outputs,
            tags=self._tags,
            shares_thread=calls.shares_thread(function),
            **self._options,
        )
        return calls.wrap(function, definition)

    def start(self) -> Activity:
        """Start now; whoever starts it calls ``end`` on what is returned. Never raises."""
        try:
            current = recorder()
            return InertActivity() if current is None else self._start(current)
        except Exception as error:  # noqa: BLE001  # the program goes on whatever went wrong
            notices.capture_failed(f"{self._kind} {self._name}", error)
            return InertActivity()

    def _start(self, current: Any) -> Activity:
        definition = definition_of(self._kind, self._name or self._kind, **self._options)
        inputs = Inputs(current, contents=definition.captures_values)
        used = inputs.by_role(self._used.items())
        facts: dict[str, Any] = {}
        if inputs.links:
            facts["links"] = inputs.links
        if self._tags:
            facts["tags"] = [*map(writable, self._tags)]
        activity = Activity(current, definition, used, facts)
        shared = definition.telemetry and telemetry.in_event_loop()
        if shared:
            activity.facts["telemetry"] = {**telemetry.PROCESS_SCOPE}
        activity.enter(telemetry.meter_for(definition.level, shares_thread=shared))
        return activity

    def __enter__(self) -> Activity:
        activity = self.start()
        self._running.append(activity)
        return activity

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End as the block ended; the exception goes on."""
        self._running.pop().__exit__(kind, error, trace)

    async def __aenter__(self) -> Activity:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End as the block ended; the exception goes on."""
        self.__exit__(kind, error, trace)


def definition_of(kind: str, name: str, **options: Any) -> Definition:
    """Return the definition of activities that are no calls; the same one for the same words."""
    key = (kind, name, *options.items())
    known = _definitions.get(key)
    if known is None:
        # Names may be made of data: what is forgotten here is only written once more.
        if len(_definitions) >= _MAX_DEFINITIONS:
            _definitions.clear()
        known = _definitions[key] = Definition(kind, name, **options)
    return known


def name_of(function: Callable[..., Any]) -> str:
    """Return what calls of a callable are called; those of a partial like what it calls."""
    while not hasattr(function, "__name__") and hasattr(function, "func"):
        function = function.func
    return getattr(function, "__name__", None) or type(function).__name__
