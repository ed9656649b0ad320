"""Data flow that is known when it happens: declared, by identity, and by file."""

from __future__ import annotations

import gc
import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from provtel import file, notices, task
from provtel.same_object import Origins
from provtel_model.record import Record
from provtel_model.values import Reference

Recorded = Callable[[], list[Record]]


class Model:
    """An instance that can be told from every other."""

    def __init__(self, depth: int = 1) -> None:
        """Have a parameter."""
        self.depth = depth


def _links(record: Record) -> list[tuple[str, str, str, str]]:
    names = ("prov.relation", "prov.role", "prov.source.role")
    return [(link.id, *(str(link.attributes[name]) for name in names)) for link in record.links]  # type: ignore[misc]


def test_declared(recorded: Recorded) -> None:
    """An output given as an input is a link to its activity, and has its value."""
    with task("train") as train:
        train.generated(model=Model(3), loss=0.5)
    output = train.output("loss")
    with task("test", used={"score": output, "n": 1}):
        pass
    with task("later") as later:
        later.used(again=pickle.loads(pickle.dumps(output)))  # noqa: S301  # our own
    first, second, third = recorded()

    assert second.used == {"score": 0.5, "n": 1}
    assert _links(second) == [(first.id, "declared", "score", "loss")]
    assert _links(third) == [(first.id, "declared", "again", "loss")]


def test_output_that_was_never_generated(recorded: Recorded) -> None:
    """A role that has no value yet declares the flow all the same."""
    with task("a") as a:
        pass
    with task("b", used={"x": a.output("x")}):
        pass
    first, second = recorded()

    assert (second.used, _links(second)) == ({"x": None}, [(first.id, "declared", "x", "x")])


def test_same_object(recorded: Recorded) -> None:
    """An instance that a task returned is known when another one uses it, at any place in an input."""

    @task(outputs="model")
    def train() -> Model:
        return Model()

    @task
    def test(model: Any, other: Any = None) -> Any:
        return model if other is None else other

    model = train()
    test(model)
    test([1, {"deep": model}], other=model)
    test(Model())
    train_record, one, many, none = recorded()

    assert _links(one) == [(train_record.id, "same_object", "model", "model")]
    assert _links(many) == [(one.id, "same_object", "model", "result"), (one.id, "same_object", "other", "result")]
    assert _links(none) == []


def test_method_of_what_a_task_returned(recorded: Recorded) -> None:
    """The instance that a method is called on is an input too."""

    class Trained:
        @task
        def score(self) -> int:
            return 1

    @task
    def train() -> Trained:
        return Trained()

    train().score()
    train_record, score = recorded()

    assert _links(score) == [(train_record.id, "same_object", "self", "result")]


@pytest.mark.parametrize("value", [None, True, 1, 1.5, "text", (1,), [1], {"a": 1}, Model, len, pytest], ids=repr)
def test_what_passes_through_every_hand_links_nothing(recorded: Recorded, value: object) -> None:
    """Values without an identity of their own, and things that live for ever, tell nothing."""

    @task(outputs="x")
    def give() -> Any:
        return value

    @task
    def take(x: Any) -> None: ...

    take(give())

    assert [record.links for record in recorded()] == [(), ()]


def test_nothing_is_kept_alive() -> None:
    """An instance can die, and another one at its address is not taken for it."""
    origins = Origins()
    for _ in range(100):
        model = Model()
        assert origins.get(model) is None
        origins.put(model, {"trace_id": "", "span_id": ""}, "role")
        assert origins.get(model) is not None
        del model
    gc.collect()

    assert not origins


def test_files(recorded: Recorded, tmp_path: Path) -> None:
    """A file is known by its address and the SHA-256 of its content, as `sha256sum` prints it."""
    path = tmp_path / "data 1.csv"
    path.write_bytes(b"a,b\n1,2\n")
    with task("read", used={"data": file(path)}) as t:
        t.generated(text=file(str(path)))
    (record,) = recorded()

    expected = Reference(
        "file", hash="sha256:" + hashlib.sha256(b"a,b\n1,2\n").hexdigest(), nbytes=8, uri=path.as_uri()
    )
    assert record.used["data"] == record.generated["text"] == expected


def test_file_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there is known by its address, and never an error."""
    notices._counts.clear()

    assert file(tmp_path / "missing") == Reference("file", uri=(tmp_path / "missing").as_uri())
    assert "recorded without its content: No such file" in capsys.readouterr().err
