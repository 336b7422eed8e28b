"""Helm, by way of its SDK: no binary of it is in a registry that the tests can reach.

usage: helm.py template CHART VALUES…   the manifests, as `helm template` prints them
       helm.py json CHART VALUES…       the same as one JSON list
       helm.py notes CHART VALUES…      what `helm install` says at its end
       helm.py lint CHART VALUES…       what `helm lint --strict` finds
       helm.py readme CHART             what `helm show readme` prints of the packaged chart
       helm.py errors CHART VALUES      what Helm says to each set of values in a file of several, as one JSON list
       helm.py nulls CHART VALUES…      the same to each value of the chart's that is null, as one JSON object
"""

import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import helm_python
import yaml


def values(files: tuple[str, ...]) -> dict[str, Any]:
    """The values in these files; the tests give one at most, so nothing is merged."""
    given: dict[str, Any] = {}
    for file in files:
        given.update(yaml.safe_load(Path(file).read_text()) or {})
    return given


def render(chart: str, given: dict[str, Any]) -> dict[str, str]:
    try:
        with helm_python.Chart.load(chart) as loaded:
            return dict(loaded.render(given, name="podkit", namespace="agents"))
    except helm_python.HelmError as error:
        sys.exit(f"helm: {error}")


def paths(defaults: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Each key of the chart's values, by the keys above it."""
    for key, value in defaults.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from paths(value, (*above, key))


def with_null(given: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """The same values with a null at this path."""
    key, *below = path
    return {**given, key: with_null(given.get(key) or {}, tuple(below)) if below else None}


def errors(chart: str, sets: Iterable[dict[str, Any]]) -> list[str]:
    """What Helm says to each set of values; nothing if it renders."""
    said = []
    with helm_python.Chart.load(chart) as loaded:
        for given in sets:
            try:
                loaded.render(given, name="podkit", namespace="agents")
                said.append("")
            except helm_python.HelmError as error:
                said.append(str(error))
    return said


def nulls(chart: str, given: dict[str, Any]) -> dict[str, str]:
    """The same to each value of the chart's that is null."""
    keys = list(paths(yaml.safe_load((Path(chart) / "values.yaml").read_text())))
    said = errors(chart, (with_null(given, path) for path in keys))
    return dict(zip(map(".".join, keys), said, strict=True))


def main(verb: str, chart: str, *files: str) -> None:
    if verb == "errors":
        print(json.dumps(errors(chart, yaml.safe_load_all(Path(files[0]).read_text()))))
        return
    given = values(files)
    if verb == "readme":
        with tempfile.TemporaryDirectory() as directory:
            print(helm_python.show(helm_python.package(chart, destination=directory), output_format="readme").strip())
        return
    if verb == "lint":
        report = helm_python.lint(chart, given, strict=True, kube_version="v1.30.0")
        print("\n".join(report["errors"] + [f"{m['severity']} {m['path']}: {m['error']}" for m in report["messages"]]))
        return
    if verb == "nulls":
        print(json.dumps(nulls(chart, given)))
        return
    manifests = render(chart, given)
    notes = [name for name in manifests if name.endswith("NOTES.txt")]
    if verb == "notes":
        print("".join(manifests[name] for name in notes).strip())
        return
    texts = {name: text.strip() for name, text in sorted(manifests.items()) if name not in notes and text.strip()}
    if verb == "template":
        for name, text in texts.items():
            print(f"---\n# Source: {name}\n{text.removeprefix('---').strip()}")
    else:
        print(json.dumps([doc for text in texts.values() for doc in yaml.safe_load_all(text) if doc]))


main(*sys.argv[1:])
