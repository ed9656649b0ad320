"""`provtel watch` on Kafka: what comes into a topic is shown, and a second watch goes on where the first was killed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from kafka import KafkaProducer

from tests.end_to_end.consumers import SPANS, ids, request_of
from tests.end_to_end.processes import PROVTEL, Place
from tests.services.kafka.server import Kafka
from tests.services.kafka.topics import make_topic


@contextmanager
def watching(place: Place, kafka: Kafka, topic: str, since: str) -> Iterator[IO[bytes]]:
    """Watch a topic for as long as the block lasts, then kill the watch."""
    command = [str(PROVTEL), "watch", "--json", "--since", since, "--store", f"kafka://{kafka.address}/{topic}"]
    process = subprocess.Popen(
        command, cwd=place.folder, env=place.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout
        with process.stdout as output:
            yield output
    finally:
        process.kill()
        process.wait()


def lines(output: IO[bytes], count: int) -> list[dict[str, Any]]:
    """Return so many objects, waiting for them."""
    return [json.loads(output.readline()) for _ in range(count)]


def test_watch_goes_on_where_it_was_killed(kafka: Kafka, tmp_path: Path) -> None:
    """Each task is shown as it comes, and by the cursor of the last line that was seen the rest; none is left out."""
    topic = make_topic(kafka)
    place = Place(tmp_path)
    producer = KafkaProducer(bootstrap_servers=kafka.address)
    producer.send(topic, request_of(0)).get(30)

    with watching(place, kafka, topic, "beginning") as output:
        first = lines(output, SPANS)
        producer.send(topic, request_of(SPANS)).get(30)
        first += lines(output, 5)
    producer.send(topic, request_of(2 * SPANS)).get(30)
    producer.close()
    with watching(place, kafka, topic, first[-1]["cursor"]) as output:
        shown = {one["id"] for one in first}
        while shown != ids(0, SPANS, 2 * SPANS):
            (one,) = lines(output, 1)
            shown.add(one["id"])
            assert one["id"] not in ids(0)
