"""The files for Kubernetes fit its schemas, hold together, and have configurations that can be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from provtel_cli.main import main
from provtel_collector.process import STOP_SECONDS

from tests.house.project import ROOT

FOLDER = ROOT / "deployment" / "kubernetes"
VERSIONS = ("1.31", "1.35")
DOCUMENTS = [
    (file.name, document) for file in sorted(FOLDER.glob("*.yaml")) for document in yaml.safe_load_all(file.read_text())
]
PODS = [(name, one) for name, one in DOCUMENTS if one["kind"] in {"DaemonSet", "StatefulSet"}]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("name", "document"), DOCUMENTS, ids=lambda one: one if isinstance(one, str) else one["kind"])
def test_document_fits_the_schema(name: str, document: dict[str, Any], version: str) -> None:
    """Each document is one, with no key that Kubernetes does not know."""
    del name
    kubernetes_validate.validate(document, version, strict=True)


def config_map(name: str) -> dict[str, str]:
    """Return the files of a config map."""
    (found,) = (one for _, one in DOCUMENTS if one["kind"] == "ConfigMap" and one["metadata"]["name"] == name)
    files: dict[str, str] = found["data"]
    return files


@pytest.mark.parametrize(("name", "document"), PODS, ids=lambda one: one if isinstance(one, str) else "")
def test_configuration(name: str, document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector can be run with the arguments, the variables and the files that its container has."""
    del name
    spec = document["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    (mounted,) = (mount for mount in container["volumeMounts"] if "configMap" in volumes.get(mount["name"], {}))
    for file, text in config_map(volumes[mounted["name"]]["configMap"]["name"]).items():
        (tmp_path / file).write_text(text)
    for variable in container["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])

    arguments = [argument.replace(mounted["mountPath"], str(tmp_path)) for argument in container["args"]]

    assert main(["collector", "validate", *arguments]) == 0


@pytest.mark.parametrize(("name", "document"), PODS, ids=lambda one: one if isinstance(one, str) else "")
def test_pod_is_confined(name: str, document: dict[str, Any]) -> None:
    """The collector runs as nobody, writes to its own folders only, and is given the time that it takes to stop."""
    del name
    spec = document["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    allowed = {**spec.get("securityContext", {}), **container["securityContext"]}

    assert spec["terminationGracePeriodSeconds"] > STOP_SECONDS
    assert spec["automountServiceAccountToken"] is False
    assert (allowed["runAsNonRoot"], allowed["allowPrivilegeEscalation"], allowed["readOnlyRootFilesystem"]) == (
        True,
        False,
        True,
    )
    assert allowed["capabilities"] == {"drop": ["ALL"]}
    assert allowed["seccompProfile"] == {"type": "RuntimeDefault"}


def test_nodes_send_to_the_gateway() -> None:
    """The collectors of the nodes send to the service of the gateway, at a port that it has."""
    (service,) = (one for _, one in DOCUMENTS if one["kind"] == "Service")
    (node,) = (one for _, one in DOCUMENTS if one["kind"] == "DaemonSet")
    (container,) = node["spec"]["template"]["spec"]["containers"]
    upstream = {variable["name"]: variable["value"] for variable in container["env"]}["PROVTEL_COLLECTOR_UPSTREAM"]
    ports = {port["name"]: port["port"] for port in service["spec"]["ports"]}
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]

    assert upstream == f"http://{name}.{namespace}.svc:{ports['otlp-http']}"
