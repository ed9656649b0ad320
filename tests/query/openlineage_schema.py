"""The schema of OpenLineage's events, with those of its standard facets, from the reference data."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import jsonschema
from referencing import Registry, Resource

if TYPE_CHECKING:
    from pathlib import Path


def validator(reference_data: Path) -> jsonschema.Draft202012Validator:
    """Return what holds an event to the schema, and the facets of run, job and datasets to theirs."""
    folder = reference_data / "openlineage"
    schemas = [json.loads(path.read_text()) for path in (folder / "OpenLineage.json", *folder.glob("facets/*.json"))]
    registry: Registry[Any] = Registry().with_resources((each["$id"], Resource.from_contents(each)) for each in schemas)

    def with_facets(of: str) -> dict[str, Any]:
        names = re.compile(rf"(?!.*(Input|Output)Dataset).*{of}Facet\.json")
        optional = [each["$id"] for each in schemas if names.search(each["$id"]) and "required" not in each]
        assert optional
        facets = [{"$ref": name} for name in optional]
        return {"properties": {"facets": {"allOf": facets}}}

    datasets = {"items": with_facets("Dataset")}
    parts = {"run": with_facets("Run"), "job": with_facets("Job"), "inputs": datasets, "outputs": datasets}
    both = {"allOf": [{"$ref": schemas[0]["$id"]}, {"properties": parts}]}
    return jsonschema.Draft202012Validator(both, registry=registry, format_checker=jsonschema.FormatChecker())
