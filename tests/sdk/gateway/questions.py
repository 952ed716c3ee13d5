"""What is asked, what a simulated provider answers (see `fixtures/answers.json`), and what a client makes of it."""

import typing
from dataclasses import dataclass, field

import pydantic

# One red pixel.
PICTURE = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFAAH/q842iQAAAABJRU5ErkJggg=="
)
PICTURE_TYPE = "image/png"
TOKENS_MAX = 3000
THINKING_TOKENS = 1024
TEMPERATURE = 0.5
# What every fixture says of its tokens.
INPUT_TOKENS = 21
OUTPUT_TOKENS = 7


class Person(pydantic.BaseModel):
    name: str
    age: int


WEATHER_PARAMETERS = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "description": "The city's name"},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
    },
    "required": ["city", "unit"],
    "additionalProperties": False,
}
WEATHER = ("get_weather", "Tells the weather of a city.", WEATHER_PARAMETERS)


@dataclass
class Question:
    """One conversation's beginning, the same for all clients."""

    prompt: str
    system: str | None = None
    temperature: float | None = None
    has_picture: bool = False
    has_tool: bool = False
    wants_person: bool = False
    thinks: bool = False


@dataclass
class Call:
    """A call of a tool that the model asks for."""

    id: str
    name: str
    arguments: dict


@dataclass
class Reply:
    """An answer as the client's package gave it, in words that all share."""

    text: str
    # `end`, `tools`, `length`, or the protocol's own word.
    stop: str
    input_tokens: int
    output_tokens: int
    model: str
    # What goes back as the assistant's turn.
    turn: object
    thoughts: str = ""
    calls: list[Call] = field(default_factory=list)
    # How many pieces the text of a stream came in.
    pieces: int = 0
    # What the package made of a structured answer.
    parsed: object = None


class Failed(AssertionError):
    """A check that does not hold."""


def check(condition, what):
    if not condition:
        raise Failed(what)


def equal(actual, expected, what):
    if actual != expected:
        raise Failed(f"{what}: {actual!r}, not {expected!r}")


class Client(typing.Protocol):
    """What `clients_*.py` offer."""

    protocol: str
    short: str
    # The package's exception for a status, and for an error in the middle of a stream.
    errors: dict

    def ask(self, model: str, question: Question, streamed: bool, history=()) -> Reply:
        """Asks; `history` is what came of it before: pairs of a reply with calls and their results, a text each."""
