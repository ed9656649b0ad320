"""Which folders are another machine's, as the system tells it and as a person says it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provtel_model import file_systems
from provtel_model.errors import StoreError
from provtel_model.file_systems import VARIABLE, on_network_file_system, require_local


@pytest.fixture(autouse=True)
def _untold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def test_the_nearest_folder_that_is_told_of_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the variable says of a folder holds for all below it, but for those that it says something else of."""
    far, near = tmp_path / "far", tmp_path / "far" / "near"
    near.mkdir(parents=True)
    (tmp_path / "link").symlink_to(far)
    monkeypatch.setenv(VARIABLE, f"{tmp_path / 'link'}=network:{near}=local")

    assert on_network_file_system(far / "not" / "there" / "yet")
    assert on_network_file_system(tmp_path / "link")
    assert not on_network_file_system(tmp_path / "link" / "near" / "store")
    assert not on_network_file_system(tmp_path)


def test_the_kind_of_what_is_mounted_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is said the mount table tells, for folders that are not there yet too."""
    assert file_systems._kind_of_mount(Path("/proc/not there")) == "proc"

    for kind, expected in (("lustre", True), ("nfs4", True), ("fuse.sshfs", True), ("ext4", False), ("", False)):
        monkeypatch.setattr(file_systems, "_kind_of_mount", lambda _place, kind=kind: kind)

        assert on_network_file_system(tmp_path / "not" / "there" / "yet") is expected


@pytest.mark.parametrize("said", ["/x", "/x=far", "x=network", "=network", "/x=network:/y"])
def test_what_is_not_understood_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    """A value that makes no sense is an error that names the variable and how to write it."""
    monkeypatch.setenv(VARIABLE, said)

    with pytest.raises(StoreError, match=rf"{VARIABLE} holds '.*'; write FOLDER=network or FOLDER=local"):
        on_network_file_system(tmp_path)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30))
def test_any_value_is_taken_or_told(said: str) -> None:
    """Whatever the variable holds, the answer is one of the two or the error of a person's mistake."""
    with pytest.MonkeyPatch.context() as patched, contextlib.suppress(StoreError):
        patched.setenv(VARIABLE, said)

        assert on_network_file_system(Path("/")) in {True, False}


def test_a_refusal_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where files must not be mapped, the error names the folder and both ways out."""
    monkeypatch.setenv(VARIABLE, f"{tmp_path}=network")

    with pytest.raises(StoreError, match="name a folder on a disk of this machine") as told:
        require_local(tmp_path / "x", "it")

    assert f"{VARIABLE}={tmp_path}/x=local" in str(told.value)
    require_local(Path("/"), "it")
