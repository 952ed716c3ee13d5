"""What every client can do with every kind of provider: each function is a row of the matrix."""

import re
from dataclasses import dataclass

from gateway import headers
from gateway.plasma import KEY, Kind
from gateway.questions import (
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    PICTURE,
    PICTURE_TYPE,
    TEMPERATURE,
    TOKENS_MAX,
    WEATHER,
    Client,
    Person,
    Question,
    check,
    equal,
)
from gateway.upstream import Recorder


@dataclass
class Cell:
    """One client, one kind of provider."""

    client: Client
    kind: Kind
    recorder: Recorder
    # Stands in every prompt, so that the recorder knows whose request it is.
    marker: str
    streamed: bool

    def __post_init__(self):
        self.warnings = []

    def question(self, prompt, **rest):
        return Question(f"{prompt} [{self.marker}]", **rest)

    def ask(self, question, history=()):
        """The reply and what the provider was told, after the checks that hold for every exchange."""
        headers.forget()
        before = len(self.recorder.told(self.marker))
        reply = self.client.ask(self.kind.works(), question, self.streamed, history)
        requests = self.recorder.told(self.marker)[before:]
        equal(len(requests), 1, "requests to the provider")
        (told,) = requests
        self.warnings += [warning for warning in headers.last("plasma-warning") if warning not in self.warnings]
        equal(headers.last("plasma-model"), [self.kind.works()], "the header plasma-model")
        equal(reply.model, self.kind.works(), "the answer's model")
        equal((reply.input_tokens, reply.output_tokens), (INPUT_TOKENS, OUTPUT_TOKENS), "the answer's usage")
        sent = told.headers.get(self.kind.header, "")
        check(sent.startswith(self.kind.value), f"the provider's key came as {sent!r} in {self.kind.header}")
        check(KEY not in told.text and KEY not in str(told.headers), "the caller's key reached the provider")
        check(
            told.body.get("model") == self.kind.model or f"/{self.kind.model}" in told.path,
            f"the model is neither in {told.path} nor {told.body.get('model')!r}",
        )
        equal(told.streamed, self.streamed, "whether the provider was asked for a stream")
        equal(told.prompt, question.prompt, "the prompt")
        equal(told.tokens_max, TOKENS_MAX, "the limit of tokens")
        if self.streamed and len(reply.text) > 16:
            check(reply.pieces >= 2, f"the stream's text came in {reply.pieces} pieces")
        return reply, told


def text(cell):
    system = "Answer in one sentence."
    reply, told = cell.ask(
        cell.question("What is the capital of France?", system=system, temperature=TEMPERATURE)
    )
    equal(reply.text, "Paris is the capital of France.", "the text")
    equal(reply.stop, "end", "why it stopped")
    equal(told.system, system, "the system's text")
    equal(told.temperature, TEMPERATURE, "the temperature")


def limit(cell):
    reply, _ = cell.ask(cell.question("Write without end."))
    equal(reply.text, "One, two, three,", "the text")
    equal(reply.stop, "length", "why it stopped")


def tools(cell):
    _tool_loop(cell, "What is the weather in Paris?", {"Paris": "18 degrees"}, "It is 18 degrees in Paris.")


def parallel_tools(cell):
    results = {"Oslo": "7 degrees", "Rome": "25 degrees"}
    _tool_loop(cell, "Compare Oslo and Rome.", results, "Rome is warmer than Oslo.")


def _tool_loop(cell, prompt, results, answer, thinks=False):
    question = cell.question(prompt, has_tool=True, thinks=thinks)
    reply, told = cell.ask(question)
    name, _, parameters = WEATHER
    arguments = [{"city": city, "unit": "celsius"} for city in results]
    equal([(call.name, call.arguments) for call in reply.calls], [(name, each) for each in arguments], "the calls")
    equal(reply.stop, "tools", "why it stopped")
    equal(list(told.tools), [name], "the tools")
    equal(_shape(told.tools[name]), _shape(parameters), "the tool's parameters")
    check(len({call.id for call in reply.calls}) == len(results), f"the calls' ids: {reply.calls}")
    first_answer = told.answer
    given = {call.id: results[call.arguments["city"]] for call in reply.calls}
    final, told = cell.ask(question, [(reply, given)])
    equal(told.calls, [(name, each) for each in arguments], "the calls in the second request")
    equal(len(told.results), len(results), "the results in the second request")
    for got, wanted in zip(told.results, results.values(), strict=True):
        check(wanted in got, f"the result {wanted!r} came as {got!r}")
    equal(final.text, answer, "the text after the results")
    equal(final.stop, "end", "why it stopped after the results")
    return reply, final, first_answer, told


def _shape(schema):
    """A schema without what packages and protocols write in different ways."""
    properties = schema["properties"]
    types = {name: (value["type"].lower(), value.get("enum")) for name, value in properties.items()}
    return types, sorted(schema["required"])


def picture(cell):
    reply, told = cell.ask(cell.question("What is in this picture?", has_picture=True))
    equal(told.pictures, [(PICTURE_TYPE, PICTURE)], "the pictures")
    equal(reply.text, "A single red pixel.", "the text")


def structured(cell):
    reply, told = cell.ask(cell.question("Extract the person: Ada Lovelace died at 36.", wants_person=True))
    check(told.schema, "the schema did not reach the provider")
    equal(_shape(told.schema), ({"name": ("string", None), "age": ("integer", None)}, ["age", "name"]), "the schema")
    equal(reply.parsed, Person(name="Ada Lovelace", age=36), "the object that the package made")


def thinking(cell):
    reply, told = cell.ask(cell.question("How many r are in strawberry?", thinks=True))
    check(told.thinking, "the provider was not asked to think")
    equal(reply.thoughts, "Counting letter by letter: three.", "the thoughts")
    equal(reply.text, "There are three.", "the text")
    equal(reply.stop, "end", "why it stopped")


def thinking_tools(cell):
    prompt = "Do I need a coat in Bergen?"
    reply, final, first_answer, told = _tool_loop(
        cell, prompt, {"Bergen": "9 degrees"}, "Yes, take a coat.", thinks=True
    )
    equal(reply.thoughts, "The weather in Bergen decides.", "the thoughts before the call")
    equal(final.thoughts, "Nine degrees is cold.", "the thoughts after the result")
    seals = _seals(first_answer)
    for seal in seals:
        check(seal in told.text, f"the provider's seal {seal!r} of its thoughts did not come back to it")
    return "the provider's seal came back to it" if seals else None


def _seals(answer):
    """What a provider wants back with its thoughts: Anthropic's signatures, the Responses API's encrypted content."""
    return set(re.findall(r'"(?:signature|encrypted_content)":\s*"([^"]+)"', answer))


FEATURES = [
    ("text", text),
    ("an answer cut at the limit of tokens", limit),
    ("a tool's call and its result", tools),
    ("two calls at once and their results", parallel_tools),
    ("a picture (base64)", picture),
    ("an answer by a JSON schema", structured),
    ("thinking", thinking),
    ("thinking, a tool's call and its result", thinking_tools),
]


def run(cell, feature):
    """The words of the matrix for what came of it."""
    try:
        note = feature(cell)
    except cell.client.errors[400] as error:
        message = getattr(error, "message", str(error))
        return f"refused: {message}"
    words = "carried"
    if note:
        words += f"; {note}"
    if cell.warnings:
        words += ", with warning " + ", ".join(f"`{warning}`" for warning in cell.warnings)
    return words
