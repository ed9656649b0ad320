"""The statements of a document as rules work on them: a kind, an identifier, and arguments that may be unknown."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from prov.constants import PROV_N_MAP
from prov.identifier import QualifiedName
from prov.model import ProvRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Kind(enum.StrEnum):
    """The kinds of statements, by their names in PROV-N."""

    ENTITY = "entity"
    ACTIVITY = "activity"
    AGENT = "agent"
    GENERATION = "wasGeneratedBy"
    USAGE = "used"
    COMMUNICATION = "wasInformedBy"
    START = "wasStartedBy"
    END = "wasEndedBy"
    INVALIDATION = "wasInvalidatedBy"
    DERIVATION = "wasDerivedFrom"
    ATTRIBUTION = "wasAttributedTo"
    ASSOCIATION = "wasAssociatedWith"
    DELEGATION = "actedOnBehalfOf"
    INFLUENCE = "wasInfluencedBy"
    SPECIALIZATION = "specializationOf"
    ALTERNATE = "alternateOf"
    MENTION = "mentionOf"
    MEMBERSHIP = "hadMember"


OBJECTS: Final = frozenset({Kind.ENTITY, Kind.ACTIVITY, Kind.AGENT})
MANDATORY: Final = {
    **dict.fromkeys((Kind.GENERATION, Kind.USAGE, Kind.START, Kind.END, Kind.INVALIDATION, Kind.ASSOCIATION), 1),
    **dict.fromkeys((Kind.COMMUNICATION, Kind.DERIVATION, Kind.ATTRIBUTION, Kind.DELEGATION, Kind.INFLUENCE), 2),
    **dict.fromkeys((Kind.SPECIALIZATION, Kind.ALTERNATE, Kind.MEMBERSHIP), 2),
    Kind.MENTION: 3,
}
"""How many of the first arguments a statement must have."""


class Unknown:
    """Something that exists and is not named: an existential variable."""

    __slots__ = ()


class Absent(enum.Enum):
    """What is not there at all, which unifies with nothing that is."""

    ABSENT = enum.auto()


ABSENT: Final = Absent.ABSENT
Term: TypeAlias = QualifiedName | dt.datetime | Unknown | Absent


@dataclass(slots=True)
class Statement:
    """A statement, asserted or inferred.

    Args:
        kind: What it states.
        id: Its identifier, unknown where it has none.
        arguments: Its formal arguments, in the order of PROV-N.
        records: What asserts it, or what it is inferred from.
        types: Its ``prov:type`` values.
    """

    kind: Kind
    id: Term
    arguments: list[Term]
    records: list[ProvRecord]
    types: set[str] = field(default_factory=set)

    @property
    def texts(self) -> Iterator[str]:
        """The records behind it, in PROV-N."""
        return (record.get_provn() for record in self.records)


def asserted_by(record: ProvRecord) -> Statement:
    """Return the statement that a record makes."""
    kind = Kind(PROV_N_MAP[record.get_type()])
    arguments = [Unknown() if value is None else value for value in record.args]
    if kind is Kind.DERIVATION and isinstance(arguments[2], Unknown):
        arguments[2:] = [ABSENT if isinstance(argument, Unknown) else argument for argument in arguments[2:]]
    if kind is Kind.ASSOCIATION and isinstance(arguments[2], Unknown):
        arguments[2] = ABSENT
    types = {str(getattr(value, "uri", value)) for value in record.get_asserted_types()}
    return Statement(kind, record.identifier or Unknown(), arguments, [record], types)


def inferred_from(statements: Iterable[Statement]) -> Iterator[Statement]:
    """Yield what inferences 9 to 11, 13 and 14 say of statements, and that a mention is a specialization."""
    return (inferred for statement in statements for inferred in _inferred(statement))


def _inferred(statement: Statement) -> Iterator[Statement]:
    first, *rest = statement.arguments or [Unknown()]

    def infer(kind: Kind, identifier: Term, *arguments: Term) -> Statement:
        return Statement(kind, identifier, list(arguments), statement.records)

    if statement.kind in {Kind.START, Kind.END}:
        trigger, starter, _ = rest
        yield infer(Kind.GENERATION, Unknown(), trigger, starter, Unknown())
    elif statement.kind is Kind.DERIVATION and rest[1] is not ABSENT:
        source, activity, generation, usage = rest
        yield infer(Kind.USAGE, usage, activity, source, Unknown())
        yield infer(Kind.GENERATION, generation, first, activity, Unknown())
    elif statement.kind is Kind.ATTRIBUTION:
        yield infer(Kind.GENERATION, Unknown(), first, Unknown(), Unknown())
    elif statement.kind is Kind.DELEGATION:
        responsible, activity = rest
        yield infer(Kind.ASSOCIATION, Unknown(), activity, first, Unknown())
        yield infer(Kind.ASSOCIATION, Unknown(), activity, responsible, Unknown())
    elif statement.kind is Kind.MENTION:
        yield infer(Kind.SPECIALIZATION, Unknown(), first, rest[0])
