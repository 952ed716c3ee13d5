#!/usr/bin/env python3
"""Plasma's gateway through the official packages `openai`, `anthropic` and `google-genai`, to every kind of provider.

The providers are simulated by aimock (see `package.json`). Needs a running server and

    PLASMA_URL      its address, such as http://127.0.0.1:8080
    PLASMA_API_KEY  a key that may write and call models

Prints one line for each check and ends with status 1 if any failed. `docs/gateway-matrix.md` must say what came of it;
`--matrix FILE` writes that page instead. `--only TEXT` runs the checks whose line contains it.
"""

import argparse
import concurrent.futures
import difflib
import functools
import json
import pathlib
import sys
import tempfile
import traceback

import anthropic
import openai
from google import genai

from gateway import failures, features, matrix, plasma
from gateway.clients_anthropic import Messages
from gateway.clients_gemini import GenerateContent
from gateway.clients_openai import ChatCompletions, Responses
from gateway.features import FEATURES, Cell
from gateway.plasma import KINDS
from gateway.questions import Failed
from gateway.upstream import AIMOCK, Recorder, aimock

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs/gateway-matrix.md"
# Most of a check is waiting.
THREADS = 8


def checks(clients, recorder):
    """All checks: their place in the matrix, their line, and what runs them."""
    number = 0
    for client in clients:
        for kind in KINDS:
            for title, feature in FEATURES:
                for streamed in (False, True):
                    number += 1
                    name = f"{title}, streamed" if streamed else title
                    cell = Cell(client, kind, recorder, f"check-{number}-", streamed)
                    run = functools.partial(features.run, cell, feature)
                    yield ("feature", client.short, kind.name, name), run
            for name, failure in failures.FAILURES.items():
                for what, function in (("raised", failures.raised), ("route", failures.goes_on)):
                    number += 1
                    run = functools.partial(function, client, kind, recorder, f"check-{number}-", name)
                    if what == "route" or failure.status:
                        yield (what, client.short, kind.name, name), run


def line_of(place):
    what, client, kind, name = place
    before = {"feature": "", "raised": "fails with ", "route": "in a route, "}[what]
    return f"{client} to {kind}: {before}{name}"


def run_all(recorder, only):
    """Runs the checks and prints their lines; gives the clients, what came of each check, and how many failed."""
    clients = [ChatCompletions(), Responses(), Messages(), GenerateContent()]
    chosen = [(place, run) for place, run in checks(clients, recorder) if only in line_of(place)]
    results, failed = {}, 0
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        futures = [(place, pool.submit(run)) for place, run in chosen]
        for place, future in futures:
            try:
                results[place] = future.result()
                print(f"ok      {line_of(place)} ({results[place]})", flush=True)
            except Exception as error:  # each check stands for itself, whatever goes wrong in it
                failed += 1
                results[place] = "FAILED"
                print(f"FAILED  {line_of(place)}: {type(error).__name__}: {error}", flush=True)
                if not isinstance(error, Failed):
                    traceback.print_exception(error, limit=-4)
    return clients, results, failed


def is_as_documented(page):
    documented = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    difference = list(
        difflib.unified_diff(documented.splitlines(), page.splitlines(), str(PAGE.name), "this run", n=0, lineterm="")
    )
    if difference:
        print(f"FAILED  {PAGE.name} says what this run found: if it changed for a reason, run `make gateway-matrix`")
        print("\n".join(difference))
        return False
    print(f"ok      {PAGE.name} says what this run found")
    return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--matrix", type=pathlib.Path, help="write the conformance matrix there")
    parser.add_argument("--only", default="", help="run the checks whose line contains this")
    options = parser.parse_args()
    if not plasma.KEY:
        sys.exit("PLASMA_API_KEY is not set: it must hold a key of the server at PLASMA_URL")
    packages = f"openai {openai.__version__}, anthropic {anthropic.__version__}, google-genai {genai.__version__}"
    version = json.loads((AIMOCK.parent.parent / "package.json").read_text(encoding="utf-8"))["version"]
    with tempfile.TemporaryDirectory() as folder, aimock(f"{folder}/aimock.log") as port:
        recorder = Recorder(port)
        plasma.remove_all()
        try:
            plasma.add_all(recorder.url, failures.FAILURES, ["direct", "chat", "responses", "messages", "gemini"])
            clients, results, failed = run_all(recorder, options.only)
        finally:
            plasma.remove_all()
    total = len(results)
    if not options.only:
        titles = [title for title, _ in FEATURES]
        page = matrix.page(clients, KINDS, titles, failures.FAILURES, results, packages, version)
        if failed:
            print("the matrix is neither written nor compared: some checks failed")
        elif options.matrix:
            options.matrix.write_text(page, encoding="utf-8")
        else:
            total += 1
            failed += not is_as_documented(page)
    print(f"with {packages} and aimock {version} against {plasma.URL}")
    print(f"{total - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
