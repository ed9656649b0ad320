"""The index of an LMDB store: blocks of rows, their columns and keys, and how blocks become one."""

from __future__ import annotations

from itertools import accumulate, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from provtel_exporters.lmdb.index.block import Block, Entry, block_of, differences, merged, parse
from provtel_exporters.lmdb.index.block import entries_of as known
from provtel_exporters.lmdb.index.blocks import together
from provtel_exporters.lmdb.index.columns import UNKNOWN, column_of, joined
from provtel_exporters.lmdb.index.keys import GENERATED, PARENT, USED, data_key, keys_of, packed_keys, reference_key
from provtel_exporters.lmdb.layout import id_key
from provtel_model.anyvalue import AnyValue
from provtel_model.dataflow import data_keys
from provtel_model.record import PlainRecord

from tests.exporters.records import PLAIN_RECORDS, numbered
from tests.model.strategies import ANY_VALUES, TEXT

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(), st.binary()
)


def entries_of(plains: list[PlainRecord], first: int = 0) -> list[Entry]:
    """Return what an index is told of records in rows that follow each other."""
    return [
        Entry(row, plain, (row % 2, row % 3, 1, 0), id_key(plain), packed_keys(plain))
        for row, plain in enumerate(plains, first)
    ]


@given(items=st.lists(VALUES, min_size=1, max_size=20), gaps=st.data())
def test_a_column_holds_what_it_is_given(items: list[object], gaps: st.DataObject) -> None:
    """Values come back in order and in their types, for the rows that have them; long ones as unknown."""
    steps = gaps.draw(st.lists(st.integers(1, 3), min_size=len(items), max_size=len(items)))
    rows = [row - 1 for row in accumulate(steps)]
    column = column_of(rows[-1] + 1, rows, items)

    assert [*column.rows] == rows
    for item, found in zip(items, column.items(), strict=True):
        if found is UNKNOWN:
            assert isinstance(item, str | bytes)
            assert len(item) > 128
        else:
            assert (type(found), found) == (type(item), item)


@given(
    parts=st.lists(
        st.lists(st.sampled_from(["a", "b", "x" * 200, b"a"]), min_size=1, max_size=4)
        | st.lists(st.sampled_from([True, False]) | st.integers(0, 2), min_size=1, max_size=4)
        | st.lists(st.integers(0, 300).map(str), min_size=1, max_size=300),
        min_size=1,
        max_size=4,
    ),
    listed=st.booleans(),
)
@settings(max_examples=60)
def test_columns_are_joined_into_what_one_would_be(parts: list[list[object]], listed: bool) -> None:
    """The columns of several blocks, with few or many values of one type or of several, become that of one block."""
    columns = [(len(items), column_of(len(items), range(len(items)), items, listed=listed)) for items in parts]
    items = [item for part in parts for item in part]
    expected = column_of(len(items), range(len(items)), items, listed=listed)
    known = [UNKNOWN if isinstance(item, str) and len(item) > 128 else item for item in items]

    found = joined(columns, listed=listed)

    assert found.items() == expected.items() == known
    assert [*map(type, found.items())] == [*map(type, known)]
    assert found.code == expected.code


@given(plains=st.lists(PLAIN_RECORDS, min_size=1, max_size=12), data=st.data())
@settings(max_examples=60)
def test_blocks_merge_into_what_one_would_be(plains: list[PlainRecord], data: st.DataObject) -> None:
    """Blocks packed, parsed and merged, without rows that are gone, say what a block of the rest says."""
    entries = entries_of(plains)
    cuts = sorted({0, len(entries), *data.draw(st.lists(st.integers(0, len(entries)), max_size=3))})
    blocks = [parse(block_of(known(entries[begin:end])).pack()) for begin, end in pairwise(cuts)]
    gone = data.draw(st.sets(st.sampled_from(range(len(entries)))))
    dead = [frozenset(row - block.first for row in gone if 0 <= row - block.first < block.count) for block in blocks]

    whole = merged(blocks, dead)

    living = [entry for entry in entries if entry.row not in gone]
    if not living:
        assert whole is None
        return
    assert whole is not None
    assert differences(parse(whole.pack()), block_of(known(living))) == []
    assert (whole.earliest, whole.latest) == _range(whole, living)


def _range(whole: Block, living: list[Entry]) -> tuple[int, int]:
    """Return when the first and the last record started; where rows are gone, a range that holds both may be wider."""
    starts = [entry.plain["started_at"] for entry in living]
    return min(whole.earliest, *starts), max(whole.latest, *starts)


@given(rows=st.sets(st.integers(0, 10), min_size=1), changed=st.sampled_from(["name", "started_at", "used"]))
def test_a_difference_is_told(rows: set[int], changed: str) -> None:
    """Blocks that say something else of a record are told apart, by what it is."""
    entries = entries_of([numbered(row) for row in sorted(rows)])
    other = entries_of([numbered(row) for row in sorted(rows)])
    wrong: dict[str, object] = {"name": "another", "started_at": 1, "used": {"number": 0.5}}
    other[-1].plain[changed] = wrong[changed]  # type: ignore[literal-required]  # a name of a list above
    other[-1] = other[-1]._replace(key=id_key(other[-1].plain))

    assert differences(block_of(known(entries)), block_of(known(other)))
    assert differences(block_of(known(entries)), block_of(known(entries))) == []


@given(st.lists(st.integers(1, 2000), min_size=1, max_size=200))
def test_blocks_stay_few(sizes: list[int]) -> None:
    """However large the batches are, there is a handful of blocks, and each row is copied a handful of times."""
    counts: list[int] = []
    copied = 0
    for size in sizes:
        counts.append(size)
        for begin, end in reversed(together(counts)):
            copied += sum(counts[begin:end])
            counts[begin:end] = [sum(counts[begin:end])]

    assert sum(counts) == sum(sizes)
    assert len(counts) <= 4 * (sum(sizes).bit_length() // 2 + 1) + sum(sizes) // 2**15
    assert copied <= sum(sizes) * (sum(sizes).bit_length() // 2 + 2)


@given(PLAIN_RECORDS, st.dictionaries(TEXT, ANY_VALUES, min_size=1, max_size=3))
@settings(max_examples=60)
def test_keys_are_those_that_readers_look_up(plain: PlainRecord, values: dict[str, AnyValue]) -> None:
    """A record is led to by its id, by the keys of its parent and of every datum, scalar or not, and by no others."""
    plain = {**plain, "used": values, "links": []}
    looked_up = {
        data_key(letter, key)
        for letter, found in ((USED, values), (GENERATED, plain.get("generated", {})))
        for key, _ in data_keys(plain, found)
    }
    if "parent_id" in plain:
        looked_up.add(reference_key(PARENT, plain["parent_id"]))

    assert looked_up < keys_of(plain)
    assert len(keys_of(plain)) == len(looked_up) + 1
