"""Include and exclude: which spans, log records and metrics a processor is for.

Keys, meanings and defaults are those of the OpenTelemetry Collector's processors ``attributes`` and ``filter``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from provtel_model import attributes as names
from provtel_model.components import Signal
from provtel_model.settings import NO_EFFECT

from provtel_collector.attribute_lists import as_text, get, plain_double, set_raw
from provtel_collector.patterns import any_matches, compile_all

SPAN_KINDS: Final = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_NO_SERVICE: Final = "<nil-service-name>"

MatchType = Literal["strict", "regexp"]
Matches = Callable[[Any, Any, Any], bool]
"""Says whether an item matches, given its group, its part and itself."""
Texts = Callable[[str], bool]


@dataclass(frozen=True)
class AttributeMatch:
    """An attribute to be compared with.

    Args:
        key: Its key.
        value: Its value; without one, it is enough that it is there.
    """

    key: str
    value: Any = None

    def __post_init__(self) -> None:
        """Refuse an empty key.

        Raises:
            ValueError: It is empty.
        """
        if not self.key:
            raise ValueError("can't have empty key in the list of attributes")


@dataclass(frozen=True)
class LibraryMatch:
    """An instrumentation scope to be compared with.

    Args:
        name: Its name.
        version: Its version; without one, any will do.
    """

    name: str = ""
    version: str | None = None


@dataclass(frozen=True)
class SeverityMatch:
    """The severity of a log record to be compared with.

    Args:
        min: The least severity that matches.
        match_undefined: A log record without a severity matches.
    """

    min: int = 0
    match_undefined: bool = False


@dataclass(frozen=True)
class RegexpConfig:
    """How matches of regular expressions are remembered: accepted, and of no effect.

    Args:
        cacheenabled: They are.
        cachemaxnumentries: How many.
    """

    cacheenabled: bool = False
    cachemaxnumentries: int = 0


@dataclass(frozen=True)
class MatchConfig:
    """What an item must be like; everything that is named must fit.

    Args:
        match_type: How texts are compared: ``strict`` or ``regexp``.
        regexp: How matches of regular expressions are remembered: accepted, and of no effect.
        services: Names of services, of which one must fit.
        span_names: Names of spans, of which one must fit.
        log_bodies: Bodies of log records, of which one must fit.
        log_severity_texts: Texts of severities, of which one must fit.
        log_severity_number: The severity.
        metric_names: Names of metrics, of which one must fit.
        attributes: Attributes that must all fit.
        resources: Attributes of the resource that must all fit.
        libraries: Instrumentation scopes that must all fit.
        span_kinds: Kinds of spans, such as ``SPAN_KIND_CLIENT``, of which one must fit.
    """

    match_type: MatchType
    regexp: RegexpConfig | None = field(default=None, metadata=NO_EFFECT)
    services: tuple[str, ...] = ()
    span_names: tuple[str, ...] = ()
    log_bodies: tuple[str, ...] = ()
    log_severity_texts: tuple[str, ...] = ()
    log_severity_number: SeverityMatch | None = None
    metric_names: tuple[str, ...] = ()
    attributes: tuple[AttributeMatch, ...] = ()
    resources: tuple[AttributeMatch, ...] = ()
    libraries: tuple[LibraryMatch, ...] = ()
    span_kinds: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse patterns that are none, and kinds that there are not.

        Raises:
            ValueError: One is none.
        """
        known = {f"SPAN_KIND_{kind}" for kind in SPAN_KINDS[1:]}
        if self.match_type == "strict" and set(self.span_kinds) - known:
            listed = " ".join(sorted(known))
            raise ValueError(
                f"span_kinds string must match one of the standard span kinds when match_type=strict: [{listed}]"
            )
        for signal in Signal:
            _matches(self, signal)


_OF_SPANS: Final = frozenset({"services", "span_names", "span_kinds"})
_OF_LOGS: Final = frozenset({"log_bodies", "log_severity_texts", "log_severity_number"})
_ALLOWED: Final[Mapping[Signal, frozenset[str]]] = {
    Signal.TRACES: _OF_SPANS | {"attributes", "resources", "libraries"},
    Signal.LOGS: _OF_LOGS | {"attributes", "resources", "libraries"},
    Signal.METRICS: frozenset({"metric_names", "resources"}),
}
_KEYS: Final = tuple(sorted(frozenset[str]().union(*_ALLOWED.values())))


def check_match(config: MatchConfig, signal: Signal) -> None:
    """Refuse to match a signal by what it does not have, or by nothing.

    Raises:
        ValueError: It is so.
    """
    given = {key for key in _KEYS if getattr(config, key)}
    if foreign := sorted(given - _ALLOWED[signal]):
        raise ValueError(f"{', '.join(foreign)} should not be specified for {signal}")
    if not given:
        allowed = ", ".join(f'"{key}"' for key in sorted(_ALLOWED[signal]))
        raise ValueError(f"at least one of {allowed} field must be specified")


def skips(include: MatchConfig | None, exclude: MatchConfig | None, signal: Signal) -> Matches | None:
    """Return what says that an item is not to be processed: it is not included, or it is excluded.

    Raises:
        ValueError: A signal cannot be matched like this.
    """
    if include is None and exclude is None:
        return None
    for config in (include, exclude):
        if config is not None:
            check_match(config, signal)
    included = _matches(include, signal) if include and _says(include, signal) else lambda *_: True
    excluded = _matches(exclude, signal) if exclude and _says(exclude, signal) else lambda *_: False
    return lambda group, part, item: not included(group, part, item) or excluded(group, part, item)


def _says(config: MatchConfig, signal: Signal) -> bool:
    # Metrics are matched by name alone, as otelcol does.
    return signal is not Signal.METRICS or bool(config.metric_names)


def _matches(config: MatchConfig, signal: Signal) -> Matches:
    if signal is Signal.METRICS:
        named = _texts(config, config.metric_names)
        return lambda _group, _part, metric: named(metric.name)
    own = _span_matches(config) if signal is Signal.TRACES else _log_matches(config)
    libraries = [
        (_texts(config, (one.name,)), None if one.version is None else _texts(config, (one.version,)))
        for one in config.libraries
    ]
    of_resource = attributes_match(config.resources, config.match_type)
    of_item = attributes_match(config.attributes, config.match_type)

    def match(group: Any, part: Any, item: Any) -> bool:
        return (
            own(group, item)
            and all(name(part.scope.name) for name, _ in libraries)
            and all(version(part.scope.version) for _, version in libraries if version is not None)
            and of_resource(group.resource.attributes)
            and of_item(item.attributes)
        )

    return match


def _span_matches(config: MatchConfig) -> Callable[[Any, Any], bool]:
    services, span_names, kinds = (
        _texts(config, texts) for texts in (config.services, config.span_names, config.span_kinds)
    )

    def match(group: Any, span: Any) -> bool:
        return (
            (not config.services or services(_service(group)))
            and (not config.span_names or span_names(span.name))
            and (not config.span_kinds or kinds(kind_text(span.kind)))
        )

    return match


def _log_matches(config: MatchConfig) -> Callable[[Any, Any], bool]:
    bodies, texts = _texts(config, config.log_bodies), _texts(config, config.log_severity_texts)
    severity = config.log_severity_number

    def match(_group: Any, log: Any) -> bool:
        return (
            (not config.log_bodies or bodies(as_text(log.body)))
            and (not config.log_severity_texts or texts(log.severity_text))
            and (severity is None or _severe(log.severity_number, severity))
        )

    return match


def _severe(number: int, wanted: SeverityMatch) -> bool:
    return number >= wanted.min if number else wanted.match_undefined


def _service(group: Any) -> str:
    service = get(group.resource.attributes, names.SERVICE_NAME)
    return _NO_SERVICE if service is None else as_text(service)


def kind_text(kind: int) -> str:
    """Return what a kind of span is called; nothing where it has no name."""
    return f"SPAN_KIND_{SPAN_KINDS[kind]}" if 0 <= kind < len(SPAN_KINDS) else ""


def _texts(config: MatchConfig, wanted: Sequence[str]) -> Texts:
    if config.match_type == "strict":
        known = frozenset(wanted)
        return lambda text: text in known
    patterns = compile_all(wanted)
    return lambda text: any_matches(patterns, text)


def attributes_match(wanted: Sequence[AttributeMatch], match_type: MatchType) -> Callable[[Any], bool]:
    """Return what says whether a list of attributes has all that are wanted.

    Raises:
        ValueError: A pattern is none, or a value can only be compared strictly.
    """
    tests = [(one.key, _value_matches(one, match_type)) for one in wanted]

    def match(attributes: Any) -> bool:
        for key, test in tests:
            value = get(attributes, key)
            if value is None or not test(value):
                return False
        return True

    return match


def _value_matches(wanted: AttributeMatch, match_type: MatchType) -> Callable[[Any], bool]:
    if wanted.value is None:
        return lambda _value: True
    if match_type == "strict":
        expected = AnyValue()
        set_raw(expected, wanted.value)
        return lambda value: bool(value == expected)
    if not isinstance(wanted.value, str):
        raise ValueError(  # noqa: TRY004  # a mistake in a configuration
            f'match_type=regexp for "{wanted.key}" only supports Str, but found {wanted.value!r}'
        )
    patterns = compile_all([wanted.value])

    def match(value: Any) -> bool:
        text = _scalar_text(value)
        return text is not None and any_matches(patterns, text)

    return match


def _scalar_text(value: Any) -> str | None:
    match value.WhichOneof("value"):
        case "string_value" | "bool_value" | "int_value":
            return as_text(value)
        case "double_value":
            return plain_double(value.double_value)
    return None
