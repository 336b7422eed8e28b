"""The bill of materials of an image, as CycloneDX 1.6: what of other people's is in it, by version and licence.

usage: sbom.py IMAGE ARCHITECTURE BINARIES MOMENT [--base NAME] [--codex] [--ca-bundle] UTILITY…

BINARIES is the directory that scripts/build prints, whose name is the target. What is inside codex and a base is for
those who publish them to say; here they are one component each.
"""

import argparse
import base64
import json
import re
import subprocess
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL


def library(
    kind: str, name: str, version: str, licence: str | None = None, sha: tuple[str, str] | None = None
) -> Component:
    namespace, _, last = name.rpartition("/")
    purl = PackageURL(kind, namespace or None, last, version)
    return Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=version,
        purl=purl,
        bom_ref=str(purl),
        licenses=[LicenseExpression(licence.replace("/", " OR "))] if licence else [],
        hashes=[HashType(alg=HashAlgorithm(sha[0]), content=sha[1])] if sha else [],
    )


def crates(utilities: list[str], target: str) -> list[Component]:
    """The crates that are linked into the utilities: neither those of the build nor those of the tests."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    metadata: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)  # noqa: S603
    packages = {package["id"]: package for package in metadata["packages"]}
    links = {node["id"]: node["deps"] for node in metadata["resolve"]["nodes"]}
    lock = Path("Cargo.lock").read_text()
    sums = re.findall(r'name = "(.+)"\nversion = "(.+)"\nsource = ".+"\nchecksum = "(.+)"', lock)
    checksum = {(name, version): digest for name, version, digest in sums}

    linked: set[str] = set()
    waiting = [identity for identity, package in packages.items() if package["name"] in utilities]
    while waiting:
        identity = waiting.pop()
        if identity not in linked:
            linked.add(identity)
            normal = [dep for dep in links[identity] if any(kind["kind"] is None for kind in dep["dep_kinds"])]
            waiting.extend(dep["pkg"] for dep in normal)
    foreign = [packages[identity] for identity in linked if packages[identity]["source"]]
    return [
        library("cargo", p["name"], p["version"], p["license"], ("SHA-256", checksum[p["name"], p["version"]]))
        for p in foreign
    ]


def linked_besides(binaries: Path) -> list[Component]:
    """What the compiler adds to every utility, as those say that know it: Rust's standard library, and glibc."""
    content = b"".join(program.read_bytes() for program in sorted(binaries.iterdir()))
    rust = re.search(rb"rustc version (\S+)", content)
    if not rust:
        raise SystemExit(f"sbom.py: nothing in {binaries} says which Rust made it")
    found = [library("generic", "rust-std", rust[1].decode(), "MIT OR Apache-2.0")]
    if glibc := re.search(rb"GNU C Library \([^)]*?(\S+)\) stable release", content):
        found.append(library("generic", "glibc", glibc[1].decode(), "LGPL-2.1-or-later"))
    return found


def codex(architecture: str) -> Component:
    cpu = {"amd64": "x64", "arm64": "arm64"}[architecture]
    lock = json.loads(Path("tests/tools/package-lock.json").read_text())
    package = lock["packages"][f"node_modules/@openai/codex-linux-{cpu}"]
    algorithm, digest = package["integrity"].split("-", 1)
    if algorithm != "sha512":
        raise SystemExit(f"sbom.py: the lock file has a {algorithm} of codex")
    sha = ("SHA-512", base64.b64decode(digest).hex())
    return library("npm", package["name"], package["version"], package["license"], sha)


def ca_bundle() -> Component:
    pinned = re.search(r"^(certifi)==(\S+) --hash=sha256:(\w+)", Path("images/ca-bundle.txt").read_text(), re.MULTILINE)
    if not pinned:
        raise SystemExit("sbom.py: images/ca-bundle.txt pins no certifi")
    return library("pypi", pinned[1], pinned[2], "MPL-2.0", ("SHA-256", pinned[3]))


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ["image", "architecture", "binaries", "moment"]:
        parser.add_argument(name)
    parser.add_argument("--base")
    parser.add_argument("--codex", action="store_true")
    parser.add_argument("--ca-bundle", action="store_true")
    parser.add_argument("utilities", nargs="+")
    args = parser.parse_args()

    workspace = re.search(r'^version = "(.+)"', Path("Cargo.toml").read_text(), re.MULTILINE)
    bom = Bom()
    bom.metadata.component = Component(
        type=ComponentType.CONTAINER, name=args.image, version=workspace[1] if workspace else None, bom_ref=args.image
    )
    # The same inputs make the same bytes: no time of the day and no random number.
    bom.metadata.timestamp = datetime.fromtimestamp(int(args.moment), timezone.utc)
    binaries = Path(args.binaries)
    for component in crates(args.utilities, binaries.name) + linked_besides(binaries):
        bom.components.add(component)
    if args.codex:
        bom.components.add(codex(args.architecture))
    if args.ca_bundle:
        bom.components.add(ca_bundle())
    if args.base:
        bom.components.add(Component(type=ComponentType.CONTAINER, name=args.base, bom_ref=args.base))
    bom.register_dependency(bom.metadata.component, bom.components)
    names = ",".join(sorted(str(component.bom_ref) for component in bom.components))
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, f"{args.image} {args.architecture} {args.moment} {names}")
    print(JsonV1Dot6(bom).output_as_string(indent=1))


main()
