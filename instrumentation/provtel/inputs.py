"""What an activity used: its inputs by role, and which activities they are known to come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from provtel_model import attributes as names
from provtel_model.values import Reference, decode

from provtel.anatomy import class_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import PlainLink

    from provtel.definition import Definition
    from provtel.recorder import Recorder

DECLARED: Final = "declared"
SAME_OBJECT: Final = "same_object"

_INT64_MIN: Final = -(2**63)
_INT64_MAX: Final = 2**63 - 1


class Output(NamedTuple):
    """What an activity generated in a role; given in ``used=`` of another one it declares the data flow.

    Args:
        trace_id: Trace of the activity, in hexadecimal.
        span_id: Its span.
        role: The role.
        value: The value as it was when it was generated.
    """

    trace_id: str
    span_id: str
    role: str
    value: Any


def writable(role: str) -> str:
    """Return a role as it can be written: half characters, which a key of a dict may have, are spelled out."""
    return role if role.isascii() else role.encode("utf-8", "backslashreplace").decode()


def type_only(value: object, objects: list[object]) -> AnyValue:
    """Return the form of a value whose content is not wanted.

    Args:
        value: Any value.
        objects: Collects the value, whose way through the program is known all the same.
    """
    if type(value) is Reference:
        return Reference(value.type).to_value()
    objects.append(value)
    return Reference(class_name(type(value))).to_value()


class Inputs:
    """Collects the inputs of one activity.

    Args:
        recorder: Takes the snapshots and knows where instances come from.
        contents: The content of values is kept, not only their type.
    """

    def __init__(self, recorder: Recorder, *, contents: bool = True) -> None:
        """Begin with none."""
        self._contents = contents
        self._recorder = recorder
        self.links: list[PlainLink] = []

    def by_role(self, items: Iterable[tuple[str, object]]) -> dict[str, AnyValue]:
        """Return snapshots of inputs by role."""
        return {writable(role): self.take(role, value) for role, value in items}

    def take(self, role: str, value: object) -> AnyValue:
        """Return the snapshot of one input, and remember where it comes from."""
        if type(value) is Output:
            if int(value.span_id, 16):  # an output of what is not recorded comes from nowhere
                self._link(role, {"trace_id": value.trace_id, "span_id": value.span_id}, value.role, DECLARED)
            # It was a form when it was kept.
            return value.value if self._contents else type_only(decode(value.value), [])
        objects: list[object] = []
        form = self._recorder.snapshots.of_role(role, value, objects) if self._contents else type_only(value, objects)
        self._link_objects(role, objects)
        return form

    def receiver(self, role: str, value: object) -> AnyValue:
        """Return the stable name of the instance or class that a method is called on."""
        self._link_objects(role, [value])
        return Reference(class_name(value if isinstance(value, type) else type(value))).to_value()

    def _link_objects(self, role: str, objects: list[object]) -> None:
        for known in map(self._recorder.origins.get, objects) if self._recorder.origins else ():
            if known is not None:
                self._link(role, *known, SAME_OBJECT)

    def _link(self, role: str, activity: PlainLink, source_role: str, relation: str) -> None:
        attributes: dict[str, AnyValue] = {
            names.PROV_RELATION: relation,
            names.PROV_ROLE: role,
            names.PROV_SOURCE_ROLE: source_role,
        }
        link: PlainLink = {**activity, "attributes": attributes}
        if link not in self.links:
            self.links.append(link)


def of_call(
    definition: Definition, args: tuple[Any, ...], kwargs: Mapping[str, Any], recorder: Recorder
) -> tuple[list[AnyValue] | dict[str, AnyValue], list[PlainLink] | None]:
    """Return the inputs of a call, in the order of the definition's roles or by role, and their links."""
    values: Any = args
    if kwargs or len(args) != definition.parameters.arity:
        values = definition.parameters.bind(args, kwargs)
        if not isinstance(values, list):
            inputs = Inputs(recorder, contents=definition.captures_values)
            return inputs.by_role(values.items()), inputs.links
    if definition.guarded is not False and definition.is_guarded(recorder.snapshots.redaction):
        return _guarded(definition, values, recorder)
    used: list[AnyValue] = []
    links: list[PlainLink] | None = None
    for value in values:
        kind = type(value)
        if kind is float or kind is bool or value is None or (kind is int and _INT64_MIN <= value <= _INT64_MAX):
            used.append(value)
        elif kind is str:
            used.append(recorder.snapshots.text(value))
        else:
            inputs = Inputs(recorder)
            used.append(inputs.take(definition.parameters.roles[len(used)], value))
            links = [*(links or ()), *inputs.links]
    return used, links


def _guarded(definition: Definition, values: list[Any], recorder: Recorder) -> tuple[list[AnyValue], list[PlainLink]]:
    """Return the inputs of a call some of whose roles hide secrets, or name the instance of a method."""
    inputs = Inputs(recorder, contents=definition.captures_values)
    receiver = definition.parameters.receiver
    used = [
        inputs.receiver(role, value) if role == receiver else inputs.take(role, value)
        for role, value in zip(definition.parameters.roles, values, strict=False)
    ]
    return used, inputs.links
