"""The rules of lineage by brute force: every use beside every activity, with no index and nothing of `query`.

What is equal is not computed but read in `TELLING`: values are taken from there alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from provtel_model.attributes import PROV_RELATION, PROV_ROLE, PROV_SOURCE_ROLE
from provtel_model.values import encode

from tests.query.activities import FLOAT, LARGE, file, id_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from provtel_model.record import PlainRecord

FILES: Final = (file("file:///a"), file("file:///b"))
SCALARS: Final = (1, True, FLOAT, LARGE)
CONTAINERS: Final = ([FLOAT, LARGE], {"a": LARGE})
_TELLING: Final = {repr(encode(value)) for value in (FLOAT, LARGE, *CONTAINERS, *FILES)}


class Edge(NamedTuple):
    """A use of what an activity generated, how it is known, and how many may have generated it."""

    source: str
    source_role: str
    user: str
    role: str
    evidence: str
    candidates: int


def edges(plains: Sequence[PlainRecord]) -> set[Edge]:
    """Return every edge between some activities, each of another number."""
    return {edge for user in plains for role in user.get("used", {}) for edge in _of_use(plains, user, role)}


def innermost(plains: Sequence[PlainRecord]) -> list[PlainRecord]:
    """Return the activities inside which none ran."""
    outer = {identity for plain in plains for identity in _around(plains, plain)}
    return [plain for plain in plains if _id(plain) not in outer]


def reached(found: Iterable[Edge], start: str, *, down: bool) -> set[str]:
    """Return the ids of the activities to which edges lead from one, itself included."""
    steps = {(edge.source, edge.user) if down else (edge.user, edge.source) for edge in found}
    known = {start}
    while more := {target for origin, target in steps if origin in known} - known:
        known |= more
    return known


def _of_use(plains: Sequence[PlainRecord], user: PlainRecord, role: str) -> Iterator[Edge]:
    value: Any = user["used"][role]
    name = _id(user)
    declared = [
        (id_of(int(link["span_id"], 16)), says[PROV_SOURCE_ROLE])
        for link in user.get("links", ())
        if (says := link["attributes"])[PROV_ROLE] == role and says[PROV_RELATION] == "declared"
    ]
    if declared:
        known = {_id(plain) for plain in plains}
        yield from (Edge(source, str(of), name, role, "declared", 1) for source, of in declared if source in known)
        return
    for evidence in ("same_file", "same_content", "same_name_and_value"):
        found = _latest(plains, user, role, value, evidence)
        if found:
            yield Edge(*found[:2], name, role, evidence, found[2])
            return
    of_members: dict[tuple[str, str], int] = {}
    for member in _members(value):
        found = _latest(plains, user, role, member, "same_content")
        if found:
            of_members.setdefault(found[:2], found[2])
    for source, count in of_members.items():
        yield Edge(*source, name, role, "same_content", count)


def _latest(
    plains: Sequence[PlainRecord], user: PlainRecord, role: str, value: Any, evidence: str
) -> tuple[str, str, int] | None:
    made = {
        _id(plain): roles
        for plain in plains
        if (roles := [each for each in plain.get("generated", {}) if _links(plain, each, user, role, value, evidence)])
    }
    around = {_id(plain): [*_around(plains, plain)] for plain in plains}
    outer = {identity for inner in made for identity in around[inner]}
    still_open = {_id(plain) for plain in plains if "ended_at" not in plain} & {*around[_id(user)]}
    able = [
        plain
        for plain in plains
        if _id(plain) in {*made} - outer - still_open - {_id(user)} and _there(plain) <= user["started_at"]
    ]
    here = [plain for plain in able if plain["workflow_id"] == user["workflow_id"]]
    best = max(here or able, key=lambda plain: (_there(plain), _id(plain)), default=None)
    if best is None:
        return None
    roles = made[_id(best)]
    return _id(best), role if role in roles else min(roles), len(here or able)


def _links(plain: PlainRecord, made_in: str, user: PlainRecord, role: str, value: Any, evidence: str) -> bool:
    made = plain["generated"][made_in]
    if evidence == "same_name_and_value":
        return plain["workflow_id"] == user["workflow_id"] and made_in == role and _content(made) == _content(value)
    if repr(value) not in _TELLING or (evidence == "same_file" and not _is_file(value)):
        return False
    if evidence == "same_file":
        return repr(made) == repr(value)
    members = _members(made)
    return _content(value) in [*map(_content, (made, *members))]


def _members(value: Any) -> list[Any]:
    return [*value] if isinstance(value, list) else [*value.values()] if _is_map(value) else []


def _content(value: Any) -> str:
    return str(value["hash"]) if _is_file(value) and isinstance(value, dict) else repr(value)


def _is_file(value: Any) -> bool:
    return isinstance(value, dict) and "hash" in value


def _is_map(value: Any) -> bool:
    return isinstance(value, dict) and not _is_file(value)


def _there(plain: PlainRecord) -> int:
    return plain.get("ended_at", plain["started_at"])


def _around(plains: Sequence[PlainRecord], plain: PlainRecord) -> Iterator[str]:
    """Yield the ids around an activity, as far as its parents are there; a circle ends where it closes."""
    by_id = {_id(each): each for each in plains}
    seen, at = {_id(plain)}, plain
    while (parent := at.get("parent_id")) and parent not in seen:
        yield parent
        if parent not in by_id:
            return
        seen.add(parent)
        at = by_id[parent]


def _id(plain: PlainRecord) -> str:
    return id_of(int(plain["span_id"], 16))
