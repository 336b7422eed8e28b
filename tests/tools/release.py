"""Helm in a cluster, by way of its SDK. The release is codex, in the cluster of KUBECONFIG and the namespace NAMESPACE.

usage: release.py install CHART VALUES   installs it, and prints its notes
       release.py upgrade CHART VALUES   the same with an upgrade
       release.py rollback REVISION
       release.py test                   prints the logs of its tests
       release.py uninstall
       release.py older CHART COPY       copies a chart as `install` and `upgrade` change it
"""

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

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


def applied(cluster: helm_python.Config, verb: str, chart: str, values: str) -> str:
    """The notes of what was installed."""
    act = cluster.install if verb == "install" else cluster.upgrade
    with tempfile.TemporaryDirectory() as directory:
        release = act(older(chart, Path(directory) / "chart"), "codex", yaml.safe_load(Path(values).read_text()))
    return str(release["notes"]).strip()


def main(verb: str, *arguments: str) -> None:
    if verb == "older":
        older(arguments[0], Path(arguments[1]))
        return
    with helm_python.Config(namespace=os.environ["NAMESPACE"]) as cluster:
        match verb:
            case "install" | "upgrade":
                print(applied(cluster, verb, *arguments))
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
