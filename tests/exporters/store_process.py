"""What the fault tests run as processes: ``python -m tests.exporters.store_process VERB BACKEND PLACE ...``."""

from __future__ import annotations

import os
import sys
import time

from provtel_model.components import Reader, Writer
from provtel_model.errors import RetryableError
from provtel_model.filters import Query

from tests.exporters.backends import IN_PROCESSES
from tests.exporters.records import content, numbered

_NOBODY = 65534


def write(writer: Writer, first: int, last: int, size: int, pause: int = 0) -> None:
    """Write numbered records in batches, with a pause in milliseconds; print how far everything is acknowledged."""
    for start in range(first, last, size):
        end = min(start + size, last)
        writer.write([numbered(number) for number in range(start, end)])
        print(end, flush=True)
        time.sleep(pause / 1000)


def read(reader: Reader, seconds: float) -> None:
    """Read for a while, check each answer, and print how many answers there were and how many records at last."""
    end, answers, count = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end or not answers:
        found = reader.find(Query(limit=50))
        numbers = [int(record.span_id, 16) - 1 for record in found]
        assert content([record.plain for record in found]) == content([numbered(number) for number in numbers])
        before, count = count, reader.count(Query())
        assert before <= count
        answers += 1
    print(answers, count, flush=True)


def fill(writer: Writer) -> None:
    """Write until files may not grow, then lift the limit and write on; print both numbers of records."""
    import resource  # not everywhere

    numbers = iter(range(10**6))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**21, resource.RLIM_INFINITY))
    stored = 0
    try:
        while True:
            stored += writer.write([numbered(next(numbers)) for _ in range(100)]).stored
    except RetryableError as error:
        print(stored, error, flush=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    for _ in range(10):
        stored += writer.write([numbered(next(numbers)) for _ in range(100)]).stored
    print(stored, flush=True)


def fork(writer: Writer, reader: Reader) -> None:
    """Fork while threads write, write and read in the child too, and print what the child saw."""
    import threading

    done = threading.Event()

    def go_on() -> None:
        number = 1000
        while not done.is_set():
            writer.write([numbered(number)])
            number += 1

    threads = [threading.Thread(target=go_on) for _ in range(2)]
    for thread in threads:
        thread.start()
    statuses = []
    for round_ in range(10):
        child = os.fork()
        if not child:
            writer.write([numbered(round_)])
            os._exit(0 if reader.get(numbered_id(round_)) else 1)
        statuses.append(os.waitpid(child, 0)[1])
    done.set()
    for thread in threads:
        thread.join()
    print(statuses, reader.count(Query({"used.number": {"$lt": 10}})), flush=True)


def numbered_id(number: int) -> str:
    """Return the id of a numbered record."""
    plain = numbered(number)
    return f"{plain['trace_id']}-{plain['span_id']}"


def drop_privileges() -> None:
    """Become a user who owns nothing, where this process may."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)


def main(verb: str, name: str, location: str, *arguments: str) -> None:
    """Do what the arguments say."""
    backend = IN_PROCESSES[name]
    match verb:
        case "write":
            write(backend.writer(location), *map(int, arguments))
        case "read":
            read(backend.reader(location), float(arguments[0]))
        case "read-as-other":
            drop_privileges()
            read(backend.reader(location), float(arguments[0]))
        case "fill":
            fill(backend.writer(location))
        case "fork":
            fork(backend.writer(location), backend.reader(location))


if __name__ == "__main__":
    main(*sys.argv[1:])
