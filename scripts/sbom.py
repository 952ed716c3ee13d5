#!/usr/bin/env python3
"""Writes the bill of materials of the program (CycloneDX 1.6, JSON): every Rust crate and every npm package that it is made of.

Rust: what `cargo metadata` resolves for the program on one platform, from its own crate downwards. npm: what package-lock.json resolves
for the dashboard. `scope` is `required` for what is part of the program and `excluded` for what only builds it (build scripts, macros
and what they use; the dashboard's devDependencies). What only tests use is left out. The hashes are those of the lock files: of a
crate's archive (SHA-256), of a package's archive (SHA-512).

The same sources give the same bytes: the time is SOURCE_DATE_EPOCH or that of the last commit, and the serial number is made of the
content. Exit status: 0 when it is written, 1 when a source is not as it should be.
"""

import argparse
import base64
import hashlib
import json
import os
import subprocess
import sys
import tomllib
import uuid
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = "plasma-server"
DASHBOARD = "apps/web"
PLATFORM = "x86_64-unknown-linux-gnu"
REQUIRED, EXCLUDED = "required", "excluded"


class Refused(Exception):
    """A source that is not as it should be."""


def licences(text):
    """A licence as CycloneDX has it. Old manifests write `MIT/Apache-2.0`."""
    if not text:
        return []
    return [{"expression": text.replace("/", " OR ")}]


def reach(start, edges):
    """What is reached from `start`, and whether by edges that lead into the program only. `edges(node, scope)` gives pairs of node and scope."""
    scopes = {}
    waiting = [(node, REQUIRED) for node in start]
    while waiting:
        node, scope = waiting.pop()
        if scopes.get(node) in (REQUIRED, scope):
            continue
        scopes[node] = scope
        waiting.extend(edges(node, scope))
    return scopes


# Rust


def cargo_metadata():
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", PLATFORM]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def crate_checksums(lock):
    return {(package["name"], package["version"]): package.get("checksum") for package in lock["package"]}


def rust_components(metadata, lock):
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    program = [package["id"] for package in metadata["packages"] if package["name"] == PROGRAM]
    if len(program) != 1:
        raise Refused(f"cargo knows {len(program)} packages called {PROGRAM}")
    is_macro = {name: any("proc-macro" in target["kind"] for target in package["targets"]) for name, package in packages.items()}

    def edges(node, scope):
        inside = EXCLUDED if is_macro[node] else scope
        for dependency in nodes[node]["deps"]:
            kinds = {kind["kind"] for kind in dependency["dep_kinds"]}
            if None in kinds:
                yield dependency["pkg"], EXCLUDED if is_macro[dependency["pkg"]] else inside
            elif "build" in kinds:
                yield dependency["pkg"], EXCLUDED

    scopes = reach(program, edges)
    checksums = crate_checksums(lock)
    components, depends = {}, {}
    for node, scope in scopes.items():
        package = packages[node]
        reference = crate_reference(package)
        component = {
            "type": "library",
            "bom-ref": reference,
            "name": package["name"],
            "version": package["version"],
            "scope": scope,
            "licenses": licences(package.get("license")),
        }
        if package["source"]:
            component["purl"] = reference
            checksum = checksums.get((package["name"], package["version"]))
            if not checksum:
                raise Refused(f"Cargo.lock has no checksum of {package['name']} {package['version']}")
            component["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        if package.get("repository"):
            component["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
        components[reference] = component
        # Within a macro everything is reached that is reached at all.
        depends[reference] = sorted({crate_reference(packages[other]) for other, _ in edges(node, scope)})
    return crate_reference(packages[program[0]]), components, depends


def crate_reference(package):
    return f"pkg:cargo/{quote(package['name'])}@{quote(package['version'])}"


# npm


def package_name(path):
    return path.rsplit("node_modules/", 1)[-1]


def resolve(packages, path, name):
    """Where node finds `name` for the package at `path`: in its own node_modules, or in those of the folders above."""
    while True:
        candidate = f"{path}/node_modules/{name}" if path else f"node_modules/{name}"
        if candidate in packages:
            entry = packages[candidate]
            return entry["resolved"] if entry.get("link") else candidate
        if not path:
            return None
        path = path.rpartition("/node_modules/")[0] if "/node_modules/" in path else ""


def npm_edges(packages):
    def edges(path, scope):
        entry = packages[path]
        optional = {name for name, meta in entry.get("peerDependenciesMeta", {}).items() if meta.get("optional")}
        wanted = [(name, True) for name in entry.get("dependencies", {})]
        wanted += [(name, False) for name in entry.get("optionalDependencies", {})]
        wanted += [(name, False) for name in entry.get("peerDependencies", {}) if name not in optional]
        for name, must in wanted:
            found = resolve(packages, path, name)
            if found is None and must and name not in entry.get("optionalDependencies", {}):
                raise Refused(f"package-lock.json has no {name} for {path}")
            if found is not None:
                yield found, scope
        if path == DASHBOARD:
            for name in entry.get("devDependencies", {}):
                found = resolve(packages, path, name)
                if found is None:
                    raise Refused(f"package-lock.json has no {name} for {path}")
                yield found, EXCLUDED

    return edges


def npm_components(lock):
    packages = lock["packages"]
    if DASHBOARD not in packages:
        raise Refused(f"package-lock.json does not know {DASHBOARD}")
    edges = npm_edges(packages)
    scopes = reach([DASHBOARD], edges)
    components, depends = {}, {}
    for path, scope in scopes.items():
        entry = packages[path]
        reference = npm_reference(packages, path)
        component = components.get(reference)
        if component is None:
            group, _, name = entry.get("name", package_name(path)).rpartition("/")
            component = {
                "type": "library",
                "bom-ref": reference,
                **({"group": group} if group else {}),
                "name": name,
                "version": entry["version"],
                "scope": scope,
                "licenses": licences(entry.get("license")),
            }
            # What has an archive in a registry; the rest is ours.
            if entry.get("integrity"):
                component["purl"] = reference
                component["hashes"] = [integrity_hash(entry["integrity"])]
            components[reference] = component
            depends[reference] = []
        # The same version may lie in several places.
        component["scope"] = REQUIRED if REQUIRED in (scope, component["scope"]) else EXCLUDED
        depends[reference] = sorted({*depends[reference], *(npm_reference(packages, other) for other, _ in edges(path, scope))})
    return npm_reference(packages, DASHBOARD), components, depends


def npm_reference(packages, path):
    name = packages[path].get("name", package_name(path))
    return f"pkg:npm/{quote(name, safe='/')}@{quote(packages[path]['version'])}"


def integrity_hash(integrity):
    algorithm, _, encoded = integrity.split()[0].partition("-")
    names = {"sha512": "SHA-512", "sha256": "SHA-256", "sha1": "SHA-1"}
    if algorithm not in names:
        raise Refused(f"{algorithm} is no hash that this script knows")
    return {"alg": names[algorithm], "content": base64.b64decode(encoded).hex()}


# The document


def document(metadata, cargo_lock, npm_lock, timestamp):
    program, crates, crate_edges = rust_components(metadata, cargo_lock)
    dashboard, packages, package_edges = npm_components(npm_lock)
    version = crates[program]["version"]
    root = {
        "type": "application",
        "bom-ref": f"plasma@{version}",
        "name": "plasma",
        "version": version,
        "description": "Self-hosted AI content platform: the program with its dashboard inside",
        "licenses": crates[program]["licenses"],
    }
    components = {**crates, **packages}
    depends = {root["bom-ref"]: [program, dashboard], **crate_edges, **package_edges}
    bill = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": timestamp,
            "lifecycles": [{"phase": "build"}],
            "tools": {"components": [{"type": "application", "name": "scripts/sbom.py", "version": version}]},
            "component": root,
            "properties": [{"name": "plasma:platform", "value": PLATFORM}],
        },
        "components": [components[reference] for reference in sorted(components)],
        "dependencies": [{"ref": reference, "dependsOn": depends[reference]} for reference in sorted(depends)],
    }
    check(bill)
    digest = hashlib.sha256(json.dumps(bill, sort_keys=True).encode()).hexdigest()
    bill["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest)}"
    return bill


def check(bill):
    """What a reader of the document relies on."""
    references = [component["bom-ref"] for component in bill["components"]]
    known = {*references, bill["metadata"]["component"]["bom-ref"]}
    if len(known) != len(references) + 1:
        raise Refused("a component is there twice")
    for edge in bill["dependencies"]:
        unknown = [reference for reference in (edge["ref"], *edge["dependsOn"]) if reference not in known]
        if unknown:
            raise Refused(f"{edge['ref']} depends on {unknown}, which are not there")
    for component in bill["components"]:
        if component.get("purl") and not component.get("hashes"):
            raise Refused(f"{component['bom-ref']} has no hash")


def timestamp_of_sources():
    seconds = os.environ.get("SOURCE_DATE_EPOCH")
    if not seconds:
        command = ["git", "log", "-1", "--format=%ct"]
        seconds = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    return datetime.fromtimestamp(int(seconds), tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="the file to write")
    output = parser.parse_args().output
    try:
        cargo_lock = tomllib.loads((ROOT / "Cargo.lock").read_text(encoding="utf-8"))
        npm_lock = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))
        bill = document(cargo_metadata(), cargo_lock, npm_lock, timestamp_of_sources())
    except (Refused, subprocess.CalledProcessError) as error:
        print(f"no bill of materials: {error}", file=sys.stderr)
        return 1
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(bill, indent=1) + "\n", encoding="utf-8")
    parts = [component for component in bill["components"] if component["scope"] == REQUIRED]
    unlicensed = [component["bom-ref"] for component in bill["components"] if not component["licenses"]]
    print(f"{output}: {len(bill['components'])} components, {len(parts)} of them in the program, {len(unlicensed)} without a stated licence")
    return 0


if __name__ == "__main__":
    sys.exit(main())
