"""Settings: where they come from, which holds, and what is said of those that make no sense."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import provtel
import pytest
from provtel import notices, recording, settings
from provtel.settings import TABLE, Settings, find_file, load

from tests.instrumentation.programs import Stage


@pytest.fixture(autouse=True)
def fresh_notices() -> None:
    """Let every test hear everything."""
    notices._counts.clear()


def _file(folder: Path, text: str) -> Path:
    path = folder / "provtel.toml"
    path.write_text(text)
    return path


def test_table_has_every_setting() -> None:
    """The table and the settings are the same list, with the same defaults."""
    assert [setting.name for setting in TABLE] == [field.name for field in fields(Settings)]
    for setting in TABLE:
        default = getattr(Settings(), setting.name)
        assert default is None or setting.parse(setting.default) == default


def test_order_of_sources(tmp_path: Path) -> None:
    """The environment comes before the file, ours before OpenTelemetry's, the defaults last."""
    file = _file(tmp_path, 'endpoint = "http://file:1"\nmax_items = 7\nexit_timeout = "2s"\ndisabled = true\n')

    settings = load({"PROVTEL_MAX_ITEMS": "9", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:1/"}, file)

    assert settings == Settings(disabled=True, endpoint="http://otel:1", exit_timeout=2, max_items=9)
    assert load(
        {"PROVTEL_ENDPOINT": "https://ours:1", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:1"}, None
    ) == Settings(endpoint="https://ours:1")
    assert load({}, None) == Settings()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("disabled", "Yes", True),
        ("disabled", "0", False),
        ("exit_timeout", "1m", 60.0),
        ("max_journal_size", "1 GB", 10**9),
        ("max_text", "8KiB", 8192),
        ("redact", "mine$", "mine$"),
        ("hashing_share", "12.5%", 0.125),
    ],
)
def test_values(name: str, text: str, value: object) -> None:
    """Each setting is written as people write such things."""
    assert getattr(load({f"PROVTEL_{name.upper()}": text}, None), name) == value


@pytest.mark.parametrize(
    ("name", "text", "hint"),
    [
        ("disabled", "maybe", "true or false"),
        ("endpoint", "localhost:4318", "http://localhost:4318"),
        ("exit_timeout", "5", "200ms, 5s"),
        ("max_journal_size", "much", "10GB"),
        ("max_items", "-1", "whole number"),
        ("max_depth", "13", "12 or less"),
        ("redact", "(", "no regular expression"),
        ("hashing_share", "0.5", "2% or 100%"),
        ("hashing_share", "101%", "2% or 100%"),
    ],
)
def test_bad_value_is_said_and_the_default_holds(
    capsys: pytest.CaptureFixture[str], name: str, text: str, hint: str
) -> None:
    """A value that cannot be understood costs one line, which says where it is, what is wrong and what holds."""
    variable = f"PROVTEL_{name.upper()}"

    assert load({variable: text}, None) == Settings()
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"the variable {variable} is ignored: {text!r}" in said
    assert hint in said
    assert "default" in said


def test_deepest_value_can_be_read(stage: Stage) -> None:
    """Every reader of OTLP takes what is nested as deep as the setting goes at most, whatever the containers are."""
    stage.environment["PROVTEL_MAX_DEPTH"] = "12"
    stage.run(
        """
        from provtel import task
        value = 1
        for _ in range(12):
            value = {(1, 2): value}
        with task("deep", used={"x": value}): pass
        """
    )

    (record,) = stage.records()
    value = record.used["x"]
    for _ in range(11):
        ((_key, value),) = value.items()
    assert value


def test_unknown_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is nearly one of ours is asked about; a variable that is not is somebody else's."""
    file = _file(tmp_path, "max_item = 3\ncolour = 1\n")

    assert (
        load({"PROVTEL_ENDPIONT": "http://x", "PROVTEL_SOMETHING_ELSE": "1", "PROVTEL_STORE": "/x"}, file) == Settings()
    )

    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert f"{file}:1: there is no setting 'max_item'; did you mean max_items?" in said[0]
    assert "there is no setting 'colour'; known are: disabled, endpoint" in said[1]
    assert "the variable PROVTEL_ENDPIONT means nothing; did you mean PROVTEL_ENDPOINT?" in said[2]


def test_file_that_is_no_toml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that cannot be read is ignored, and said to be."""
    assert load({}, _file(tmp_path, "endpoint = ")) == Settings()
    assert "provtel.toml is ignored: " in capsys.readouterr().err


def test_file_is_found_upward(tmp_path: Path) -> None:
    """The nearest file from the working folder upward is the one."""
    file = _file(tmp_path, "")
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)

    assert find_file(inner) == file
    assert find_file(tmp_path.parent) != file


def _project(folder: Path, text: str) -> Path:
    path = folder / "pyproject.toml"
    path.write_text(text)
    return path


def test_table_of_a_project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pyproject.toml with our table is a file of settings, and its lines are named as editors take them."""
    file = _project(tmp_path, '[project]\nname = "x"\n\n[tool.provtel]\nmax_items = 7\nmax_item = 1\n"max-text" = 2\n')

    assert find_file(tmp_path) == file
    assert load({}, file) == Settings(max_items=7)
    said = capsys.readouterr().err
    assert f"{file}:6: there is no setting 'max_item'; did you mean max_items?" in said
    assert f"{file}:7: there is no setting 'max-text'; did you mean max_text?" in said


def test_project_without_our_table_is_passed_over(tmp_path: Path) -> None:
    """A pyproject.toml that says nothing of us hides no file further up; beside a file of ours it does not count."""
    ours = _file(tmp_path, "")
    inner = tmp_path / "a"
    inner.mkdir()
    project = _project(inner, '[project]\ndependencies = ["provtel"]\n')

    assert find_file(inner) == ours
    project.write_text("[tool.provtel]\n")
    assert find_file(inner) == project
    nearer = _file(inner, "")
    assert find_file(inner) == nearer


def test_what_is_no_file_is_passed_over(tmp_path: Path) -> None:
    """A folder or a pipe of the name of a file of settings is none, and is not waited for."""
    (tmp_path / "provtel.toml").mkdir()
    os.mkfifo(tmp_path / "pyproject.toml")

    assert find_file(tmp_path) == find_file(tmp_path.parent)


def test_values_that_are_no_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A list or a table where one value is wanted is told, and so is a number without its unit."""
    file = _file(tmp_path, 'max_items = [1]\nexit_timeout = 5\nhashing_share = 0.5\n[redact]\nx = "y"\n')

    assert load({}, file) == Settings()
    said = capsys.readouterr().err.splitlines()
    assert f"{file}:1: max_items is ignored: [1] (write one value)" in said[0]
    assert "200ms, 5s" in said[1]
    assert "2% or 100%" in said[2]
    assert "redact is ignored" in said[3]


def test_file_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who else can write into a folder above may not say where records are sent."""
    _file(tmp_path, 'endpoint = "http://elsewhere:1"')
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    if os.getuid() == 0:
        os.chown(tmp_path / "provtel.toml", 12345, 12345)

    assert find_file(tmp_path) != tmp_path / "provtel.toml"


@pytest.fixture
def unconfigured() -> Iterator[None]:
    """Begin as if nothing had been recorded, and leave no argument behind."""
    recording.replace(None)
    yield
    settings.configure(**dict.fromkeys((setting.name for setting in TABLE), None))


@pytest.mark.usefixtures("unconfigured")
def test_arguments_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the program itself says holds whatever the environment and files say; None takes it back."""
    _file(tmp_path, "max_items = 7\nmax_depth = 7\nmax_text = 7")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROVTEL_MAX_ITEMS", "8")
    monkeypatch.setenv("PROVTEL_MAX_DEPTH", "8")

    provtel.configure(max_items=9, exit_timeout="2s", disabled=False)

    assert settings.current() == Settings(max_items=9, max_depth=8, max_text=7, exit_timeout=2)
    provtel.configure(max_items=None)
    assert settings.current().max_items == 8


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"max_item": 1}, TypeError, "there is no setting 'max_item'; did you mean max_items?"),
        ({"max_items": 0}, ValueError, "max_items is 0: write a whole number of 1 or more"),
        ({"max_text": [1]}, ValueError, "max_text is .*: write one value"),
    ],
)
@pytest.mark.usefixtures("unconfigured")
def test_arguments_that_make_no_sense(arguments: dict[str, object], error: type[Exception], says: str) -> None:
    """A call that is wrong is an error as in any call, and changes nothing."""
    before = settings.current()

    with pytest.raises(error, match=says.replace("?", r"\?")):
        provtel.configure(max_depth=3, **arguments)
    assert settings.current() == before


def test_arguments_that_come_too_late(stage: Stage) -> None:
    """Where something was recorded already one line says so, and the program goes on."""
    outcome = stage.run(
        """
        import provtel
        provtel.configure(max_items=2)
        with provtel.task("t", used={"x": [1, 2, 3]}): pass
        provtel.configure(max_items=5)
        with provtel.task("t", used={"x": [1, 2, 3]}): pass
        """,
        quiet=False,
    )

    assert "call it before that" in outcome.stderr
    assert [record.used["x"].shape for record in stage.records()] == [(3,), (3,)]


def test_only_what_differs_is_in_force() -> None:
    """What a run was told is what differs from the defaults, without passwords."""
    assert settings.in_force(Settings()) == {}
    assert settings.in_force(Settings(endpoint="http://me:hunter2@host:1", max_items=3)) == {
        "endpoint": "http://me:[REDACTED]@host:1",
        "max_items": 3,
    }


def test_settings_of_a_program(stage: Stage) -> None:
    """A program runs by the file in its folder."""
    (stage.folder / "provtel.toml").write_text('max_items = 2\nredact = "loss"\nmax_textt = 1\n')

    outcome = stage.run("from provtel import task\nwith task('t', used={'x': [1, 2, 3], 'loss': 1}): pass", quiet=False)
    (record,) = stage.records()

    assert "did you mean max_text?" in outcome.stderr
    assert record.used["loss"] == "[REDACTED]"
    assert record.used["x"].shape == (3,)


def test_working_folder_that_is_gone(stage: Stage) -> None:
    """A program whose working folder was deleted runs as it does without us."""
    outcome = stage.run(
        """
        import os, tempfile
        folder = tempfile.mkdtemp()
        os.chdir(folder)
        os.rmdir(folder)
        from provtel import task
        with task("t"):
            print("ran")
        """,
        quiet=False,
    )

    assert outcome.stdout == "ran\n"
    assert [record.name for record in stage.records()] == ["t"]
