"""Which version of the code ran: what our reading of a git repository says is what git itself says."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from provtel import uncommitted
from provtel.repository import Repository, _around, without_user
from provtel.uncommitted import is_modified
from provtel_model import attributes as names

from tests.instrumentation.programs import Stage

IDENTITY = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return what it printed."""
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "protocol.file.allow=always")
    return subprocess.run(
        ["git", *who, *arguments],
        cwd=folder,
        env={**os.environ, **IDENTITY},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a look take as long as it takes on a busy machine."""
    monkeypatch.setattr(uncommitted, "LONGEST_LOOK", 60.0)


@pytest.fixture
def work_tree(tmp_path: Path) -> Path:
    """Give a repository with three commits of some files."""
    folder = tmp_path / "repository"
    (folder / "src" / "inner").mkdir(parents=True)
    git(folder, "init", "--initial-branch=main")
    for number in range(3):
        (folder / "a.txt").write_text(f"a{number}\n")
        (folder / "src" / "b.py").write_text("b\n" * 100)
        (folder / "src" / "inner" / "ü c.txt").write_text("c" * (number + 1))
        git(folder, "add", ".")
        git(folder, "commit", "-m", str(number))
    return folder


def _repository(folder: Path) -> Repository:
    found = _around(folder)
    assert found is not None
    return found


def _says_the_same_as_git(folder: Path) -> bool | None:
    """Compare commit, branch and whether files differ with git; return the last."""
    repository = _repository(folder / "src")
    branch, revision = repository.head()
    status = git(folder, "status", "--porcelain", "--untracked-files=no")
    assert revision == git(folder, "rev-parse", "HEAD")
    assert (branch or "") == git(folder, "branch", "--show-current")
    modified = is_modified(repository, revision)
    assert modified is None or modified == bool(status)
    return modified


def _nothing(_folder: Path) -> None:
    pass


def _touch(folder: Path) -> None:
    os.utime(folder / "a.txt", (1, 1))


def _edit(folder: Path) -> None:
    (folder / "src" / "b.py").write_text("x\n" * 100)
    os.utime(folder / "src" / "b.py", (1, 1))


def _grow(folder: Path) -> None:
    (folder / "src" / "inner" / "ü c.txt").write_text("longer")


def _delete(folder: Path) -> None:
    (folder / "a.txt").unlink()


def _stage(folder: Path) -> None:
    (folder / "a.txt").write_text("other\n")
    git(folder, "add", ".")


def _add(folder: Path) -> None:
    (folder / "new.txt").write_text("new")
    git(folder, "add", "new.txt")


def _intend_to_add(folder: Path) -> None:
    (folder / "new.txt").write_text("new")
    git(folder, "add", "--intent-to-add", "new.txt")


def _untracked(folder: Path) -> None:
    (folder / "new.txt").write_text("new")


def _link_instead(folder: Path) -> None:
    (folder / "a.txt").unlink()
    (folder / "a.txt").symlink_to("src/b.py")


def _step_back(folder: Path) -> None:
    git(folder, "reset", "--soft", "HEAD~1")


def _go_back(folder: Path) -> None:
    git(folder, "reset", "--hard", "HEAD~1")


def _detach(folder: Path) -> None:
    git(folder, "checkout", "--detach", "HEAD~1")


def _branch(folder: Path) -> None:
    git(folder, "checkout", "-b", "feature/one")


def _pack(folder: Path) -> None:
    git(folder, "gc")


def _pack_and_edit(folder: Path) -> None:
    git(folder, "gc")
    _edit(folder)


def _compress_index(folder: Path) -> None:
    git(folder, "update-index", "--index-version", "4")


def _compress_index_and_grow(folder: Path) -> None:
    _compress_index(folder)
    _grow(folder)


def _assume_unchanged(folder: Path) -> None:
    git(folder, "update-index", "--assume-unchanged", "a.txt")
    _delete(folder)


def _skip(folder: Path) -> None:
    git(folder, "update-index", "--skip-worktree", "a.txt")
    _delete(folder)


def _stage_and_take_back(folder: Path) -> None:
    _stage(folder)
    (folder / "a.txt").write_text("a2\n")
    git(folder, "add", ".")


def _split_index(folder: Path) -> None:
    git(folder, "update-index", "--split-index")


def _commit_link(folder: Path) -> None:
    (folder / "link").symlink_to("a.txt")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "link")


def _change_link(folder: Path) -> None:
    _commit_link(folder)
    (folder / "link").unlink()
    (folder / "link").symlink_to("b.txt")


@pytest.mark.parametrize(
    ("change", "modified"),
    [
        (_nothing, False),
        (_touch, False),
        (_edit, True),
        (_grow, True),
        (_delete, True),
        (_stage, True),
        (_add, True),
        (_intend_to_add, True),
        (_untracked, False),
        (_link_instead, True),
        (_step_back, True),
        (_go_back, False),
        (_detach, False),
        (_branch, False),
        (_pack, False),
        (_pack_and_edit, True),
        (_compress_index, False),
        (_compress_index_and_grow, True),
        (_assume_unchanged, False),
        (_skip, False),
        (_stage_and_take_back, False),
        (_split_index, None),
        (_commit_link, False),
        (_change_link, True),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_state_of_a_work_tree(work_tree: Path, change: Callable[[Path], None], modified: bool | None) -> None:
    """Commit, branch and whether tracked files differ are what git says."""
    change(work_tree)

    assert _says_the_same_as_git(work_tree) is modified


def test_linked_work_trees_and_submodules(work_tree: Path, tmp_path: Path) -> None:
    """Where .git is a file, what it points to counts: another branch of the same repository, or another repository."""
    git(work_tree, "worktree", "add", "-b", "beside", str(tmp_path / "beside"))
    git(work_tree, "pack-refs", "--all")
    git(work_tree, "commit", "--allow-empty", "-m", "after")
    assert _says_the_same_as_git(tmp_path / "beside") is False
    assert _repository(tmp_path / "beside").head()[0] == "beside"

    git(work_tree, "submodule", "add", str(work_tree), "inner")
    assert _says_the_same_as_git(work_tree / "inner") is False
    _edit(work_tree / "inner")
    assert _says_the_same_as_git(work_tree / "inner") is True


def test_sha256_repositories(tmp_path: Path) -> None:
    """Objects may be named by SHA-256."""
    (tmp_path / "src").mkdir()
    git(tmp_path, "init", "--object-format=sha256", "--initial-branch=main")
    (tmp_path / "a.txt").write_text("a")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "a")

    assert _says_the_same_as_git(tmp_path) is False
    os.utime(tmp_path / "a.txt", (1, 1))
    assert _says_the_same_as_git(tmp_path) is False
    git(tmp_path, "gc")
    assert _says_the_same_as_git(tmp_path) is False


def test_filtered_content_is_not_judged(work_tree: Path) -> None:
    """Where git may keep files in another form than they lie there, a time alone does not make them differ."""
    (work_tree / ".gitattributes").write_text("*.txt text=auto\n")
    (work_tree / "a.txt").write_bytes(b"a\r\n")
    git(work_tree, "add", ".")
    git(work_tree, "commit", "-m", "filtered")
    assert _says_the_same_as_git(work_tree) is False
    _touch(work_tree)

    repository = _repository(work_tree)
    assert is_modified(repository, str(repository.head()[1])) is None


def test_unborn_and_broken_repositories(tmp_path: Path) -> None:
    """What says nothing, or nonsense, is passed over in silence."""
    git(tmp_path, "init", "--initial-branch=main")
    repository = _repository(tmp_path)
    assert repository.head() == ("main", None)
    assert is_modified(repository, "0" * 40) is None
    for content in (b"", b"ref: ../../etc/passwd", b"\xff\xfe", b"ref: refs/heads/main", b"x" * 10_000):
        (tmp_path / ".git" / "HEAD").write_bytes(content)
        (tmp_path / ".git" / "index").write_bytes(b"DIRC" + content)
        assert repository.head()[1] is None
        assert is_modified(repository, "0" * 40) is None
    (tmp_path / ".git" / "HEAD").unlink()
    os.mkfifo(tmp_path / ".git" / "HEAD")
    assert repository.head() == (None, None)
    (tmp_path / ".git" / "index").unlink()
    os.mkfifo(tmp_path / ".git" / "index")
    assert is_modified(repository, "0" * 40) is None


def test_truncated_indexes(work_tree: Path) -> None:
    """An index that breaks off anywhere says nothing, or what the whole one says."""
    repository = _repository(work_tree)
    revision = str(repository.head()[1])
    whole = (work_tree / ".git" / "index").read_bytes()
    for length in range(0, len(whole), 7):
        (work_tree / ".git" / "index").write_bytes(whole[:length])
        assert is_modified(repository, revision) in {None, False}


def test_look_ends_in_time(work_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the look takes too long it is not known, and the program goes on."""
    monkeypatch.setattr(uncommitted, "LONGEST_LOOK", -1.0)
    repository = _repository(work_tree)

    began = time.monotonic()
    assert is_modified(repository, str(repository.head()[1])) is None
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("https://github.com/a/b.git", "https://github.com/a/b.git"),
        ("https://token@github.com/a/b.git", "https://github.com/a/b.git"),
        ("https://me:hunter@2@github.com/a/b.git", "https://github.com/a/b.git"),
        ("ssh://git@host:22/a/b", "ssh://git@host:22/a/b"),
        ("ssh://git:hunter2@host/a/b", "ssh://git@host/a/b"),
        ("git@github.com:a/b.git", "git@github.com:a/b.git"),
        ("/srv/git/b", "/srv/git/b"),
    ],
)
def test_addresses_without_credentials(work_tree: Path, address: str, kept: str) -> None:
    """Where it was cloned from is told without what opens it."""
    git(work_tree, "remote", "add", "origin", address)

    assert _repository(work_tree).address("main") == without_user(address) == kept


def test_remote_of_the_branch(work_tree: Path) -> None:
    """The branch's own remote counts before origin, which counts before others."""
    repository = _repository(work_tree)
    assert repository.address("main") is None
    git(work_tree, "remote", "add", "other", "https://other/a")
    assert repository.address("main") == "https://other/a"
    git(work_tree, "remote", "add", "origin", "https://origin/a")
    assert repository.address("main") == "https://origin/a"
    git(work_tree, "remote", "add", "up", "https://up/a")
    git(work_tree, "config", "branch.main.remote", "up")
    assert repository.address("main") == "https://up/a"
    assert repository.address(None) == "https://origin/a"


def test_records_say_which_code_ran(work_tree: Path, stage: Stage, tmp_path: Path) -> None:
    """A run has commit, branch, address and whether files differed: those around its main file, or its folder."""
    git(work_tree, "remote", "add", "origin", "https://token@example.org/a.git")
    (work_tree / "a.txt").write_text("changed")
    program = work_tree / "program.py"
    program.write_text("from provtel import task\nwith task('t'): pass\n")
    for command, folder in (
        (["program.py"], work_tree),
        ([str(program)], tmp_path),
        (["-c", program.read_text()], work_tree),
    ):
        subprocess.run([sys.executable, *command], cwd=folder, env=stage.variables(), check=True)

    for record in stage.records():
        resource = record.resource
        assert resource[names.VCS_REF_HEAD_REVISION] == git(work_tree, "rev-parse", "HEAD")
        assert resource[names.VCS_REF_HEAD_NAME] == "main"
        assert resource[names.VCS_REPOSITORY_URL_FULL] == "https://example.org/a.git"
        assert resource[names.PROVTEL_VCS_MODIFIED] is True
    assert len(stage.records()) == 0


def test_records_of_no_repository(stage: Stage) -> None:
    """Where there is no repository nothing is said of one."""
    stage.run("from provtel import task\nwith task('t'): pass\n")

    (record,) = stage.records()
    assert not [name for name in record.resource if "vcs" in name]
