"""The real program on a data folder and a free port of 127.0.0.1, and what is asked of it over HTTP."""

import http.client
import json
import os
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
API_KEY = "plk_eval0000000000000000000000000000000000000000000000"
ANSWER_SECONDS_MAX = 120
STOP_SECONDS_MAX = 60
# Servers close connections that nobody uses; one that was idle for longer than this is not used again.
IDLE_SECONDS_MAX = 2
# Settings of the caller's own server must not reach this one.
KEPT_SETTINGS = ("PLASMA_MODELS_DIR", "PLASMA_CACHE_DIR")


def build():
    """Builds the program, unless it is up to date, and says where it is."""
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet", "--workspace", "--bin", "plasma"], check=True, cwd=ROOT)
    return Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "release" / "plasma"


class Server:
    """`with Server(program, data) as server:` starts it and waits until it is ready; at the end it is stopped."""

    def __init__(self, program, data):
        self.program, self.data = program, data

    def __enter__(self):
        self.data.mkdir(parents=True, exist_ok=True)
        settings = {name: value for name, value in os.environ.items() if not name.startswith("PLASMA_") or name in KEPT_SETTINGS}
        self.log = open(self.data / "server.log", "ab")
        self.process = subprocess.Popen(
            [self.program, "serve", "--listen", "127.0.0.1:0", "--data-dir", self.data],
            env={**settings, "PLASMA_BOOTSTRAP_API_KEY": API_KEY},
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        for line in self.process.stdout:
            before, _, address = line.partition("is ready at http://")
            if address:
                self.connection = http.client.HTTPConnection(address.strip(), timeout=ANSWER_SECONDS_MAX)
                self.used_at = time.monotonic()
                return self
        self.__exit__()
        raise SystemExit(f"plasma ended before it was ready; {self.data / 'server.log'} says why")

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def ask(self, method, path, body=None):
        """The answer's JSON; anything but a success ends the program with what the server says."""
        if time.monotonic() - self.used_at > IDLE_SECONDS_MAX:
            # The next request opens it again.
            self.connection.close()
        headers = {"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/json"}
        self.connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self.connection.getresponse()
        content = answer.read()
        self.used_at = time.monotonic()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path} was answered with {answer.status}: {content[:500].decode('utf-8', 'replace')}")
        return json.loads(content)

    def ingest(self, name, documents):
        """Brings documents into a new collection and waits until they are searchable. Returns its id, and each document's key by its
        id."""
        collection = self.ask("POST", "/api/v1/collections", {"name": name})["id"]
        keys = {}
        for document in documents:
            body = {"title": document.title, "text": document.text, "key": document.key, "metadata": {"tagged": document.tagged}}
            keys[self.ask("POST", f"/api/v1/collections/{collection}/documents", body)["id"]] = document.key
        begun, told = time.monotonic(), 0.0
        while True:
            state = self.ask("GET", f"/api/v1/collections/{collection}")
            if state["failed_count"] > 0:
                raise SystemExit(f"{state['failed_count']} documents of `{name}` could not be read")
            took = time.monotonic() - begun
            if state["ready_count"] == state["document_count"]:
                print(f"{name}: {state['document_count']:,} documents, {state['chunk_count']:,} passages, {took:.0f} s", flush=True)
                return collection, keys
            if took - told >= 15:
                told = took
                print(f"{name}: {state['ready_count']:,} of {state['document_count']:,} documents after {took:.0f} s", flush=True)
            time.sleep(0.5)

    def search(self, collection, query, mode, limit, tagged_only):
        """The ids of the documents that have the best passages, each once, best first."""
        # Without folding: the labels count near-identical documents one by one.
        body = {"collection": collection, "query": query, "mode": mode, "limit": limit, "deduplicate": False}
        if tagged_only:
            body["filter"] = {"tagged": True}
        answer = self.ask("POST", "/api/v1/search", body)
        if answer["mode"] != mode:
            raise SystemExit(f"a search in the mode {mode} was answered in the mode {answer['mode']}: {'; '.join(answer['warnings'])}")
        return list(dict.fromkeys(hit["document_id"] for hit in answer["results"]))
