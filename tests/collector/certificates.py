"""Certificates for tests: an authority, and what it signs, made by OpenSSL's command."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, as files."""

    certificate: str
    key: str


class Authority:
    """Signs certificates.

    Args:
        folder: Where they are written.
        name: What it is called.
    """

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.folder = folder
        self.name = name
        self.file = str(folder / f"{name}.pem")
        self._key = str(folder / f"{name}.key")
        _openssl("req", "-x509", *_new_key(self._key), "-days", "2", "-subj", f"/CN={name}", "-out", self.file)

    def sign(self, name: str, host: str = "localhost") -> Certificate:
        """Return a new certificate of a host."""
        certificate, key, request = (str(self.folder / f"{self.name}-{name}.{end}") for end in ("pem", "key", "csr"))
        _openssl("req", "-new", *_new_key(key), "-subj", f"/CN={name}", "-out", request)
        extension = self.folder / f"{name}.ext"
        extension.write_text(f"subjectAltName=DNS:{host}\n")
        signed_by = ["-CA", self.file, "-CAkey", self._key, "-CAcreateserial", "-days", "2", "-extfile", str(extension)]
        _openssl("x509", "-req", "-in", request, *signed_by, "-out", certificate)
        return Certificate(certificate, key)


def _new_key(file: str) -> list[str]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", file]


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
