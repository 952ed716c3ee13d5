"""Anthropic's package: Messages."""

import anthropic

from gateway import headers
from gateway.plasma import KEY, URL
from gateway.questions import PICTURE, PICTURE_TYPE, THINKING_TOKENS, TOKENS_MAX, WEATHER, Call, Person, Reply

STOPS = {"end_turn": "end", "tool_use": "tools", "max_tokens": "length"}


class Messages:
    protocol = "Anthropic Messages"
    short = "messages"
    errors = {
        400: anthropic.BadRequestError,
        429: anthropic.RateLimitError,
        502: anthropic.InternalServerError,
        "stream": anthropic.APIStatusError,
        "any": anthropic.APIError,
    }

    def __init__(self):
        http = anthropic.DefaultHttpxClient(event_hooks=headers.hooks())
        base_url = f"{URL}/anthropic"
        # Retries would hide what a single request gets.
        self.client = anthropic.Anthropic(base_url=base_url, api_key=KEY, timeout=60, max_retries=0, http_client=http)

    def ask(self, model, question, streamed, history=()):
        request = self.request(model, question, history)
        pieces = 0
        if streamed:
            with self.client.messages.stream(**request) as stream:
                pieces = sum(1 for event in stream if event.type == "text")
                message = stream.get_final_message()
        elif question.wants_person:
            message = self.client.messages.parse(**request)
        else:
            message = self.client.messages.create(**request)
        return Reply(
            text="".join(block.text for block in message.content if block.type == "text"),
            stop=STOPS.get(message.stop_reason, message.stop_reason),
            input_tokens=message.usage.input_tokens,
            output_tokens=message.usage.output_tokens,
            model=message.model,
            turn=message.content,
            thoughts="".join(block.thinking for block in message.content if block.type == "thinking"),
            calls=[Call(block.id, block.name, block.input) for block in message.content if block.type == "tool_use"],
            pieces=pieces,
            parsed=getattr(message, "parsed_output", None),
        )

    def request(self, model, question, history):
        content = [{"type": "text", "text": question.prompt}]
        if question.has_picture:
            source = {"type": "base64", "media_type": PICTURE_TYPE, "data": PICTURE}
            content.insert(0, {"type": "image", "source": source})
        messages = [{"role": "user", "content": content}]
        for reply, results in history:
            messages.append({"role": "assistant", "content": reply.turn})
            blocks = [
                {"type": "tool_result", "tool_use_id": call.id, "content": results[call.id]} for call in reply.calls
            ]
            messages.append({"role": "user", "content": blocks})
        request = {"model": model, "messages": messages, "max_tokens": TOKENS_MAX}
        if question.system:
            request["system"] = question.system
        if question.temperature is not None:
            # The package has no such argument any more, the protocol still has the field.
            request["extra_body"] = {"temperature": question.temperature}
        if question.has_tool:
            name, description, parameters = WEATHER
            request["tools"] = [{"name": name, "description": description, "input_schema": parameters}]
        if question.wants_person:
            request["output_format"] = Person
        if question.thinks:
            request["thinking"] = {"type": "enabled", "budget_tokens": THINKING_TOKENS}
        return request
