"""What a person points at when asking for a lineage: a record, a hash, the value of a role, a file, or any value."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from provtel_model.anyvalue import TYPE_KEY
from provtel_model.components import Occurrence
from provtel_model.dataflow import CONTENT, Datum, content_key, data
from provtel_model.errors import UserError
from provtel_model.filters import Query
from provtel_model.hashing import SHA256_PREFIX, canonical_bytes
from provtel_model.record import Record
from provtel_model.values import encode

from provtel_query.annotations import KIND as ANNOTATION
from provtel_query.identity import find_record, last_run
from provtel_query.lineage import Direction, Entity, Start, generated_entity, used_entity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from provtel_model.anyvalue import AnyValue
    from provtel_model.components import Reader
    from provtel_model.record import PlainRecord

    from provtel_query.flow import Flow

_Values: TypeAlias = "Callable[[PlainRecord], Mapping[str, AnyValue] | None]"

_ASSIGNMENT: Final = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_HASH: Final = re.compile(rf"(?:{SHA256_PREFIX})?([0-9a-f]{{64}})")
_FILE_SCHEME: Final = "file:"
_PATH: Final = re.compile(r"/|\.\w{1,8}$")


class Found(NamedTuple):
    """Where a lineage starts, and how many earlier generations of the same datum were passed over."""

    starts: Sequence[Start]
    others: int = 0


class _Data(NamedTuple):
    """Where a datum was generated and used."""

    generated: list[Occurrence]
    used: list[Occurrence]


class Finder:
    """Finds what a target means in a store.

    A value that is large or distinctive enough, or a file that still is as it was, is found by its content wherever it
    occurs. Anything else is looked for in one run: the last one, unless another is named.
    """

    def __init__(self, reader: Reader, flow: Flow, direction: Direction, run: dict[str, Any] | None = None) -> None:
        """Look in a reader; for data that says little by itself, in a run, given by a filter."""
        self._reader = reader
        self._flow = flow
        self._direction = direction
        self._run = run

    def find(self, target: object) -> Found:
        """Return where the lineage of a target starts.

        A `Record` means itself, a text what `find_text` reads in it, a path its file, anything else a value.

        Raises:
            UserError: Nothing in the store is meant by it.
        """
        if isinstance(target, Record):
            return Found([Start(generator=target)])
        if isinstance(target, str):
            return self.find_text(target)
        if isinstance(target, Path):
            found = self._by_file(str(target))
            found = found if any(found) else self._by_place(str(target))
            if any(found):
                return self._chosen(found, repr(target))
        return self._chosen(self._by_value(encode(target)), repr(target))

    def find_text(self, text: str) -> Found:
        """Return where the lineage of what a person typed starts.

        It is taken for the first of these that it can be: a content hash, ``role=value``, the id of a record or a
        prefix of it, the path or URI of a file, a value as JSON writes it, a plain text.

        Raises:
            UserError: Nothing in the store is meant by it.
        """
        known_hash, assignment = _HASH.fullmatch(text), _ASSIGNMENT.fullmatch(text)
        if known_hash:
            return self._chosen(self._by_key(f"{CONTENT}:{SHA256_PREFIX}{known_hash[1]}"), text)
        if assignment:
            return self._chosen(self._by_role(assignment[1], _parsed(assignment[2])), text)
        record = find_record(self._reader, text)
        if record:
            return Found([Start(generator=record)])
        ways: list[Callable[[], _Data]] = [
            lambda: self._by_file(text),
            lambda: self._by_value(_parsed(text)),
            lambda: self._by_place(text),
        ]
        if _PATH.search(text):  # it takes a look at every record, which is spared where it is no path at first sight
            ways.insert(1, ways.pop())
        return self._chosen(next(filter(any, (way() for way in ways)), _Data([], [])), text)

    def _by_key(self, key: str) -> _Data:
        return _Data(list(self._flow.generators(key)), list(self._flow.users(key)))

    def _by_role(self, role: str, value: AnyValue) -> _Data:
        def has_role(datum: Datum) -> bool:
            return datum.role == role and not datum.path and _same(datum.value, value)

        found = self._scan(self._here(), has_role, role)
        return found if any(found) or self._run else self._scan({}, has_role, role)

    def _by_file(self, text: str) -> _Data:
        path = Path(text.removeprefix(_FILE_SCHEME + "//"))
        for key in (_key_of_file(path), content_key(encode(path)), content_key(encode(path.absolute()))):
            found = self._by_key(key) if key else _Data([], [])
            if any(found):
                return found
        return _Data([], [])

    def _by_place(self, text: str) -> _Data:
        path = Path(text.removeprefix(_FILE_SCHEME + "//"))
        places = {text, str(path), str(path.absolute()), path.absolute().as_uri()}
        return self._scan(self._here(), lambda datum: _place(datum.value) in places)

    def _by_value(self, value: AnyValue) -> _Data:
        key = content_key(value)
        found = self._by_key(key) if key else _Data([], [])
        return found if any(found) else self._scan(self._here(), lambda datum: _same(datum.value, value))

    def _here(self) -> dict[str, Any]:
        return self._run or last_run(self._reader)

    def _scan(self, within: dict[str, Any], fits: Callable[[Datum], bool], role: str | None = None) -> _Data:
        within = within | {"kind": {"$ne": ANNOTATION}}
        generated = within | ({f"generated.{role}": {"$exists": True}} if role else {})
        used = within | ({f"used.{role}": {"$exists": True}} if role else {})
        return _Data(
            list(_occurrences(self._reader.find(Query(where=generated)), lambda plain: plain.get("generated"), fits)),
            list(_occurrences(self._reader.find(Query(where=used)), lambda plain: plain.get("used"), fits)),
        )

    def _chosen(self, found: _Data, text: str) -> Found:
        if not any(found):
            where = "that run" if self._run else "the last run"
            raise UserError(
                f"nothing is known of {text!r}: it is no record's id, no value in {where}, and none elsewhere that is "
                "large enough to be known by itself; name its run, or its role as role=value"
            )
        unknown = [(item.record, item.role) for item in found.used if not self._flow.origins(item.record, item.role)]
        if self._direction is Direction.DOWNSTREAM:
            return Found([*self._generations(found.generated), *_unknown_origin(unknown)])
        return self._latest(found) or Found(_unknown_origin(unknown[-1:]))

    def _latest(self, found: _Data) -> Found | None:
        starts = list(self._generations(found.generated))
        if starts:
            return Found(starts[-1:], len(starts) - 1)
        origins = [origin for item in found.used for origin in self._flow.origins(item.record, item.role)]
        known = [Start(generated_entity(origin.record, origin.role), origin.record) for origin in origins]
        return Found(known[-1:]) if known else None

    def _generations(self, occurrences: Iterable[Occurrence]) -> Iterator[Start]:
        for candidate in self._flow.innermost(occurrences):
            for role in candidate.roles:
                yield Start(generated_entity(candidate.record, role), candidate.record)


def _unknown_origin(users: Iterable[tuple[Record, str]]) -> list[Start]:
    entities: dict[str, Entity] = {}
    users_of: dict[str, list[tuple[Record, str]]] = {}
    for record, role in users:
        entity = used_entity(record, role)
        entities.setdefault(entity.id, entity)
        users_of.setdefault(entity.id, []).append((record, role))
    return [Start(entity, users=tuple(users_of[identity])) for identity, entity in entities.items()]


def _occurrences(records: Iterable[Record], values: _Values, fits: Callable[[Datum], bool]) -> Iterator[Occurrence]:
    for record in records:
        for role in {datum.role: None for datum in data(values(record.plain) or {}) if fits(datum)}:
            yield Occurrence(record, role)


def _parsed(text: str) -> AnyValue:
    try:
        return encode(json.loads(text))
    except (ValueError, RecursionError):
        return encode(text)


def _same(value: AnyValue, wanted: AnyValue) -> bool:
    if _is_number(value) and _is_number(wanted):
        return value == wanted
    if isinstance(value, dict) and value.get(TYPE_KEY) == "path":
        return value.get("value") == wanted
    return canonical_bytes(value) == canonical_bytes(wanted)


def _is_number(value: AnyValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _place(value: AnyValue) -> AnyValue:
    return value.get("uri") if isinstance(value, dict) and value.get(TYPE_KEY) == "reference" else None


def _key_of_file(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return f"{CONTENT}:{SHA256_PREFIX}{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except (OSError, ValueError):
        return None
