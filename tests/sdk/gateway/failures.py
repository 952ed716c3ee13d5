"""What goes wrong at a provider: what the packages raise, and that a route's next candidate answers."""

from dataclasses import dataclass

from gateway import headers
from gateway.plasma import KINDS, call
from gateway.questions import Failed, Question, check, equal

# How long a route waits for the first token of the model that is too slow.
FIRST_TOKEN_MS = 400
# Attempts at a model that a caller names (`ModelsConfig::attempts_max`).
ATTEMPTS = 3


@dataclass(frozen=True)
class Failure:
    """A failure that aimock makes (`fixtures/failures.json`)."""

    title: str
    # What the caller gets; None: nothing fails when a caller names the model.
    status: int | str | None
    says: str = ""
    # What is quoted of the provider's own words.
    quotes: str = ""
    # Whether the same model is asked again, and whether a route goes on to the next.
    again: bool = False
    elsewhere: bool = True
    # Only streams break in the middle.
    streamed_only: bool = False


FAILURES = {
    "rate-limit": Failure("429", 429, "limits the rate of requests", again=True),
    "malformed": Failure("an answer that is no JSON", 502, "does not follow its protocol"),
    "disconnect": Failure("a connection that breaks", 502, "the connection to the provider", again=True),
    "drop": Failure("500", 502, "failed (500)", "Chaos: request dropped", again=True),
    "refused": Failure("400", 400, "refused the request (400)", "dislikes this prompt", elsewhere=False),
    "key": Failure("401", 502, "refused the API key (401)"),
    "unknown": Failure("404", 502, "does not know this model or address (404)"),
    "cut": Failure(
        "a stream that breaks in the middle",
        "stream",
        "the connection to the provider",
        streamed_only=True,
    ),
    "slow": Failure(f"no token within {FIRST_TOKEN_MS} ms, the route's limit", None),
}


def ways(failure):
    return (True,) if failure.streamed_only else (False, True)


def raised(client, kind, recorder, marker, name):
    """What the package raises, whole and streamed; in the words of the matrix."""
    failure = FAILURES[name]
    words = set()
    for streamed in ways(failure):
        own = f"{marker}-{'streamed' if streamed else 'whole'}"
        error = error_of(client, kind.fails(name), Question(f"What is the capital of France? [{own}]"), streamed)
        message = getattr(error, "message", None) or str(error)
        equal(type(error).__name__, client.errors[failure.status].__name__, f"what was raised with {message!r}")
        check(failure.says in message, f"the message is {message!r}")
        # aimock words Bedrock's errors as Anthropic's, which Bedrock never does.
        check(failure.quotes in message or kind.name == "bedrock", f"the message does not quote: {message!r}")
        check("wxyz" not in message, f"the message repeats a part of the key: {message!r}")
        status = getattr(error, "status_code", None) or getattr(error, "code", None)
        if failure.status == "stream":
            check(headers.last("content-type")[0].startswith("text/event-stream"), "the stream did not begin")
            words.add(f"`{type(error).__name__}` after the answer's beginning")
        else:
            equal(status, failure.status, "the status")
            words.add(f"{status} `{type(error).__name__}`")
        if failure.status == 429:
            equal(headers.last("retry-after"), ["1"], "the header retry-after")
        equal(len(recorder.told(own)), ATTEMPTS if failure.again else 1, "attempts")
    return " / ".join(sorted(words))


def error_of(client, model, question, streamed):
    headers.forget()
    try:
        reply = client.ask(model, question, streamed)
    except client.errors["any"] as error:
        return error
    raise Failed(f"nothing was raised; the answer is {reply.text!r}")


def goes_on(client, kind, recorder, marker, name):
    """A route whose first candidate fails; in the words of the matrix."""
    failure = FAILURES[name]
    other = KINDS[(KINDS.index(kind) + 1) % len(KINDS)]
    route = f"sdk-{marker}"
    settings = {
        "strategy": "ordered",
        "candidates": [{"model": kind.fails(name, client.short)}, {"model": other.works()}],
        "attempts_max": 1,
        "on_broken_stream": "continue_on_next" if name == "cut" else "end_with_error",
    }
    if name == "slow":
        settings["first_token_timeout_ms"] = FIRST_TOKEN_MS
    call("PUT", f"/api/v1/routes/{route}", settings)
    try:
        words = {_routed(client, kind, other, recorder, f"{marker}-{streamed}", route, name, streamed)
                 for streamed in ways(failure)}
    finally:
        call("DELETE", f"/api/v1/routes/{route}")
    return " / ".join(sorted(words))


def _routed(client, kind, other, recorder, marker, route, name, streamed):
    question = Question(f"What is the capital of France? [{marker}]")
    if not FAILURES[name].elsewhere:
        error_of(client, route, question, streamed)
        equal(len(recorder.told(marker)), 1, "requests to providers")
        return "the error: the request itself is at fault"
    headers.forget()
    reply = client.ask(route, question, streamed)
    equal(reply.stop, "end", "why it stopped")
    told = recorder.told(marker)
    equal(len(told), 2, "requests to providers")
    first, second = (request.headers.get(each.header, "") for request, each in zip(told, (kind, other), strict=True))
    check(first.startswith(kind.value) and second.startswith(other.value), f"the keys are {first!r} and {second!r}")
    if name == "cut":
        begun = reply.text.removesuffix(" and so the next model went on.")
        check(begun != reply.text and begun, f"the text is {reply.text!r}")
        check("Paris is the capital of France, and this is never".startswith(begun), f"the text begins {begun!r}")
        check(begun in told[1].text, "the next candidate was not told how far the answer had come")
        return "the next candidate goes on in the same stream (`continue_on_next`)"
    equal(reply.text, "Paris is the capital of France.", "the text")
    equal(reply.model, other.works(), "the model")
    (line,) = headers.last("plasma-route")
    check(line.startswith(f"{route};") and line.endswith("attempt=2"), f"the header plasma-route is {line!r}")
    return "the next candidate answers"
