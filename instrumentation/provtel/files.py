"""`file` and `reference`: data as a value, known by its place and its content."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from provtel_model.hashing import SHA256_PREFIX
from provtel_model.values import Reference

from provtel import notices

if TYPE_CHECKING:
    import os


def reference(
    uri: str,
    *,
    type: str = "data",  # noqa: A002  # what it is called everywhere else
    hash: str | None = None,  # noqa: A002  # as above
    nbytes: int | None = None,
) -> Reference:
    """Return a reference to data that lies elsewhere: an object in a bucket, a table, a version of a model.

    Nothing is read; a password in the address is left out.

    Args:
        uri: Its address.
        type: What it is, in a word of yours.
        hash: ``sha256:`` and the SHA-256 of its content in hexadecimal, where you know it.
        nbytes: Its size in bytes.
    """
    from provtel.redaction import without_passwords

    return Reference(type, hash=hash, nbytes=nbytes, uri=without_passwords(uri))


def file(path: str | os.PathLike[str]) -> Reference:
    """Return a reference to a file as it is now: its address, its size and the SHA-256 of its content.

    Two tasks that used and generated the same path with the same content are linked by it. A file that cannot be read
    is known by its address only.

    Args:
        path: Where it is.
    """
    place = Path(path).absolute()
    try:
        with place.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256")
            nbytes = content.tell()
    except OSError as error:
        notices.say(f"file {place}", f"{place} is recorded without its content: {error.strerror}")
        return Reference("file", uri=place.as_uri())
    return Reference("file", hash=SHA256_PREFIX + digest.hexdigest(), nbytes=nbytes, uri=place.as_uri())
