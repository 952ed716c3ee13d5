"""What a provider was told: the requests of each protocol, read back into words that all share."""

import json
import re
from dataclasses import dataclass, field


@dataclass
class Told:
    """One request as it reached a provider."""

    path: str
    headers: dict
    body: dict
    text: str
    answer: str = ""
    system: str = ""
    # The texts of the last turn of the user that has any.
    prompt: str = ""
    # Pairs of a media type and base64.
    pictures: list = field(default_factory=list)
    # Parameters by name.
    tools: dict = field(default_factory=dict)
    calls: list = field(default_factory=list)
    results: list = field(default_factory=list)
    schema: dict | None = None
    thinking: object = None
    tokens_max: int | None = None
    temperature: float | None = None
    streamed: bool = False


def read(path, headers, text):
    """Reads a request by the protocol that its path shows."""
    body = json.loads(text)
    told = Told(path, headers, body, text)
    route = path.split("?")[0]
    if route.endswith("/chat/completions"):
        _openai_chat(told, body)
    elif route.endswith("/responses"):
        _openai_responses(told, body)
    elif route.endswith("/messages"):
        _anthropic(told, body)
    elif "enerateContent" in route:
        _gemini(told, body)
        told.streamed = "streamGenerateContent" in route
    elif "/converse" in route:
        _bedrock(told, body)
        told.streamed = route.endswith("/converse-stream")
    else:
        raise ValueError(f"no protocol is known at {path}")
    return told


def _data_url(url):
    head, _, data = url.partition(";base64,")
    return head.removeprefix("data:"), data


def _parts(content, kind="text"):
    return [{"type": kind, "text": content}] if isinstance(content, str) else content or []


def _texts(parts):
    return "".join(part["text"] for part in parts if isinstance(part.get("text"), str))


def _openai_chat(told, body):
    for message in body["messages"]:
        parts = _parts(message.get("content"))
        if message["role"] in ("system", "developer"):
            told.system += _texts(parts)
        elif message["role"] == "user":
            told.prompt = _texts(parts) or told.prompt
            told.pictures += [_data_url(part["image_url"]["url"]) for part in parts if part["type"] == "image_url"]
        elif message["role"] == "tool":
            told.results.append(_texts(parts))
        for call in message.get("tool_calls") or []:
            told.calls.append((call["function"]["name"], json.loads(call["function"]["arguments"])))
    told.tools = {tool["function"]["name"]: tool["function"]["parameters"] for tool in body.get("tools") or []}
    told.schema = ((body.get("response_format") or {}).get("json_schema") or {}).get("schema")
    told.thinking = body.get("reasoning_effort")
    told.tokens_max = body.get("max_completion_tokens") or body.get("max_tokens")
    told.temperature = body.get("temperature")
    told.streamed = bool(body.get("stream"))


def _openai_responses(told, body):
    told.system = body.get("instructions") or ""
    items = body["input"]
    for item in [{"role": "user", "content": items}] if isinstance(items, str) else items:
        parts = _parts(item.get("content"), "input_text")
        if item.get("role") in ("system", "developer"):
            told.system += _texts(parts)
        elif item.get("role") == "user":
            told.prompt = _texts(parts) or told.prompt
            told.pictures += [_data_url(part["image_url"]) for part in parts if part["type"] == "input_image"]
        elif item.get("type") == "function_call":
            told.calls.append((item["name"], json.loads(item["arguments"])))
        elif item.get("type") == "function_call_output":
            told.results.append(_texts(_parts(item["output"])))
    told.tools = {tool["name"]: tool["parameters"] for tool in body.get("tools") or []}
    told.schema = ((body.get("text") or {}).get("format") or {}).get("schema")
    told.thinking = body.get("reasoning")
    told.tokens_max = body.get("max_output_tokens")
    told.temperature = body.get("temperature")
    told.streamed = bool(body.get("stream"))


def _anthropic(told, body):
    told.system = _texts(_parts(body.get("system")))
    for message in body["messages"]:
        parts = _parts(message["content"])
        if message["role"] == "user":
            told.prompt = _texts(parts) or told.prompt
        for part in parts:
            if part["type"] == "image":
                told.pictures.append((part["source"]["media_type"], part["source"]["data"]))
            elif part["type"] == "tool_use":
                told.calls.append((part["name"], part["input"]))
            elif part["type"] == "tool_result":
                told.results.append(_texts(_parts(part.get("content"))))
    told.tools = {tool["name"]: tool["input_schema"] for tool in body.get("tools") or []}
    told.schema = ((body.get("output_config") or {}).get("format") or {}).get("schema")
    told.thinking = body.get("thinking")
    told.tokens_max = body.get("max_tokens")
    told.temperature = body.get("temperature")
    told.streamed = bool(body.get("stream"))


def _camel(message):
    """Protocol Buffers take names in both ways, and Google's package mixes them."""
    return {re.sub("_(.)", lambda found: found[1].upper(), name): value for name, value in message.items()}


def _standard_base64(data):
    # Both alphabets are read; Google's package writes the one for addresses.
    return data.translate(str.maketrans("-_", "+/"))


def _gemini(told, body):
    told.system = _texts((body.get("systemInstruction") or {}).get("parts") or [])
    for content in body["contents"]:
        parts = [_camel(part) for part in content["parts"]]
        if content.get("role", "user") == "user":
            told.prompt = _texts(parts) or told.prompt
        for part in parts:
            if "inlineData" in part:
                data = _camel(part["inlineData"])
                told.pictures.append((data["mimeType"], _standard_base64(data["data"])))
            elif "functionCall" in part:
                told.calls.append((part["functionCall"]["name"], part["functionCall"].get("args")))
            elif "functionResponse" in part:
                told.results.append(json.dumps(part["functionResponse"]["response"]))
    for tool in body.get("tools") or []:
        for function in map(_camel, tool["functionDeclarations"]):
            told.tools[function["name"]] = function.get("parametersJsonSchema") or function.get("parameters")
    config = body.get("generationConfig") or {}
    told.schema = config.get("responseJsonSchema") or config.get("responseSchema")
    told.thinking = config.get("thinkingConfig")
    told.tokens_max = config.get("maxOutputTokens")
    told.temperature = config.get("temperature")


def _bedrock(told, body):
    told.system = _texts(body.get("system") or [])
    for message in body["messages"]:
        parts = message["content"]
        if message["role"] == "user":
            told.prompt = _texts(parts) or told.prompt
        for part in parts:
            if "image" in part:
                told.pictures.append((f"image/{part['image']['format']}", part["image"]["source"]["bytes"]))
            elif "toolUse" in part:
                told.calls.append((part["toolUse"]["name"], part["toolUse"]["input"]))
            elif "toolResult" in part:
                content = part["toolResult"]["content"]
                told.results.append("".join(piece.get("text") or json.dumps(piece.get("json")) for piece in content))
    for tool in (body.get("toolConfig") or {}).get("tools") or []:
        told.tools[tool["toolSpec"]["name"]] = tool["toolSpec"]["inputSchema"]["json"]
    structure = ((body.get("outputConfig") or {}).get("textFormat") or {}).get("structure")
    told.schema = structure and json.loads(structure["jsonSchema"]["schema"])
    told.thinking = (body.get("additionalModelRequestFields") or {}).get("thinking")
    config = body.get("inferenceConfig") or {}
    told.tokens_max = config.get("maxTokens")
    told.temperature = config.get("temperature")
