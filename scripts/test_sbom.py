#!/usr/bin/env python3
"""The bill of materials of a small program: what is in it, what only builds it, and what is left out."""

import copy
import sys
import unittest

sys.dont_write_bytecode = True

import sbom

REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


def crate(name, kind="lib", ours=False, licence="MIT"):
    return {
        "id": f"{name} 1.0.0",
        "name": name,
        "version": "1.0.0",
        "license": licence,
        "source": None if ours else REGISTRY,
        "repository": None,
        "targets": [{"kind": [kind]}],
    }


def node(name, **dependencies):
    deps = [{"pkg": f"{other.replace('_', '-')} 1.0.0", "dep_kinds": [{"kind": kind} for kind in kinds]} for other, kinds in dependencies.items()]
    return {"id": f"{name} 1.0.0", "deps": deps}


METADATA = {
    "packages": [
        crate("plasma-server", ours=True, licence="Apache-2.0"),
        crate("web", licence="MIT/Apache-2.0"),
        crate("derive", kind="proc-macro"),
        crate("syntax"),
        crate("compiler"),
        crate("shared"),
        crate("testing"),
    ],
    "resolve": {
        "nodes": [
            node("plasma-server", web=[None], derive=[None], compiler=["build"], testing=["dev"], shared=["dev", None]),
            node("web", shared=[None]),
            node("derive", syntax=[None]),
            node("syntax", shared=[None]),
            node("compiler"),
            node("shared"),
            node("testing"),
        ]
    },
}
CARGO_LOCK = {"package": [{"name": package["name"], "version": "1.0.0", "checksum": "ab" * 32} for package in METADATA["packages"]]}
NPM_LOCK = {
    "packages": {
        "": {"name": "plasma"},
        "apps/web": {"name": "@plasma/web", "version": "0.1.0", "license": "Apache-2.0", "dependencies": {"view": "1", "@plasma/client": "0"}, "devDependencies": {"check": "1"}},
        "packages/client": {"name": "@plasma/client", "version": "0.1.0", "license": "Apache-2.0"},
        "node_modules/@plasma/client": {"resolved": "packages/client", "link": True},
        "node_modules/view": {"version": "1.0.0", "license": "MIT", "integrity": "sha512-q6s=", "dependencies": {"@parts/base": "2"}, "optionalDependencies": {"absent": "1"}, "peerDependencies": {"peer": "1", "never": "1"}, "peerDependenciesMeta": {"never": {"optional": True}}},
        "node_modules/view/node_modules/@parts/base": {"version": "2.0.0", "license": "ISC", "integrity": "sha512-q6s="},
        "node_modules/@parts/base": {"version": "1.0.0", "license": "ISC", "integrity": "sha512-q6s="},
        "node_modules/peer": {"version": "1.0.0", "license": "MIT", "integrity": "sha512-q6s="},
        "node_modules/check": {"version": "1.0.0", "license": "MIT", "integrity": "sha512-q6s=", "dependencies": {"@parts/base": "1", "peer": "1"}},
        "node_modules/other": {"version": "1.0.0", "license": "MIT", "integrity": "sha512-q6s="},
    }
}


def bill():
    return sbom.document(METADATA, CARGO_LOCK, NPM_LOCK, "2026-01-01T00:00:00Z")


class Bill(unittest.TestCase):
    def test_what_builds_the_program_is_told_from_what_is_in_it(self):
        scopes = {component["bom-ref"]: component["scope"] for component in bill()["components"]}
        self.assertEqual(
            scopes,
            {
                "pkg:cargo/plasma-server@1.0.0": "required",
                "pkg:cargo/web@1.0.0": "required",
                "pkg:cargo/shared@1.0.0": "required",
                "pkg:cargo/derive@1.0.0": "excluded",
                "pkg:cargo/syntax@1.0.0": "excluded",
                "pkg:cargo/compiler@1.0.0": "excluded",
                "pkg:npm/%40plasma/web@0.1.0": "required",
                "pkg:npm/%40plasma/client@0.1.0": "required",
                "pkg:npm/view@1.0.0": "required",
                "pkg:npm/%40parts/base@2.0.0": "required",
                "pkg:npm/%40parts/base@1.0.0": "excluded",
                "pkg:npm/peer@1.0.0": "required",
                "pkg:npm/check@1.0.0": "excluded",
            },
        )

    def test_a_component_has_its_licence_and_its_hash(self):
        components = {component["bom-ref"]: component for component in bill()["components"]}
        web = components["pkg:cargo/web@1.0.0"]
        self.assertEqual(web["licenses"], [{"expression": "MIT OR Apache-2.0"}])
        self.assertEqual(web["hashes"], [{"alg": "SHA-256", "content": "ab" * 32}])
        base = components["pkg:npm/%40parts/base@2.0.0"]
        self.assertEqual((base["group"], base["name"], base["purl"]), ("@parts", "base", "pkg:npm/%40parts/base@2.0.0"))
        self.assertEqual(base["hashes"], [{"alg": "SHA-512", "content": "abab"}])
        self.assertNotIn("purl", components["pkg:cargo/plasma-server@1.0.0"])

    def test_edges_lead_to_what_is_there(self):
        edges = {edge["ref"]: edge["dependsOn"] for edge in bill()["dependencies"]}
        self.assertEqual(edges["plasma@1.0.0"], ["pkg:cargo/plasma-server@1.0.0", "pkg:npm/%40plasma/web@0.1.0"])
        self.assertEqual(edges["pkg:npm/view@1.0.0"], ["pkg:npm/%40parts/base@2.0.0", "pkg:npm/peer@1.0.0"])
        self.assertNotIn("pkg:cargo/testing@1.0.0", edges["pkg:cargo/plasma-server@1.0.0"])

    def test_the_same_sources_give_the_same_document(self):
        self.assertEqual(bill(), bill())
        other = sbom.document(METADATA, CARGO_LOCK, NPM_LOCK, "2026-01-02T00:00:00Z")
        self.assertNotEqual(other["serialNumber"], bill()["serialNumber"])

    def test_sources_that_do_not_fit_are_refused(self):
        for change in (
            lambda metadata, cargo, npm: cargo["package"][1].pop("checksum"),
            lambda metadata, cargo, npm: metadata["packages"].pop(0),
            lambda metadata, cargo, npm: npm["packages"].pop("node_modules/check"),
            lambda metadata, cargo, npm: npm["packages"].pop("apps/web"),
            lambda metadata, cargo, npm: npm["packages"]["node_modules/view"].update(integrity="md5-q6s="),
        ):
            sources = copy.deepcopy((METADATA, CARGO_LOCK, NPM_LOCK))
            change(*sources)
            with self.assertRaises(sbom.Refused):
                sbom.document(*sources, "2026-01-01T00:00:00Z")


if __name__ == "__main__":
    outcome = unittest.TextTestRunner(stream=sys.stdout, verbosity=1).run(unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__]))
    bad = len(outcome.failures) + len(outcome.errors)
    print(f"{outcome.testsRun - bad} passed, {bad} failed")
    sys.exit(bad > 0)
