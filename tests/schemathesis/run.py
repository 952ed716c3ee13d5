#!/usr/bin/env python3
"""Sends generated requests to every operation of a running server's specification, and counts the operations that hold what it promises.

    run.py URL KEY LOG SECONDS

URL is that of a server that is there for this only, KEY an API key of its owner, LOG the file with its log. Held must be: no status of
500 and above, no undocumented status, no undocumented media type, no body or header that differs from its schema; and, whatever was
sent, the server lives, nothing panicked, and nothing failed inside. The last line has the counts.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import xml.etree.ElementTree as ElementTree
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]
# Which end the run's own access, or are no exchange of request and answer.
LEFT_OUT = re.compile(
    r"^(logout|watch_live|(delete|suspend|erase|leave)_(tenant|workspace)|(put|set|change|update)_(login_policy|sign_in_policy|security)"
    r"|shred_.*|revoke_(all|other)_sessions)$"
)
# After the time for sending: reading the specification, the last requests, the report.
MARGIN_SECONDS = 180
# For an operation whose requests could not be generated the first time.
AGAIN_SECONDS = 30
SHOWN_LINES = 40
# Of the operations this share must be reached, or the time was too short to say anything.
REACHED_MIN = 0.9


def get(url, key):
    request = urllib.request.Request(url, headers={"authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def own_key_id(url, key):
    cursor = ""
    while True:
        page = get(f"{url}/api/v1/api-keys?limit=200{cursor}", key)
        for one in page["data"]:
            if key.startswith(one["prefix"]):
                return one["id"]
        if not page["has_more"]:
            sys.exit("the key of this run is not in the server's list of keys")
        cursor = f"&cursor={page['next_cursor']}"


def operations(specification):
    methods = {"get", "put", "post", "delete", "patch"}
    for path, item in specification["paths"].items():
        for method, operation in item.items():
            if method in methods and not LEFT_OUT.match(operation["operationId"]):
                yield f"{method.upper()} {path}"


def send(url, key, seconds, report, only=None):
    """Runs schemathesis, for one operation when `only` names it; returns its output."""
    chosen = ["--workers", "2", "--exclude-operation-id-regex", LEFT_OUT.pattern]
    if only:
        method, path = only.split(" ", 1)
        chosen = ["--workers", "1", "--include-method", method, "--include-path", path]
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json",
        "--header", f"Authorization: Bearer {key}",
        "--checks", ",".join(CHECKS),
        "--phases", "examples,coverage,fuzzing,stateful",
        *chosen,
        "--max-time", str(seconds),
        "--max-examples", "12",
        "--seed", os.environ.get("PLASMA_TEST_SEED", "20261127"),
        "--generation-database", "none",
        "--request-timeout", "90",
        "--continue-on-failure",
        "--suppress-health-check", "all",
        "--warnings", "off",
        "--report-junit-path", str(report),
        "--no-color",
    ]  # fmt: skip
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": str(HERE / "hooks.py"),
        "PLASMA_OWN_KEY_ID": own_key_id(url, key),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        command, env=environment, cwd=report.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=seconds + MARGIN_SECONDS, check=False,
    )  # fmt: skip
    return done.stdout


def read(report):
    """Each operation that was reached, with what was wrong about it."""
    found = {}
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        faults = [fault.text or fault.get("message") or "" for fault in case if fault.tag in ("failure", "error")]
        if faults or not any(child.tag == "skipped" for child in case):
            found.setdefault(case.get("name", ""), []).extend(faults)
    return found


def send_again(url, key, found, folder):
    """Its own two threads sometimes trip each other up, which says nothing of the server: such an operation has another run alone."""
    for name, faults in found.items():
        own = [fault for fault in faults if fault.strip().startswith("Runtime Error")]
        if not own:
            continue
        report = folder / "again.xml"
        report.unlink(missing_ok=True)
        try:
            send(url, key, AGAIN_SECONDS, report, only=name)
        except subprocess.TimeoutExpired:
            continue
        if report.exists():
            found[name] = [fault for fault in faults if fault not in own] + read(report).get(name, own)


def after(url, key, log):
    """What must hold of the server when all was sent: pairs of a name and whether it does."""
    try:
        alive = get(f"{url}/healthz", key).get("status") == "ok"
    except (OSError, urllib.error.URLError):
        alive = False
    try:
        let_in = "permissions" in get(f"{url}/api/v1/me", key)
    except (OSError, urllib.error.URLError):
        let_in = False
    written = Path(log).read_text(errors="replace")
    return [
        ("the server lives", alive),
        ("the run still has its access, so that what it asked was answered", let_in),
        ("nothing panicked", "panicked at" not in written and ": a panic place=" not in written),
        ("nothing failed inside", "request failed" not in written),
    ]


def main():
    url, key, log, seconds = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    expected = set(operations(get(f"{url}/openapi.json", key)))
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        try:
            output = send(url, key, seconds, report)
        except subprocess.TimeoutExpired:
            print(f"schemathesis did not end within {seconds + MARGIN_SECONDS} seconds\n0 passed, 1 failed")
            return 1
        if not report.exists():
            print(output[-4_000:])
            print("0 passed, 1 failed")
            return 1
        found = read(report)
        send_again(url, key, found, report.parent)
    for name, faults in sorted(found.items()):
        for fault in faults:
            lines = fault.strip().splitlines()
            print(f"\n{name}:", *lines[:SHOWN_LINES], *(["…"] if len(lines) > SHOWN_LINES else []), sep="\n    ")
    results = [(name, not faults) for name, faults in found.items()]
    results += after(url, key, log)
    reached = expected & set(found)
    enough = len(reached) >= REACHED_MIN * len(expected)
    results.append((f"{len(reached)} of {len(expected)} operations were reached in {seconds} seconds", enough))
    print()
    for name, held in results[len(found):]:
        print(f"{'held' if held else 'BROKEN'}: {name}")
    failed = [name for name, held in results if not held]
    for name in failed:
        print(f"failed: {name}")
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
