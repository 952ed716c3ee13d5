"""OpenAI's package: Chat Completions and Responses."""

import json

import openai

from gateway import headers
from gateway.plasma import KEY, URL
from gateway.questions import PICTURE, PICTURE_TYPE, TOKENS_MAX, WEATHER, Call, Person, Reply

STOPS = {"stop": "end", "tool_calls": "tools"}
ERRORS = {
    400: openai.BadRequestError,
    429: openai.RateLimitError,
    502: openai.InternalServerError,
    "stream": openai.APIError,
    "any": openai.APIError,
}
PICTURE_URL = f"data:{PICTURE_TYPE};base64,{PICTURE}"


def package():
    # Retries would hide what a single request gets.
    http = openai.DefaultHttpxClient(event_hooks=headers.hooks())
    return openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, timeout=60, max_retries=0, http_client=http)


class ChatCompletions:
    protocol = "OpenAI Chat Completions"
    short = "chat"
    errors = ERRORS

    def __init__(self):
        self.client = package()

    def ask(self, model, question, streamed, history=()):
        request = self.request(model, question, history)
        completions = self.client.chat.completions
        pieces = 0
        if streamed:
            options = {"stream_options": {"include_usage": True}}
            with completions.stream(**request, **options) as stream:
                pieces = sum(1 for event in stream if event.type == "content.delta")
                completion = self.final(stream)
        elif question.wants_person:
            completion = completions.parse(**request)
        else:
            completion = completions.create(**request)
        choice = completion.choices[0]
        message = choice.message
        return Reply(
            text=message.content or "",
            stop=STOPS.get(choice.finish_reason, choice.finish_reason),
            input_tokens=completion.usage.prompt_tokens,
            output_tokens=completion.usage.completion_tokens,
            model=completion.model,
            turn=message,
            thoughts=getattr(message, "reasoning_content", None) or "",
            calls=[
                Call(call.id, call.function.name, json.loads(call.function.arguments))
                for call in message.tool_calls or []
            ],
            pieces=pieces,
            parsed=getattr(message, "parsed", None),
        )

    def final(self, stream):
        try:
            return stream.get_final_completion()
        except openai.LengthFinishReasonError as cut:
            # The package holds every answer that was cut for a failed one.
            return cut.completion

    def request(self, model, question, history):
        content = question.prompt
        if question.has_picture:
            picture = {"type": "image_url", "image_url": {"url": PICTURE_URL}}
            content = [{"type": "text", "text": question.prompt}, picture]
        messages = [{"role": "system", "content": question.system}] if question.system else []
        messages.append({"role": "user", "content": content})
        for reply, results in history:
            messages.append(reply.turn)
            for call in reply.calls:
                messages.append({"role": "tool", "tool_call_id": call.id, "content": results[call.id]})
        request = {"model": model, "messages": messages, "max_completion_tokens": TOKENS_MAX}
        if question.temperature is not None:
            request["temperature"] = question.temperature
        if question.has_tool:
            name, description, parameters = WEATHER
            function = {"name": name, "description": description, "parameters": parameters, "strict": True}
            request["tools"] = [{"type": "function", "function": function}]
        if question.wants_person:
            request["response_format"] = Person
        if question.thinks:
            request["reasoning_effort"] = "low"
        return request


class ErrorEvent(Exception):
    """The last event of a stream of Responses is an error: the package hands it over like any other event."""


class Responses:
    protocol = "OpenAI Responses"
    short = "responses"
    errors = ERRORS | {"stream": ErrorEvent, "any": (openai.APIError, ErrorEvent)}

    def __init__(self):
        self.client = package()

    def ask(self, model, question, streamed, history=()):
        request = self.request(model, question, history)
        pieces = 0
        if streamed:
            with self.client.responses.stream(**request) as stream:
                events = list(stream)
            pieces = sum(1 for event in events if event.type == "response.output_text.delta")
            if events and events[-1].type == "error":
                raise ErrorEvent(events[-1].message)
            # The package's own `get_final_response` knows no answers that were cut.
            response = events[-1].response
        elif question.wants_person:
            response = self.client.responses.parse(**request)
        else:
            response = self.client.responses.create(**request)
        calls = [item for item in response.output if item.type == "function_call"]
        thoughts = [item for item in response.output if item.type == "reasoning"]
        return Reply(
            text=response.output_text,
            stop=self.stop(response, calls),
            input_tokens=response.usage.input_tokens,
            output_tokens=response.usage.output_tokens,
            model=response.model,
            turn=response.output,
            thoughts="".join(part.text for item in thoughts for part in [*item.summary, *(item.content or [])]),
            calls=[Call(item.call_id, item.name, json.loads(item.arguments)) for item in calls],
            pieces=pieces,
            parsed=getattr(response, "output_parsed", None),
        )

    def stop(self, response, calls):
        if response.status == "incomplete":
            reason = response.incomplete_details and response.incomplete_details.reason
            # aimock gives no reason.
            return "length" if reason in ("max_output_tokens", None) else f"incomplete: {reason}"
        if response.status != "completed":
            return response.status
        return "tools" if calls else "end"

    def request(self, model, question, history):
        content = [{"type": "input_text", "text": question.prompt}]
        if question.has_picture:
            content.append({"type": "input_image", "image_url": PICTURE_URL, "detail": "auto"})
        items = [{"role": "user", "content": content}]
        for reply, results in history:
            items += reply.turn
            for call in reply.calls:
                items.append({"type": "function_call_output", "call_id": call.id, "output": results[call.id]})
        request = {"model": model, "input": items, "max_output_tokens": TOKENS_MAX, "store": False}
        if question.system:
            request["instructions"] = question.system
        if question.temperature is not None:
            request["temperature"] = question.temperature
        if question.has_tool:
            name, description, parameters = WEATHER
            function = {"name": name, "description": description, "parameters": parameters, "strict": True}
            request["tools"] = [{"type": "function", **function}]
        if question.wants_person:
            request["text_format"] = Person
        if question.thinks:
            request["reasoning"] = {"effort": "low", "summary": "auto"}
            request["include"] = ["reasoning.encrypted_content"]
        return request
