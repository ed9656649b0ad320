"""RO-Crates: valid by the validator of others, whole or not at all, and with the files that were really there."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from provtel_model.errors import UserError
from provtel_model.record import Record
from provtel_model.values import Reference
from provtel_query.rocrate import write_crate

from tests.query.activities import activity, quickstart
from tests.query.test_openlineage import failed_and_open
from tests.services.rocrate.validator import PROVENANCE, issues

if TYPE_CHECKING:
    from pathlib import Path

    from provtel_model.record import PlainRecord

    from tests.services.found import Found


def _records(*plains: PlainRecord) -> list[Record]:
    return [Record(plain) for plain in plains]


def _entities(crate: Path) -> dict[str, dict[str, Any]]:
    graph = json.loads((crate / "ro-crate-metadata.json").read_text())["@graph"]
    return {entity["@id"]: entity for entity in graph}


def _file(path: Path, content: str) -> Reference:
    path.write_text(content)
    return Reference("file", hash=f"sha256:{hashlib.sha256(content.encode()).hexdigest()}", uri=path.as_uri())


def test_crates_are_valid(tmp_path: Path, roc_validator: Found, reference_data: Path) -> None:
    """A run with tasks that finished, failed, are open and were lost is valid by all profiles; a damaged one is not."""
    program = tmp_path / "main.py"
    program.write_text("print(8)\n")
    plains = [*quickstart(), *failed_and_open()]
    plains[0] = {**plains[0], "plan": {"file": str(program), "function": "main"}}
    plains.append(activity(20, "copy", used={"a": _file(tmp_path / "in.txt", "x")}, parent=1))
    crate, damaged = tmp_path / "crate", tmp_path / "damaged"
    write_crate(_records(*plains), crate, copy=True)
    shutil.copytree(crate, damaged)
    metadata = damaged / "ro-crate-metadata.json"
    metadata.write_text(metadata.read_text().replace('"instrument"', '"unknown"'))

    of_crate, of_damaged = issues(roc_validator, PROVENANCE, reference_data / "rocrate", crate, damaged)

    assert of_crate == []
    assert of_damaged != []


def test_what_ran_is_there(tmp_path: Path) -> None:
    """Every task is an action of its code, with its values, times, end and cost."""
    task = activity(
        2, "train", used={"rate": 0.1}, generated={"loss": 0.2}, telemetry={"cpu.user": 1.5}, plan={"function": "f"}
    )
    write_crate(_records(task, *failed_and_open()), tmp_path / "crate")
    entities = _entities(tmp_path / "crate")
    (action,) = (each for each in entities.values() if each.get("name") == "step 1: train")

    assert entities[action["instrument"]["@id"]]["name"] == "f"
    assert [entities[each["@id"]]["value"] for each in action["object"]] == ["0.1"]
    assert [entities[each["@id"]]["value"] for each in action["result"]] == ["0.2"]
    assert [entities[each["@id"]]["value"] for each in action["resourceUsage"]] == ["1.5"]
    assert action["actionStatus"]["@id"].endswith("CompletedActionStatus")
    (failed,) = (each for each in entities.values() if each.get("error") == "ValueError: bad")
    assert failed["actionStatus"]["@id"].endswith("FailedActionStatus")


def test_files_that_changed_are_left_out(tmp_path: Path) -> None:
    """A file is copied where it still is what it was; of one place that held two contents each is an entity."""
    same, changed = _file(tmp_path / "same.txt", "1"), _file(tmp_path / "changed.txt", "1")
    later = _file(tmp_path / "changed.txt", "2")
    gone = Reference("file", hash="sha256:" + "0" * 64, uri=(tmp_path / "gone.txt").as_uri())
    run = activity(1, "t", used={"same": same, "changed": changed, "gone": gone}, generated={"changed": later})
    crate = write_crate(_records(run), tmp_path / "crate", copy=True)

    assert (crate.files, set(crate.changed)) == (2, {changed.uri, gone.uri})
    copied = {path.name.partition("-")[2]: path.read_text() for path in (tmp_path / "crate" / "data").iterdir()}
    assert copied == {"same.txt": "1", "changed.txt": "2"}
    assert len([each for each in _entities(tmp_path / "crate").values() if each.get("name") == "changed"]) == 4


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A folder that exists is refused, and one that cannot be written leaves nothing behind."""
    (tmp_path / "crate").mkdir()
    with pytest.raises(UserError, match="exists already"):
        write_crate(_records(*quickstart()), tmp_path / "crate")

    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_crate(_records(*quickstart()), tmp_path / "file" / "crate")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["crate", "file"]
