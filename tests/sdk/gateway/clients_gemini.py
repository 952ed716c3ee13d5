"""Google's package: Gemini's `generateContent`."""

import base64

from google import genai
from google.genai import errors, types

from gateway import headers
from gateway.plasma import KEY, URL
from gateway.questions import PICTURE, PICTURE_TYPE, THINKING_TOKENS, TOKENS_MAX, WEATHER, Call, Person, Reply

STOPS = {"STOP": "end", "MAX_TOKENS": "length"}


class GenerateContent:
    protocol = "Gemini generateContent"
    short = "gemini"
    errors = {
        400: errors.ClientError,
        429: errors.ClientError,
        502: errors.ServerError,
        "stream": errors.ServerError,
        "any": errors.APIError,
    }

    def __init__(self):
        options = types.HttpOptions(
            base_url=f"{URL}/gemini",
            api_version="v1beta",
            timeout=60_000,
            client_args={"event_hooks": headers.hooks()},
        )
        self.client = genai.Client(api_key=KEY, http_options=options)

    def ask(self, model, question, streamed, history=()):
        contents, config = self.request(question, history)
        arguments = {"model": model, "contents": contents, "config": config}
        if streamed:
            answers = list(self.client.models.generate_content_stream(**arguments))
        else:
            answers = [self.client.models.generate_content(**arguments)]
        candidates = [answer.candidates[0] for answer in answers if answer.candidates]
        contents = [candidate.content for candidate in candidates if candidate.content]
        parts = [part for content in contents for part in content.parts or []]
        texts = [part.text for part in parts if part.text and not part.thought]
        # Of a stream the package makes no object.
        made_here = streamed and question.wants_person
        usage = answers[-1].usage_metadata
        calls = [part.function_call for part in parts if part.function_call]
        # The protocol has no reason of its own for calls.
        reason = next((candidate.finish_reason for candidate in reversed(candidates) if candidate.finish_reason), None)
        stop = "tools" if calls and reason == "STOP" else STOPS.get(reason, reason)
        return Reply(
            text="".join(texts),
            stop=stop,
            input_tokens=usage.prompt_token_count,
            output_tokens=(usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
            model=answers[-1].model_version,
            turn=types.Content(role="model", parts=parts),
            thoughts="".join(part.text for part in parts if part.text and part.thought),
            calls=[Call(call.id, call.name, call.args) for call in calls],
            pieces=len(texts) if streamed else 0,
            parsed=Person.model_validate_json("".join(texts)) if made_here else answers[0].parsed,
        )

    def request(self, question, history):
        parts = [types.Part.from_text(text=question.prompt)]
        if question.has_picture:
            parts.append(types.Part.from_bytes(data=base64.b64decode(PICTURE), mime_type=PICTURE_TYPE))
        contents = [types.Content(role="user", parts=parts)]
        for reply, results in history:
            contents.append(reply.turn)
            responses = [
                types.FunctionResponse(id=call.id, name=call.name, response={"result": results[call.id]})
                for call in reply.calls
            ]
            parts = [types.Part(function_response=response) for response in responses]
            contents.append(types.Content(role="user", parts=parts))
        config = types.GenerateContentConfig(
            system_instruction=question.system,
            temperature=question.temperature,
            max_output_tokens=TOKENS_MAX,
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        )
        if question.has_tool:
            name, description, parameters = WEATHER
            function = types.FunctionDeclaration(
                name=name, description=description, parameters_json_schema=parameters
            )
            config.tools = [types.Tool(function_declarations=[function])]
        if question.wants_person:
            config.response_mime_type = "application/json"
            config.response_schema = Person
        if question.thinks:
            config.thinking_config = types.ThinkingConfig(include_thoughts=True, thinking_budget=THINKING_TOKENS)
        return contents, config
