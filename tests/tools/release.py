"""Helm in a cluster, by way of its SDK. The release is codex, in the cluster of KUBECONFIG and the namespace NAMESPACE.

usage: release.py install CHART VALUES   installs it, and prints its notes
       release.py upgrade CHART VALUES   the same with an upgrade
       release.py rollback REVISION
       release.py test                   prints the logs of its tests
       release.py uninstall
       release.py typed upgrade RELEASE CHART --reset-then-reuse-values --set NAME=VALUE …   as a person types it
       release.py older CHART COPY       copies a chart as `install` and `upgrade` change it
"""

import argparse
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import helm_python
import yaml

# What the tests' own Kubernetes, the newest that Debian has, cannot read otherwise: what it knows by an older version,
# and a default that its server-side apply lacks.
OLDER = [
    (r"apiVersion: batch/v1(?=\nkind: CronJob)", "apiVersion: batch/v1beta1"),
    (r"apiVersion: policy/v1(?=\nkind: PodDisruptionBudget)", "apiVersion: policy/v1beta1"),
    (r"(?m)^( *)((container|target)Port: .*)$", r"\1\2\n\1protocol: TCP"),
]


def older(chart: str, copy: Path) -> Path:
    """A copy of the chart that this Kubernetes takes, although the chart asks for a newer one."""
    shutil.copytree(chart, copy)
    metadata = yaml.safe_load((copy / "Chart.yaml").read_text())
    del metadata["kubeVersion"]
    (copy / "Chart.yaml").write_text(yaml.safe_dump(metadata))
    for template in filter(Path.is_file, (copy / "templates").rglob("*")):
        text = template.read_text()
        for newer, as_before in OLDER:
            text = re.sub(newer, as_before, text)
        template.write_text(text)
    return copy


def applied(cluster: helm_python.Config, verb: str, chart: str, values: dict[str, Any]) -> str:
    """The notes of what was installed."""
    act = cluster.install if verb == "install" else cluster.upgrade
    with tempfile.TemporaryDirectory() as directory:
        release = act(older(chart, Path(directory) / "chart"), "codex", values)
    return str(release["notes"]).strip()


def typed(cluster: helm_python.Config, arguments: list[str]) -> str:
    """What `helm upgrade` does that reuses the values of before, except for those that are set."""
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["upgrade"])
    parser.add_argument("release", choices=["codex"])
    parser.add_argument("chart")
    parser.add_argument("--reset-then-reuse-values", required=True, action="store_true")
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args(arguments)
    values = cluster.get_values("codex") or {}
    for name, value in (setting.split("=", 1) for setting in args.set):
        *path, last = name.split(".")
        place = values
        for step in path:
            place = place.setdefault(step, {})
        place[last] = yaml.safe_load(value) if last != "tag" else value
    return applied(cluster, "upgrade", args.chart, values)


def main(verb: str, *arguments: str) -> None:
    if verb == "older":
        older(arguments[0], Path(arguments[1]))
        return
    with helm_python.Config(namespace=os.environ["NAMESPACE"]) as cluster:
        match verb:
            case "install" | "upgrade":
                chart, values = arguments
                print(applied(cluster, verb, chart, yaml.safe_load(Path(values).read_text())))
            case "typed":
                print(typed(cluster, list(arguments)))
            case "rollback":
                cluster.rollback("codex", version=int(arguments[0]))
            case "test":
                print(cluster.test("codex", timeout=120, logs=True)["logs"])
            case "uninstall":
                cluster.uninstall("codex")
            case _:
                sys.exit(__doc__)


try:
    main(*sys.argv[1:])
except helm_python.HelmError as error:
    sys.exit(f"helm: {error}")
