"""Whatever happens to collectors that write and read files, every span that was acknowledged is there."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from provtel_exporters.lmdb import open_reader
from provtel_model.components import Signal
from provtel_model.errors import MalformedError
from provtel_model.filters import Query
from provtel_model.otlp import check, decode
from provtel_model.otlp.json_codec import from_json

from tests.collector.load import Load
from tests.collector.test_killed_collector import Hop, kill_at_random, wait_for

KILLS = 5


def service(*processors: str, **pipelines: list[str]) -> dict[str, Any]:
    """Return a service of one pipeline."""
    return {
        "telemetry": {"metrics": {"level": "none"}},
        "pipelines": {"traces": {**pipelines, "processors": list(processors)}},
    }


def ids(folder: Path) -> set[str]:
    """Return the ids of all spans in files of lines; a line that was cut by a kill was not acknowledged."""
    found: set[str] = set()
    for file in folder.glob("*.jsonl"):
        for line in file.read_bytes().splitlines():
            try:
                batch = check(Signal.TRACES, from_json(Signal.TRACES, line))
            except MalformedError:
                assert not line.endswith(b"}]}]}]}")
            else:
                found.update(record["span_id"] for record in decode(batch))
    return found


def test_file_of_a_killed_collector(tmp_path: Path) -> None:
    """Killed at any moment, a collector that joins requests and writes a file has written what it acknowledged."""
    hop = Hop(
        tmp_path / "hop",
        {
            "processors": {"batch": {"timeout": "5ms", "send_batch_size": 50}},
            "exporters": {"file": {"path": "spans.jsonl", "append": True}},
            "service": service("batch", receivers=["otlp"], exporters=["file"]),
        },
    )
    hop.start()
    load = Load(hop.port)
    load.begin(6)
    kill_at_random([hop], KILLS, seed=1)
    load.end()
    hop.stop()

    assert len(load.acknowledged) > 100
    assert load.acknowledged <= ids(tmp_path / "hop")


def test_files_between_killed_collectors(tmp_path: Path) -> None:
    """One collector writes and rotates files, another reads them into a store; both are killed, and nothing is lost."""
    files = tmp_path / "files"
    writer = Hop(
        tmp_path / "writer",
        {
            "exporters": {
                "file": {"path": str(files / "spans.jsonl"), "rotation": {"max_megabytes": 1}, "create_directory": True}
            },
            "service": service(receivers=["otlp"], exporters=["file"]),
        },
    )
    reader = Hop(
        tmp_path / "reader",
        {
            "receivers": {
                "otlp_json_file": {
                    "include": [str(files / "*.jsonl")],
                    "start_at": "beginning",
                    "poll_interval": "20ms",
                    "storage": "file_storage",
                }
            },
            "exporters": {"lmdb": {"store": str(tmp_path / "store")}},
            "extensions": {"file_storage": {"directory": str(tmp_path / "offsets"), "create_directory": True}},
            "service": {
                **service(receivers=["otlp_json_file"], exporters=["lmdb"]),
                "extensions": ["file_storage"],
            },
        },
    )
    hops = [writer, reader]
    for hop in hops:
        hop.start()
    load = Load(writer.port, spans=100, pause=0.1)
    load.begin(4)
    kill_at_random(hops, KILLS, seed=2)
    load.end()
    writer.stop()
    store = tmp_path / "store"
    wait_for(lambda: count(store) >= len(load.acknowledged))
    reader.stop()

    assert len(load.acknowledged) > 1000
    assert load.acknowledged <= stored(store)


def count(store: Path) -> int:
    """Return how many spans a store has."""
    with closing(open_reader(str(store))) as reader:
        return reader.count(Query())


def stored(store: Path) -> set[str]:
    """Return the ids of all spans in a store."""
    with closing(open_reader(str(store))) as reader:
        return {record.span_id for record in reader.find(Query(limit=None))}
