"""Documents to configurations, and what is said of those that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from provtel_collector_config.configuration import Pipeline
from provtel_collector_config.ids import ComponentId, Kind, PipelineId
from provtel_collector_config.loading import load
from provtel_collector_config.presets import presets
from provtel_collector_config.problems import InvalidConfigurationError
from provtel_collector_config.telemetry import LogsConfig
from provtel_model.components import Signal
from provtel_model.settings import Duration, Secret, Size

from tests.collector_config.components import FACTORIES, Http, OtlpConfig, Protocols, StoreConfig

RECEIVERS = "receivers:\n  otlp:\n    protocols:\n      http:\n"
EXPORTERS = "exporters:\n  debug:\n"
SERVICE = "service:\n  pipelines:\n    traces:\n      receivers: [otlp]\n      exporters: [debug]\n"
REFUSALS = yaml.safe_load(Path(__file__).with_name("refusals.yaml").read_text())
OTLP = ComponentId("otlp")
STORE = ComponentId("store")


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in a folder of one's own, so that a file is called as the person calls it."""
    monkeypatch.chdir(tmp_path)


def write(*texts: str) -> list[str]:
    """Write documents, and return the names of their files."""
    names = [f"{letter}.yaml" for letter in "abc"[: len(texts)]]
    for name, text in zip(names, texts, strict=True):
        Path(name).write_text(text)
    return names


def refusal(*texts: str, **environment: str) -> list[str]:
    """Return the lines that refuse documents."""
    with pytest.raises(InvalidConfigurationError) as refused:
        load(write(*texts), FACTORIES, environment)
    return str(refused.value).splitlines()


def exporter(config: str, **environment: str) -> StoreConfig:
    """Return the configuration of an exporter that is written in one line."""
    document = f"{RECEIVERS}exporters:\n  store: {config}\n{SERVICE}".replace("[debug]", "[store]")
    loaded = load(write(document), FACTORIES, environment)
    found = loaded.components[Kind.EXPORTERS][STORE].config
    assert isinstance(found, StoreConfig)
    return found


def test_whole_document() -> None:
    """Ids, pipelines, extensions, telemetry and typed settings come out as they are written."""
    document = """
receivers:
  otlp/one: {protocols: {http: {endpoint: "0.0.0.0:1", max_size: 5, ratio: 1, secure: true}}}
processors: {pass: }
exporters:
  debug:
  store/x y: {}
extensions: {health_check: {}}
service:
  extensions: [health_check]
  telemetry: {logs: {level: WARN, encoding: json}}
  pipelines:
    traces/a: {receivers: [otlp/one], processors: [pass], exporters: [debug]}
    logs: {receivers: [otlp/one], exporters: [debug, debug]}
""".replace("x y", "xy")

    loaded = load(write(document), FACTORIES, {})

    assert OtlpConfig(Protocols(Http("0.0.0.0:1", 5, 1.0, secure=True))) == (
        loaded.components[Kind.RECEIVERS][ComponentId("otlp", "one")].config
    )
    assert {ComponentId("debug"), ComponentId("store", "xy")} == set(loaded.components[Kind.EXPORTERS])
    assert (ComponentId("health_check"),) == loaded.extensions
    assert LogsConfig("WARN", "json") == loaded.telemetry.logs
    otlp, debug, passing = ComponentId("otlp", "one"), ComponentId("debug"), ComponentId("pass")
    assert loaded.pipelines == {
        PipelineId(Signal.TRACES, "a"): Pipeline((otlp,), (passing,), (debug,)),
        PipelineId(Signal.LOGS): Pipeline((otlp,), (), (debug, debug)),
    }


def test_null_is_an_empty_map() -> None:
    """``key:`` with nothing after it counts as being there, with every default."""
    loaded = load(write(RECEIVERS + EXPORTERS + SERVICE), FACTORIES, {})

    assert OtlpConfig(Protocols(Http())) == loaded.components[Kind.RECEIVERS][OTLP].config


def test_null_is_the_default() -> None:
    """A null where no map is expected, from the document or from an empty variable, leaves the default."""
    assert StoreConfig() == exporter("{mode: , timeout: ~, roles: null, token: '${env:EMPTY}'}", EMPTY="")


def test_nulls_at_any_depth() -> None:
    """Nulls are understood in the items of lists and maps, and a free map keeps its own."""
    config = exporter("{peers: [{endpoint: a, max_size: }, ], free: {a: , b: [null]}}")

    assert StoreConfig(peers=(Http("a"),), free={"a": None, "b": [None]}) == config


def test_value_types() -> None:
    """Durations, sizes, secrets, choices, lists and maps are read from their texts."""
    config = exporter(
        "{mode: fast, timeout: 1m30s, limit: 4MiB, token: s3cret, labels: {a: b}, roles: [x], free: {a: 1}}"
    )

    assert (
        StoreConfig(
            "fast", Duration(90), Size(4 * 2**20), Secret("s3cret"), labels={"a": "b"}, roles=("x",), free={"a": 1}
        )
        == config
    )
    assert "s3cret" not in repr(config)


def test_variables_keep_their_text_where_text_is_wanted() -> None:
    """A variable that looks like a number is a number for a size, and a text for a text or a secret."""
    config = exporter("{limit: '${env:N}', token: '${env:N}', labels: {a: '${env:N}'}, roles: ['${env:N}']}", N="0123")

    assert StoreConfig(limit=Size(0o123), token=Secret("0123"), labels={"a": "0123"}, roles=("0123",)) == config


def test_list_of_texts_may_be_one_text() -> None:
    """A list of texts is written as one text too, with commas, for example in a variable."""
    assert StoreConfig(roles=("a:1", "b:2")) == exporter("{roles: 'a:1,b:2'}")
    assert StoreConfig(roles=("a:1", "b:2")) == exporter("{roles: '${env:ROLES}'}", ROLES="a:1,b:2")
    assert StoreConfig(roles=("a",)) == exporter("{roles: a}")
    assert StoreConfig(roles=()) == exporter("{roles: ''}")


def test_headers_may_be_a_list() -> None:
    """Secrets under names of their own are written as a map, or as a list of names and values."""
    assert exporter("{headers: {a: b}}") == exporter("{headers: [{name: a, value: b}]}")


def test_variable_may_be_a_whole_section() -> None:
    """A variable can hold a map."""
    assert StoreConfig(mode="fast", roles=("a",)) == exporter("${env:ALL}", ALL="{mode: fast, roles: [a]}")


def test_documents_merge() -> None:
    """Maps merge, lists and nulls replace, and the later document wins."""
    first = RECEIVERS + "exporters:\n  store: {mode: fast, roles: [a, b], labels: {a: b}}\n  debug:\n" + SERVICE
    second = "exporters:\n  store: {roles: [c], labels: {c: d}, timeout: 1s}\n"
    third = "exporters: {store: {timeout: }}\nservice: {pipelines: {traces: {exporters: [store]}}}\n"

    loaded = load(write(first, second, third), FACTORIES, {})

    assert StoreConfig("fast", roles=("c",), labels={"a": "b", "c": "d"}) == (
        loaded.components[Kind.EXPORTERS][STORE].config
    )
    assert loaded.pipelines[PipelineId(Signal.TRACES)].exporters == (STORE,)


def test_null_section_is_wiped() -> None:
    """A bare section in a later document removes the earlier one's."""
    assert "no exporter configuration specified in config" in refusal(RECEIVERS + EXPORTERS + SERVICE, "exporters:\n")


def test_files_are_named_in_every_way() -> None:
    """A file is named by its path or as ``file:PATH``."""
    (name,) = write(RECEIVERS + EXPORTERS + SERVICE)

    assert load([name], FACTORIES, {}) == load([f"file:{name}"], FACTORIES, {})


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("missing.yaml", "missing.yaml: cannot be read: No such file or directory"),
        (".", ".: cannot be read: Is a directory"),
        ("http://x/y", 'scheme "http" is not supported for uri "http://x/y"; there are file, preset, env, yaml'),
        ("preset:none", f'there is no preset "none" (valid values: [{" ".join(presets())}])'),
        ("latin.yaml", "latin.yaml:2: this is no UTF-8"),
        ("list.yaml", "list.yaml:1: must be a map with sections"),
    ],
)
def test_source_that_cannot_be_read(source: str, message: str) -> None:
    """What cannot be read is told as the person named it."""
    Path("latin.yaml").write_bytes(b"a: 1\nb: \xe4\n")
    Path("list.yaml").write_text("- a\n")

    with pytest.raises(InvalidConfigurationError) as refused:
        load([source], FACTORIES, {})

    assert message == str(refused.value)


def test_every_unreadable_source_is_told() -> None:
    """Two files with broken YAML are refused together."""
    assert refusal("a: [", "b: 1\nb: 2") == [
        "a.yaml:1: while parsing a flow node, expected the node content, but found '<stream end>'",
        'b.yaml:2: mapping key "b" already defined at line 1',
    ]


@pytest.mark.parametrize(("document", "message"), [(row["document"], row["says"]) for row in REFUSALS])
def test_refused(document: str, message: str) -> None:
    """Each mistake is refused in one line that says where it is."""
    assert message in refusal(document)


def test_every_problem_is_told_at_once() -> None:
    """A document with several mistakes, of several kinds, in several files, is refused with all of them."""
    first = RECEIVERS + "        max_size: abc\n        foo: 1\nexporters:\n  debug:\n  deb:\n"
    second = (
        "exporters:\n  store: {mode: loud}\nservice:\n  extensions: [q]\n  pipelines:\n    logs: {receivers: [x]}\n"
    )

    http = "receivers::otlp::protocols::http"
    assert refusal(first, second) == [
        f"a.yaml:6: {http}: has invalid keys: foo (valid keys: [endpoint max_size ratio secure])",
        f"a.yaml:5: {http}::max_size: expected type 'integer', got unconvertible type 'string'",
        'a.yaml:9: exporters: unknown type: "deb" for id: "deb" (valid values: [debug store])',
        'b.yaml:2: exporters::store::mode: expected "fast" or "safe", got "loud"',
        'b.yaml:4: service::extensions: references extension "q" which is not configured',
        "b.yaml:6: service::pipelines::logs: must have at least one exporter",
        'b.yaml:6: service::pipelines::logs: references receiver "x" which is not configured',
    ]


def test_secret_is_in_no_message() -> None:
    """A secret that comes by a variable into the wrong place is not printed."""
    lines = refusal(
        RECEIVERS
        + "        max_size: ${env:KEPT}\n"
        + EXPORTERS
        + "  store: {token: [a], peers: '${env:KEPT}'}\n"
        + SERVICE,
        KEPT="hunter2",
    )

    assert len(lines) == 3
    assert "hunter2" not in "".join(lines)


def test_unset_variable_warns() -> None:
    """A variable that is not set is a warning of the configuration."""
    loaded = load(write(RECEIVERS + "        endpoint: ${env:UNSET}\n" + EXPORTERS + SERVICE), FACTORIES, {})

    assert loaded.warnings == ('environment variable "UNSET" is not set and has no default',)
