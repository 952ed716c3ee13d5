#!/usr/bin/env python3
"""Plasma through the official `openai` package.

Needs a running server with its local models, and

    PLASMA_URL      its address, such as http://127.0.0.1:8080
    PLASMA_API_KEY  a key that may read and call models

Prints one line for each check and ends with status 1 if any failed. PLASMA_CHAT_MODEL and PLASMA_EMBEDDING_MODEL name other
models than the local ones.
"""

import json
import math
import os
import sys
import time
import traceback
import urllib.request

import openai

URL = os.environ.get("PLASMA_URL", "http://127.0.0.1:8080").rstrip("/")
KEY = os.environ.get("PLASMA_API_KEY", "")
CHAT_MODEL = os.environ.get("PLASMA_CHAT_MODEL", "local/qwen2.5-coder-0.5b-instruct")
EMBEDDING_MODEL = os.environ.get("PLASMA_EMBEDDING_MODEL", "local/all-minilm-l6-v2")
QUESTION = [
    {"role": "system", "content": "Answer in one short sentence."},
    {"role": "user", "content": "What is the capital of France?"},
]

# The first call of a local model loads it. Retries would hide what a single request gets.
client = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY or "none", timeout=120, max_retries=0)


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def completes_a_chat():
    raw = client.chat.completions.with_raw_response.create(
        model=CHAT_MODEL, messages=QUESTION, max_tokens=32, temperature=0
    )
    call_id = raw.headers.get("plasma-call-id", "")
    check(call_id.startswith("call_"), f"the header plasma-call-id is {call_id!r}")
    completion = raw.parse()
    choice = completion.choices[0]
    check("Paris" in choice.message.content, f"the answer is {choice.message.content!r}")
    check(choice.message.role == "assistant", f"the role is {choice.message.role!r}")
    check(choice.finish_reason in ("stop", "length"), f"finish_reason is {choice.finish_reason!r}")
    usage = completion.usage
    check(usage.prompt_tokens > 0 and usage.completion_tokens > 0, f"usage is {usage}")
    check(usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, f"usage is {usage}")
    check(usage.prompt_tokens_details.cached_tokens >= 0, f"usage is {usage}")
    check(completion.model == CHAT_MODEL, f"the model is {completion.model!r}")
    request = urllib.request.Request(
        f"{URL}/api/v1/models/calls/{call_id}", headers={"Authorization": f"Bearer {KEY}"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        call = json.load(response)
    check(call["status"] == "succeeded", f"the call's record is {call}")
    check(call["output_tokens"] == usage.completion_tokens, f"the call's record is {call}")
    return choice.message.content.strip()


def streams_a_chat():
    stream = client.chat.completions.create(
        model=CHAT_MODEL,
        messages=QUESTION,
        max_tokens=32,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    check(len({chunk.id for chunk in chunks}) == 1, "the chunks have different ids")
    check(chunks[0].choices[0].delta.role == "assistant", "the first chunk does not name the role")
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    check("Paris" in text, f"the answer is {text!r}")
    reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason]
    check(len(reasons) == 1, f"finish reasons are {reasons}")
    check(chunks[-1].choices == [] and chunks[-1].usage.completion_tokens > 0, "the last chunk has no usage")
    check(all(chunk.usage is None for chunk in chunks[:-1]), "usage came before the last chunk")
    return f"{len(chunks)} chunks"


def a_stream_can_be_left():
    stream = client.chat.completions.create(
        model=CHAT_MODEL,
        messages=[{"role": "user", "content": "Count from 1 to 200 in words."}],
        max_tokens=500,
        stream=True,
    )
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            break
    stream.close()
    return completes_a_chat()


def embeds_texts():
    def cosine(a, b):
        return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))

    texts = ["A cat sits on the mat.", "A kitten rests on a rug.", "The parliament passed a tax law."]
    # Without an explicit format the package asks for base64 and decodes it itself.
    vectors = [item.embedding for item in client.embeddings.create(model=EMBEDDING_MODEL, input=texts).data]
    check(len(vectors) == 3 and len({len(vector) for vector in vectors}) == 1, "the vectors have different lengths")
    near, far = cosine(vectors[0], vectors[1]), cosine(vectors[0], vectors[2])
    check(near > far + 0.2, f"the cats' likeness is {near:.2f}, that of a cat and a law {far:.2f}")
    numbers = client.embeddings.create(model=EMBEDDING_MODEL, input=texts[0], encoding_format="float")
    check(cosine(numbers.data[0].embedding, vectors[0]) > 0.9999, "float and base64 give different vectors")
    check(numbers.usage.prompt_tokens > 0, f"usage is {numbers.usage}")
    return f"{len(vectors[0])} numbers each, {near:.2f} against {far:.2f}"


def lists_models():
    ids = [model.id for model in client.models.list()]
    check(CHAT_MODEL in ids and EMBEDDING_MODEL in ids, f"the models are {ids}")
    model = client.models.retrieve(EMBEDDING_MODEL)
    check(model.id == EMBEDDING_MODEL and model.object == "model", f"the model is {model}")
    return ", ".join(ids)


def expect(error_class, call, **attributes):
    try:
        call()
    except error_class as error:
        for name, value in attributes.items():
            actual = getattr(error, name)
            check(actual == value, f"the error's {name} is {actual!r}, not {value!r}")
        return f"{type(error).__name__}: {error.body.get('message') if isinstance(error.body, dict) else error}"
    raise AssertionError(f"no {error_class.__name__} was raised")


def a_wrong_key_is_an_authentication_error():
    stranger = client.with_options(api_key="plk_wrong")
    return expect(
        openai.AuthenticationError,
        lambda: stranger.chat.completions.create(model=CHAT_MODEL, messages=QUESTION),
        status_code=401,
    )


def an_unknown_model_is_a_not_found_error():
    return expect(
        openai.NotFoundError,
        lambda: client.chat.completions.create(model="nobody/nothing", messages=QUESTION),
        status_code=404,
        code="model_not_found",
        param="model",
    )


def an_unknown_model_is_not_found_when_retrieved():
    return expect(openai.NotFoundError, lambda: client.models.retrieve("nobody/nothing"), status_code=404)


def what_a_local_model_cannot_do_is_a_bad_request():
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    return expect(
        openai.BadRequestError,
        lambda: client.chat.completions.create(model=CHAT_MODEL, messages=QUESTION, tools=[tool]),
        status_code=400,
        param="tools",
    )


def token_ids_are_a_bad_request():
    return expect(
        openai.BadRequestError,
        lambda: client.embeddings.create(model=EMBEDDING_MODEL, input=[[1, 2, 3]]),
        status_code=400,
        param="input",
    )


def lines_for_a_batch(count, body):
    lines = [
        {"custom_id": f"line-{number}", "method": "POST", "url": "/v1/embeddings", "body": body(number)}
        for number in range(count)
    ]
    return "\n".join(json.dumps(line) for line in lines).encode()


def ended(batch):
    deadline = time.monotonic() + 120
    while batch.status not in ("completed", "failed", "expired", "cancelled"):
        check(time.monotonic() < deadline, f"the batch is still {batch.status}: {batch.request_counts}")
        time.sleep(0.2)
        batch = client.batches.retrieve(batch.id)
    return batch


def keeps_files():
    content = lines_for_a_batch(3, lambda number: {"model": EMBEDDING_MODEL, "input": f"text {number}"})
    file = client.files.create(file=("lines.jsonl", content), purpose="batch")
    check(file.bytes == len(content) and file.filename == "lines.jsonl", f"the file is {file}")
    check(client.files.retrieve(file.id) == file, "the file is another when it is retrieved")
    check(client.files.content(file.id).read() == content, "the content is another")
    check(file.id in [one.id for one in client.files.list(purpose="batch")], "the file is not listed")
    check(client.files.delete(file.id).deleted, "the file was not deleted")
    return expect(openai.NotFoundError, lambda: client.files.retrieve(file.id), status_code=404, code="file_not_found")


def runs_a_batch():
    def body(number):
        return {"model": EMBEDDING_MODEL if number else "nobody/nothing", "input": f"text {number}"}

    file = client.files.create(file=("lines.jsonl", lines_for_a_batch(20, body)), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h", metadata={"job": "nightly"}
    )
    check(batch.status == "validating" and batch.metadata == {"job": "nightly"}, f"the batch is {batch}")
    batch = ended(batch)
    counts = batch.request_counts
    check(batch.status == "completed" and batch.completed_at is not None, f"the batch is {batch}")
    check((counts.total, counts.completed, counts.failed) == (20, 19, 1), f"the counts are {counts}")
    answers = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
    check(sorted(answer["custom_id"] for answer in answers) == sorted(f"line-{n}" for n in range(1, 20)), "ids differ")
    check(all(len(answer["response"]["body"]["data"]) == 1 for answer in answers), "an answer has no vector")
    (error,) = [json.loads(line) for line in client.files.content(batch.error_file_id).text.splitlines()]
    check(error["response"]["body"]["error"]["code"] == "model_not_found", f"the error is {error}")
    check(batch.id in [one.id for one in client.batches.list(limit=5)], "the batch is not listed")
    return f"{counts.completed} answers"


def a_batch_tells_the_lines_of_mistakes():
    file = client.files.create(file=("lines.jsonl", b'{"custom_id": "a"}\nnonsense\n'), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h")
    batch = ended(batch)
    check(batch.status == "failed", f"the batch is {batch}")
    check([error.line for error in batch.errors.data] == [1, 2], f"the errors are {batch.errors}")
    return batch.errors.data[0].message


def a_batch_can_be_cancelled():
    content = lines_for_a_batch(5000, lambda number: {"model": EMBEDDING_MODEL, "input": f"text {number} " * 50})
    file = client.files.create(file=("lines.jsonl", content), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h")
    batch = client.batches.cancel(batch.id)
    check(batch.status == "cancelling", f"the batch is {batch}")
    batch = ended(batch)
    check(batch.status == "cancelled", f"the batch is {batch}")
    return f"{batch.request_counts.completed} of {batch.request_counts.total} lines were answered before"


CHECKS = [
    lists_models,
    embeds_texts,
    completes_a_chat,
    streams_a_chat,
    a_stream_can_be_left,
    a_wrong_key_is_an_authentication_error,
    an_unknown_model_is_a_not_found_error,
    an_unknown_model_is_not_found_when_retrieved,
    what_a_local_model_cannot_do_is_a_bad_request,
    token_ids_are_a_bad_request,
    keeps_files,
    runs_a_batch,
    a_batch_tells_the_lines_of_mistakes,
    a_batch_can_be_cancelled,
]


def main():
    if not KEY:
        sys.exit("PLASMA_API_KEY is not set: it must hold a key of the server at PLASMA_URL")
    failed = 0
    for run in CHECKS:
        name = run.__name__.replace("_", " ")
        try:
            detail = run()
            print(f"ok      {name} ({detail})", flush=True)
        except Exception as error:  # each check stands for itself, whatever goes wrong in it
            failed += 1
            print(f"FAILED  {name}: {type(error).__name__}: {error}", flush=True)
            if not isinstance(error, AssertionError):
                traceback.print_exc()
    print(f"with openai {openai.__version__} against {URL}")
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
