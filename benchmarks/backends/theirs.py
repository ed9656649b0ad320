"""Flowcept's way into a database, in its own environment: ``python theirs.py lmdb|mongodb MESSAGES``.

Takes each batch as its consumer has it from the queue, packed by msgpack, and gives it to its own data access object.
Prints one JSON object.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def settings(kind: str) -> dict[str, Any]:
    """Return its settings: one database, no queue."""
    mongodb = {"enabled": kind == "mongodb", "uri": os.environ.get("BENCHMARK_MONGODB", ""), "db": "flowcept"}
    lmdb = {"enabled": kind == "lmdb", "path": "flowcept_lmdb"}
    return {
        "mq": {"enabled": False},
        "kv_db": {"enabled": False},
        "project": {"db_flush_mode": "online", "enrich_messages": False, "dump_buffer": {"enabled": False}},
        "databases": {
            "mongodb": {**mongodb, "create_collection_index": True},
            "lmdb": lmdb,
        },
    }


def main(kind: str, file: str) -> None:
    """Write every batch, ask two questions, and print what it took."""
    Path("settings.yaml").write_text(json.dumps(settings(kind)))  # JSON is YAML
    os.environ["FLOWCEPT_SETTINGS_PATH"] = str(Path("settings.yaml").absolute())
    msgpack = importlib.import_module("msgpack")
    dao = importlib.import_module("flowcept.commons.daos.docdb_dao.docdb_dao_base").DocumentDBDAO.get_instance()
    batches = [msgpack.packb(json.loads(line)) for line in Path(file).read_text().splitlines()]
    begun, before = time.perf_counter(), time.process_time()
    for packed in batches:
        if not dao.insert_and_update_many_tasks(msgpack.unpackb(packed), "task_id"):
            sys.exit("it could not write, as it says above")
    wall, cpu = time.perf_counter() - begun, time.process_time() - before
    ids = [one["task_id"] for packed in batches[-1:] for one in msgpack.unpackb(packed)]
    print(
        json.dumps(
            {
                "cpu": cpu,
                "wall": wall,
                "records": len(dao.task_query({})),
                "bytes": sum(path.stat().st_blocks * 512 for path in Path().glob("flowcept_lmdb/*")),
                "point": _seconds(dao, {"task_id": ids[0]}),
                "filtered": _seconds(dao, {"used.epochs": 7}),
            }
        )
    )


def _seconds(dao: Any, wanted: dict[str, Any]) -> float:
    begun = time.perf_counter()
    dao.task_query(wanted)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main(*sys.argv[1:])
