#!/usr/bin/env python3
"""How good search ranks: nDCG@10, recall@10 and MRR of text, vector and hybrid on labelled sets, asked of the real program over HTTP.
README.md says what the sets are and how to read the numbers."""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "vector"))

import datasets  # noqa: E402
import metrics  # noqa: E402
import plasma  # noqa: E402
import run as vector_bench  # noqa: E402

MODES = ["text", "vector", "hybrid"]
MEASURES = ["ndcg", "recall", "mrr"]
TITLES = {"ndcg": "nDCG@10", "recall": "recall@10", "mrr": "MRR@10"}
# Passages asked for: several may be of one document, and ten different documents are needed.
PASSAGES = 50


def measure(ranking, query):
    """One query's numbers."""
    ranking = [key for key in ranking if key != query.without]
    return {
        "ndcg": metrics.ndcg(ranking, query.gains),
        "recall": metrics.recall(ranking, query.relevant),
        "mrr": metrics.reciprocal_rank(ranking, query.relevant),
    }


def ask(server, chosen, collection, keys):
    """Every query in every mode: mode -> measure -> a value for each query."""
    values = {mode: {name: [] for name in MEASURES} for mode in MODES}
    for query in chosen.queries:
        for mode in MODES:
            found = server.search(collection, query.text, mode, PASSAGES, chosen.tagged_only)
            for name, value in measure([keys[document] for document in found], query).items():
                values[mode][name].append(value)
    return values


def summarize(chosen, documents, values):
    """Means with their intervals, and what hybrid gains over each of its parts."""
    modes = {
        mode: {name: {"mean": metrics.mean(values[mode][name]), "interval": metrics.interval(values[mode][name])} for name in MEASURES}
        for mode in MODES
    }
    gains = {}
    for part in ("text", "vector"):
        gains[part] = {}
        for name in MEASURES:
            difference, bounds = metrics.gain_over(values["hybrid"][name], values[part][name])
            gains[part][name] = {"mean": difference, "interval": bounds, "verdict": metrics.verdict(difference, bounds)}
    return {"set": chosen.name, "title": chosen.title, "documents": documents, "queries": len(chosen.queries), "modes": modes, "hybrid_gains": gains}


def beats(summary, name="ndcg"):
    """Whether hybrid is above both of its parts, and whether beyond chance."""
    gains = [summary["hybrid_gains"][part][name] for part in ("text", "vector")]
    return all(gain["mean"] > 0 for gain in gains), all(gain["verdict"] == "better" for gain in gains)


def cell(number):
    low, high = number["interval"]
    return f"{number['mean']:.3f} [{low:.3f}, {high:.3f}]"


def table(summaries):
    lines = ["| set | mode | " + " | ".join(TITLES[name] for name in MEASURES) + " |", "| --- | --- |" + " --- |" * len(MEASURES)]
    for one in summaries:
        label = f"{one['set']}: {one['queries']:,} queries, {one['documents']:,} documents"
        for mode in MODES:
            lines.append(f"| {label} | {mode} | " + " | ".join(cell(one["modes"][mode][name]) for name in MEASURES) + " |")
            label = ""
    return lines


def comparison(summaries):
    lines = ["| hybrid less | " + " | ".join(TITLES[name] for name in MEASURES) + " |", "| --- |" + " --- |" * len(MEASURES)]
    for one in summaries:
        for part in ("text", "vector"):
            cells = []
            for name in MEASURES:
                gain = one["hybrid_gains"][part][name]
                low, high = gain["interval"]
                cells.append(f"{gain['mean']:+.3f} [{low:+.3f}, {high:+.3f}] {gain['verdict']}")
            lines.append(f"| {one['set']}: {part} | " + " | ".join(cells) + " |")
    return lines


def conclusion(summaries):
    lines = []
    for one in summaries:
        above, surely = beats(one)
        words = "yes, beyond chance" if surely else "yes, but within chance" if above else "no"
        lines.append(f"{one['set']}: hybrid beats both of its parts by nDCG@10: {words}")
    count = sum(beats(one)[0] for one in summaries)
    lines.append(f"hybrid beats both of its parts on {count} of {len(summaries)} sets")
    return lines


def collection_of(server, source, documents, data):
    """The collection of a source: that of the run before, or a new one."""
    mark = data / f"{source}.json"
    if mark.exists():
        kept = json.loads(mark.read_text())
        return kept["collection"], kept["keys"]
    collection, keys = server.ingest(source, documents)
    mark.write_text(json.dumps({"collection": collection, "keys": keys}))
    return collection, keys


def evaluate(server, sources, data):
    summaries = []
    for source, (documents, sets) in sources.items():
        collection, keys = collection_of(server, source, documents, data)
        for chosen in sets:
            values = ask(server, chosen, collection, keys)
            summary = {**summarize(chosen, len(documents), values), "digest": datasets.digest(documents, sets)}
            summaries.append(summary)
            print("\n".join(table([summary])[2:]), flush=True)
    return summaries


def build_sources(only, cache):
    sources = {}
    for source in only:
        if source not in datasets.SOURCES:
            raise SystemExit(f"there is no source `{source}`; known are {', '.join(datasets.SOURCES)}")
        sources[source] = datasets.SOURCES[source](cache)
        digest = datasets.digest(*sources[source])
        if digest != datasets.DIGESTS[source]:
            print(f"{source}: {digest} is another state than {datasets.DIGESTS[source]}, of which the documentation's numbers are", flush=True)
    return sources


def data_folder(keep, cache, sources):
    """Kept data belongs to the state of the sets that it was made from."""
    if not keep:
        return Path(tempfile.mkdtemp(prefix="eval-search-", dir=cache))
    name = "-".join(datasets.digest(*sources[source]) for source in sorted(sources))
    folder = cache / f"eval-search-{name}"
    if folder.exists() and not all((folder / f"{source}.json").exists() for source in sources):
        # What was only half brought in.
        shutil.rmtree(folder)
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(datasets.SOURCES), help="which sources of sets, by name")
    parser.add_argument("--json", type=Path, help="write all numbers into this file as well")
    parser.add_argument("--keep", action="store_true", help="keep the program's data, and begin with that of the run before")
    parser.add_argument("--plasma", type=Path, help="measure this program instead of the one that the sources give")
    options = parser.parse_args()
    cache = vector_bench.cache()
    sources = build_sources(options.only.split(","), cache)
    program = options.plasma or plasma.build()
    data = data_folder(options.keep, cache, sources)
    try:
        with plasma.Server(program, data) as server:
            print(vector_bench.machine(), flush=True)
            summaries = evaluate(server, sources, data)
    finally:
        if not options.keep:
            shutil.rmtree(data, ignore_errors=True)
    for lines in (table(summaries), comparison(summaries), conclusion(summaries)):
        print("\n" + "\n".join(lines))
    if options.json:
        options.json.write_text(json.dumps({"machine": vector_bench.machine(), "sets": summaries}, indent=2) + "\n")


if __name__ == "__main__":
    main()
