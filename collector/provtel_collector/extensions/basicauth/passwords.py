"""The hashes that ``htpasswd`` writes, and how a password is compared with one."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Final

Verify = Callable[[bytes], bool]

_APR1: Final = "$apr1$"
_BCRYPT: Final = ("$2a$", "$2b$", "$2y$")
_SHA: Final = "{SHA}"
_SSHA: Final = "{SSHA}"
_SHA_SIZE: Final = 20
_APR1_ROUNDS: Final = 1000
_APR1_ALPHABET: Final = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_APR1_GROUPS: Final = ((0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5))


def reader_of(hashed: str) -> Verify:
    """Return what compares a password with a hash.

    Raises:
        ValueError: Nobody here knows this kind of hash.
    """
    if hashed.startswith(_BCRYPT):
        return _bcrypt(hashed)
    if hashed.startswith(_APR1):
        salt = hashed.removeprefix(_APR1).partition("$")[0]
        return lambda password: hmac.compare_digest(_apr1(password, salt.encode()), hashed.encode())
    if hashed.startswith((_SHA, _SSHA)):
        return _sha(hashed)
    if hashed.startswith(("$", "{")):
        raise ValueError("this kind of hash is not known; write one with htpasswd -B")
    return lambda password: hmac.compare_digest(password, hashed.encode())


def _bcrypt(hashed: str) -> Verify:
    import bcrypt

    expected = hashed.encode()
    # What is beyond 72 bytes was never a part of the hash.
    return lambda password: bcrypt.checkpw(password[:72], expected)


def _sha(hashed: str) -> Verify:
    content = base64.b64decode(hashed.partition("}")[2])
    digest, salt = content[:_SHA_SIZE], content[_SHA_SIZE:]
    return lambda password: hmac.compare_digest(hashlib.sha1(password + salt).digest(), digest)  # noqa: S324  # theirs


def _apr1(password: bytes, salt: bytes) -> bytes:
    """Return Apache's own variant of MD5-crypt, which is what ``htpasswd`` writes by default."""
    inner = hashlib.md5(password + salt + password).digest()  # noqa: S324  # the format's
    start = hashlib.md5(password + _APR1.encode() + salt)  # noqa: S324
    for left in range(len(password), 0, -16):
        start.update(inner[: min(left, 16)])
    bits = len(password)
    while bits:
        start.update(b"\0" if bits & 1 else password[:1])
        bits >>= 1
    digest = start.digest()
    for number in range(_APR1_ROUNDS):
        digest = hashlib.md5(_apr1_round(number, digest, password, salt)).digest()  # noqa: S324
    return f"{_APR1}{salt.decode()}${_apr1_text(digest)}".encode()


def _apr1_round(number: int, digest: bytes, password: bytes, salt: bytes) -> bytes:
    content = password if number & 1 else digest
    content += salt if number % 3 else b""
    content += password if number % 7 else b""
    return content + (digest if number & 1 else password)


def _apr1_text(digest: bytes) -> str:
    text = ""
    for first, second, third in _APR1_GROUPS:
        text += _apr1_digits(digest[first] << 16 | digest[second] << 8 | digest[third], 4)
    return text + _apr1_digits(digest[11], 2)


def _apr1_digits(value: int, count: int) -> str:
    return "".join(_APR1_ALPHABET[value >> 6 * place & 63] for place in range(count))
