"""What must not happen while schemathesis sends generated requests to a server that is there for nothing else.

Nothing leaves the machine: an address in a body is replaced by one at which nobody answers. The run does not cut off its own branch:
its API key is not revoked. A model writes two tokens, not two hundred.
"""

import os

import schemathesis

# Nothing listens on the port for `discard`.
NOWHERE = "http://127.0.0.1:9/v1"
OWN_KEY = os.environ["PLASMA_OWN_KEY_ID"]
# A well-formed id of nothing.
UNKNOWN_KEY = "key_" + "0" * 26
TOKENS_MAX = 2
# What is answered, and rightly, when somebody else's server is called and nobody is there.
NOBODY_THERE = ("provider_unreachable", "outbound_failed", "hub_unreachable")


def kept_here(value):
    """The same value with every address in it replaced."""
    if isinstance(value, str):
        return NOWHERE if value.lower().startswith(("http://", "https://")) else value
    if isinstance(value, list):
        return [kept_here(item) for item in value]
    if isinstance(value, dict):
        return {key: kept_here(item) for key, item in value.items()}
    return value


def shorten(path, body):
    """Asks a model for a few tokens only, where the request is one that a model would answer."""
    if path == "/v1/chat/completions" or path == "/anthropic/v1/messages":
        field = "max_tokens"
    elif path == "/v1/responses":
        field = "max_output_tokens"
    elif path.startswith("/gemini/"):
        config = body.get("generationConfig", {})
        if isinstance(config, dict):
            body["generationConfig"] = {**config, "maxOutputTokens": TOKENS_MAX}
        return
    else:
        return
    limit = body.get(field, TOKENS_MAX)
    if isinstance(limit, int) and not isinstance(limit, bool) and limit >= TOKENS_MAX:
        body[field] = TOKENS_MAX


def unlimited(body):
    """The run does not take its own time away: a plan says nothing of requests a minute."""
    limits = body.get("limits")
    if isinstance(limits, list):
        body["limits"] = [
            one for one in limits if not (isinstance(one, dict) and one.get("resource") == "requests_per_minute")
        ]


@schemathesis.hook
def before_call(context, case, **kwargs):
    if isinstance(case.body, (dict, list)):
        case.body = kept_here(case.body)
    if isinstance(case.body, dict):
        shorten(case.path, case.body)
        unlimited(case.body)
    for name, value in list((case.path_parameters or {}).items()):
        if value == OWN_KEY:
            case.path_parameters[name] = UNKNOWN_KEY


@schemathesis.hook
def filter_failure(context, failure, case, response):
    content = response.content or b""
    return not (response.status_code == 502 and any(reason.encode() in content for reason in NOBODY_THERE))
