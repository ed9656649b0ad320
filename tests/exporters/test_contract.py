"""The contracts of `Writer` and `Reader`: what every store must do, whatever is under it."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from provtel_model.components import Occurrence, WriteResult
from provtel_model.dataflow import data_keys
from provtel_model.errors import PermanentError
from provtel_model.filters import Query
from provtel_model.record import Key, PlainRecord, key_of

from tests.exporters.backends import Backend, Place, thinned
from tests.exporters.records import BATCHES, IDS, PLAIN_RECORDS, QUERIES, RUNS, TRACES, content, merged, numbered

ALL = Query(sort=(("started_at", 1), ("id", 1)))


def _held(place: Place) -> list[bytes]:
    return content([record.plain for record in place.reader().find(ALL)])


@given(batches=BATCHES)
@settings(max_examples=60)
@thinned
def test_a_store_holds_the_merge_of_all_copies(backend: Backend, batches: list[list[PlainRecord]]) -> None:
    """Whatever was delivered in whatever batches, each record is there once, as the merge of its copies."""
    with backend.new() as place:
        writer = place.writer()
        for batch in batches:
            result = writer.write(batch)
            assert result.stored + result.duplicates == len(batch)

        assert _held(place) == content(merged([plain for batch in batches for plain in batch]))


@given(batches=BATCHES, seed=st.integers(0, 2**32))
@settings(max_examples=30)
@thinned
def test_order_and_number_of_deliveries_do_not_matter(
    backend: Backend, batches: list[list[PlainRecord]], seed: int
) -> None:
    """Batches that come again, late, and cut in other places give the same store, answers of the indexes included."""
    delivered = [plain for batch in batches for plain in batch]
    again = delivered * 2
    random.Random(seed).shuffle(again)  # noqa: S311  # a test's order
    with backend.new() as place, backend.new() as other:
        place.writer().write(delivered)
        writer = other.writer()
        for batch in _cut(again, 5):
            writer.write(batch)

        assert _held(place) == _held(other)
        assert _answers(place) == _answers(other)


def _cut(plains: list[PlainRecord], size: int) -> Iterator[list[PlainRecord]]:
    for start in range(0, len(plains), size):
        yield plains[start : start + size]


def _answers(place: Place) -> list[object]:
    reader = place.reader()
    return [
        *(content([record.plain for record in reader.children(known)]) for known in IDS),
        *(reader.count(Query({"status": status})) for status in ("running", "lost", "finished")),
        *(reader.count(Query({"run": run})) for run in (*TRACES, *IDS)),
    ]


@given(batch=st.lists(PLAIN_RECORDS, max_size=12))
@settings(max_examples=30)
@thinned
def test_what_came_before_is_a_duplicate(backend: Backend, batch: list[PlainRecord]) -> None:
    """A batch that is written again changes nothing, and says so."""
    with backend.new() as place:
        writer = place.writer()
        writer.write(batch)
        before = _held(place)

        assert writer.write(batch) == backend.written(stored=0, duplicates=len(batch))
        assert _held(place) == before


@given(plains=st.lists(PLAIN_RECORDS, max_size=12), queries=st.lists(QUERIES, min_size=1, max_size=8))
@example([numbered(1)], [Query({"trace_id": TRACES[2], "id": {"$in": [f"{TRACES[2]}-{2:016x}"]}})])
@example([numbered(1), numbered(2)], [Query(sort=[("started_at", 1), ("started_at", -1)])])
@settings(max_examples=150)
@thinned
def test_a_reader_finds_what_a_scan_finds(backend: Backend, plains: list[PlainRecord], queries: list[Query]) -> None:
    """For any records and queries `find` and `count` give what a filter over a list gives, in the order asked for."""
    whole = merged(plains)
    with backend.new() as place:
        place.writer().write(plains)
        reader = place.reader()
        for query in queries:
            matching = [plain for plain in whole if query.matches(plain)]

            assert content([record.plain for record in reader.find(query)]) == content(query.ordered(list(matching)))
            assert reader.count(query) == len(matching)


@given(plains=st.lists(PLAIN_RECORDS, max_size=12))
@settings(max_examples=60)
@thinned
def test_ids_and_parents_lead_to_records(backend: Backend, plains: list[PlainRecord]) -> None:
    """`get` gives the earliest record of an id, `children` those of a parent, oldest first."""
    whole = merged(plains)
    with backend.new() as place:
        place.writer().write(plains)
        reader = place.reader()
        for known in [*IDS, "no id of a record", TRACES[0], "", IDS[0].upper()]:
            found = reader.get(known)
            same = [plain for plain in whole if key_of(plain).id == known]

            assert content([found.plain] if found else []) == content(same[:1])
            assert content([child.plain for child in reader.children(known)]) == content(
                [plain for plain in whole if plain.get("parent_id") == known]
            )


@given(plains=st.lists(PLAIN_RECORDS, max_size=12))
@settings(max_examples=60)
@thinned
def test_data_keys_lead_to_occurrences(backend: Backend, plains: list[PlainRecord]) -> None:
    """`generated` and `used` give every record and role that has a datum, oldest first, and no other."""
    whole = merged(plains)
    with backend.new() as place:
        place.writer().write(plains)
        reader = place.reader()
        for ask, values in (
            (reader.generated, [plain.get("generated", {}) for plain in whole]),
            (reader.used, [plain.get("used", {}) for plain in whole]),
        ):
            known = [(plain, data_keys(plain, held)) for plain, held in zip(whole, values, strict=True)]
            keys = {"content:sha256:" + "00" * 32, "nonsense", *(key for _, keys in known for key, _ in keys)}
            answers = ask(keys)

            assert set(answers) == keys
            for key, found in answers.items():
                expected = [
                    (key_of(plain), role) for plain, held in known for same, role in sorted(held) if same == key
                ]

                assert [(key_of(occurrence.record.plain), occurrence.role) for occurrence in found] == expected


@given(
    plains=st.lists(PLAIN_RECORDS, max_size=20),
    runs=st.sets(st.sampled_from([*RUNS, *TRACES]), max_size=2),
    alike=st.lists(st.sampled_from([0.123456789, "a text of some length"]), min_size=20, max_size=20),
)
@settings(max_examples=60)
@thinned
def test_generators_of_some_runs_are_all_there(
    backend: Backend, plains: list[PlainRecord], runs: set[str], alike: list[float | str]
) -> None:
    """`generated_in` gives all who generated a datum in some runs, and of which it left out others, of other runs."""
    for plain, value in zip(plains, alike, strict=False):
        plain["generated"] = {**plain.get("generated", {}), "loss": value}
    with backend.new() as place:
        place.writer().write(plains)
        reader = place.reader()
        keys = {key for plain in plains for key, _ in data_keys(plain, plain["generated"])}
        answers, left_out = reader.generated_in(runs, keys)
        whole = reader.generated(keys)

        assert set(answers) == keys >= {*left_out}
        for key, found in answers.items():
            missing = [one for one in map(_placed, whole[key]) if one not in [*map(_placed, found)]]

            assert [one for one in map(_placed, whole[key]) if one not in missing] == [*map(_placed, found)]
            assert not missing or key in left_out
            assert not {run for _, _, run in missing} & runs


def test_generators_of_other_runs_are_left_out_where_they_are_many(place: Place) -> None:
    """Of a datum that thirty runs generated, who asks for one of these gets its own."""
    same = {"model": "a text of some length"}
    plains = [numbered(number, workflow_id=f"run {number}", generated=same) for number in range(30)]
    place.writer().write(plains)
    key = next(key for key, _ in data_keys(plains[0], same) if key.startswith("content:"))

    found, left_out = place.reader().generated_in({"run 7"}, [key])

    assert [occurrence.record.run for occurrence in found[key]] == ["run 7"]
    assert [*left_out] == [key]


def _placed(occurrence: Occurrence) -> tuple[Key, str, str]:
    return key_of(occurrence.record.plain), occurrence.role, occurrence.record.run


def test_an_open_reader_sees_later_writes(place: Place) -> None:
    """What a write returned from is in the next answer of a reader that was open all along."""
    writer = place.writer()
    writer.write([])
    reader = place.reader()
    for number in range(5):
        writer.write([numbered(number)])

        assert reader.count(Query()) == number + 1


def test_a_record_moves_through_its_states(place: Place) -> None:
    """A record that ends leaves the lists of what runs, and comes up in those of what ended."""
    writer, reader = place.writer(), None
    running = numbered(1, status="running", last_seen_at=5)
    del running["ended_at"], running["generated"]
    writer.write([running])
    reader = place.reader()

    assert reader.count(Query({"status": "running"})) == 1

    assert writer.write([numbered(1)]) == place.backend.written(stored=1, duplicates=0)
    assert writer.write([running]) == place.backend.written(stored=0, duplicates=1)
    assert reader.count(Query({"status": "running"})) == 0
    key = _key_of_result(1)
    assert [found.role for found in reader.generated([key])[key]] == ["result"]
    assert [record.status for record in reader.find(Query())] == ["finished"]


def _key_of_result(number: int) -> str:
    plain = numbered(number)
    return next(key for key, role in sorted(data_keys(plain, plain["generated"])) if role == "result")


@pytest.mark.parametrize(
    "wrong",
    [
        {"trace_id": "short"},
        {"span_id": "Z" * 16},
        {"started_at": -1},
        {"started_at": 2**64},
        {"used": {"x": ...}},
    ],
    ids=repr,
)
def test_what_no_store_can_keep_is_refused_whole(place: Place, wrong: dict[str, Any]) -> None:
    """A malformed record is a permanent error, and nothing of its batch is stored."""
    writer = place.writer()

    with pytest.raises(PermanentError):
        writer.write([numbered(1), numbered(2, **wrong)])

    assert _held(place) == []


def test_threads_write_and_read_at_once(place: Place) -> None:
    """Eight writers and two readers in one process lose nothing and count everything once."""
    writer = place.writer()
    writer.write([])
    reader = place.reader()
    results: list[WriteResult] = []
    done = threading.Event()
    seen: list[list[int]] = [[], []]

    def write(part: int) -> None:
        first = part * 50
        results.extend(writer.write([numbered(first + i) for i in range(j, j + 10)]) for j in range(0, 100, 10))

    def read(counts: list[int]) -> None:
        while not done.is_set():
            counts.append(reader.count(Query({"kind": "task"})))
            assert len(reader.find(Query(limit=5))) <= 5

    writers = [threading.Thread(target=write, args=(part,)) for part in range(8)]
    readers = [threading.Thread(target=read, args=(counts,)) for counts in seen]
    for thread in (*writers, *readers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()

    sums = (sum(result.stored for result in results), sum(result.duplicates for result in results))
    assert WriteResult(*sums) == place.backend.written(stored=450, duplicates=350)
    assert all(counts == sorted(counts) for counts in seen)
    assert _held(place) == content([numbered(number) for number in range(450)])


def test_closing_twice_is_safe(place: Place) -> None:
    """`close` may be called again, and the store can be opened again afterwards."""
    writer = place.writer()
    writer.write([numbered(1)])
    reader = place.reader()
    for opened in (writer, reader, writer, reader):
        opened.close()

    assert place.reader().count(Query()) == 1
