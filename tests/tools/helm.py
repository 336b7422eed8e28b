"""Helm, by way of its SDK: no binary of it is in a registry that the tests can reach.

usage: helm.py template CHART VALUES…   the manifests, as `helm template` prints them
       helm.py json CHART VALUES…       the same as one JSON list
       helm.py notes CHART VALUES…      what `helm install` says at its end
       helm.py lint CHART VALUES…       what `helm lint --strict` finds
       helm.py readme CHART             what `helm show readme` prints of the packaged chart
"""

import json
import sys
import tempfile
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


def main(verb: str, chart: str, *files: str) -> None:
    given = values(files)
    if verb == "readme":
        with tempfile.TemporaryDirectory() as directory:
            print(helm_python.show(helm_python.package(chart, destination=directory), output_format="readme").strip())
        return
    if verb == "lint":
        report = helm_python.lint(chart, given, strict=True, kube_version="v1.30.0")
        print("\n".join(report["errors"] + [f"{m['severity']} {m['path']}: {m['error']}" for m in report["messages"]]))
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
