"""Plasma's own API, as far as the checks need it, and the providers that they add."""

import json
import os
import secrets
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass

URL = os.environ.get("PLASMA_URL", "http://127.0.0.1:8080").rstrip("/")
KEY = os.environ.get("PLASMA_API_KEY", "")


def call(method, path, body=None):
    """The answer's JSON, or None when it is empty."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    request = urllib.request.Request(f"{URL}{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            text = response.read()
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode()}") from None
    return json.loads(text) if text else None


# A route asks a model last that has been failing: models of an earlier run at the same server would be.
RUN = secrets.token_hex(3)


def failing(failure, place):
    """The name of a model that fails, for one place where it is used."""
    return f"fails-{failure}-{place}-{RUN}"


@dataclass(frozen=True)
class Kind:
    """A kind of provider as it is called here."""

    name: str
    # As the matrix calls it.
    title: str
    kind: str
    # Its address after the recorder's.
    path: str
    model: str
    credential: str
    options: tuple = ()
    # Where the key must arrive, and as what.
    header: str = "authorization"
    value: str = ""

    def provider(self):
        return f"sdk-{self.name}"

    def works(self):
        return f"{self.provider()}/works"

    def fails(self, failure, place="direct"):
        return f"{self.provider()}/{failing(failure, place)}"


def _bearer(name, title, kind, path, options=()):
    key = f"key-of-{name}"
    return Kind(name, title, kind, path, "gpt-5", key, options, "authorization", f"Bearer {key}")


def _plain(name, title, kind, path, model, header, options=()):
    key = f"key-of-{name}"
    return Kind(name, title, kind, path, model, key, options, header, key)


RESPONSES = (("responses", True),)
KINDS = [
    _bearer("openai", "openai", "openai", "/v1"),
    _bearer("responses", "openai, `responses`", "openai", "/v1", RESPONSES),
    _plain("azure", "azure, dated API", "azure", "", "gpt-5", "api-key"),
    _plain("azure-v1", "azure, `/openai/v1`, `responses`", "azure", "/openai/v1", "gpt-5", "api-key", RESPONSES),
    _plain("anthropic", "anthropic", "anthropic", "/v1", "claude-sonnet-4-5", "x-api-key"),
    _plain("gemini", "gemini", "gemini", "/v1beta", "gemini-2.5-flash", "x-goog-api-key"),
    Kind(
        "bedrock",
        "bedrock",
        "bedrock",
        "",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "AKIAEXAMPLE:secret-of-bedrock",
        (("region", "us-east-1"),),
        "authorization",
        "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/",
    ),
]


def remove_all():
    """Removes what an earlier run or this one added."""
    names = {kind.provider() for kind in KINDS}
    cursor = ""
    found = []
    while True:
        page = call("GET", f"/api/v1/providers?limit=100{cursor}")
        found += [provider["id"] for provider in page["data"] if provider["name"] in names]
        if not page["has_more"]:
            break
        cursor = f"&cursor={urllib.parse.quote(page['next_cursor'])}"
    for provider_id in found:
        call("DELETE", f"/api/v1/providers/{provider_id}")


def add_all(upstream_url, failures, places):
    """Adds a provider of each kind, a model that works and those that fail, one for each place where they are used."""
    for kind in KINDS:
        body = {
            "name": kind.provider(),
            "kind": kind.kind,
            "base_url": f"{upstream_url}{kind.path}",
            "api_key": kind.credential,
            "options": dict(kind.options),
        }
        provider = call("POST", "/api/v1/providers", body)["id"]
        models = {"works": kind.model}
        models |= {failing(failure, place): f"fails-{failure}" for failure in failures for place in places}
        for name, upstream_name in models.items():
            model = {
                "provider": provider,
                "name": name,
                "upstream_name": upstream_name,
                "kind": "chat",
                "input_price_micros_per_million": 1_000_000,
                "output_price_micros_per_million": 2_000_000,
                "currency": "USD",
            }
            call("POST", "/api/v1/models", model)
