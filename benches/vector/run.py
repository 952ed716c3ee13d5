#!/usr/bin/env python3
"""Plasma's vector index beside hnswlib, faiss, ScaNN, usearch, Qdrant and pgvector, on the same vectors: one table. README.md says how
to read it."""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PACKAGES = ["numpy==2.4.6", "onnxruntime==1.32.0", "tokenizers==0.23.3", "hnswlib==0.8.0", "faiss-cpu==1.15.1", "scann==1.4.2", "usearch==2.26.6",
            "qdrant-edge-py==0.9.0", "psycopg[binary]==3.3.9"]
PEERS = ["hnswlib-16", "hnswlib-32", "faiss-hnsw", "faiss-ivf-rabitq4", "scann", "usearch", "qdrant-edge", "pgvector-halfvec"]
REAL_ROWS = 200_000


def cache():
    base = os.environ.get("PLASMA_CACHE_DIR")
    base = Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "plasma"
    folder = base / "bench-vector"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def python(folder):
    program = folder / "venv" / "bin" / "python"
    # What was installed by an earlier version of this program lacks peers.
    mark = folder / "venv" / "packages"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    wanted = "\n".join(PACKAGES)
    if not mark.exists() or mark.read_text() != wanted:
        print("installing the peers (once)", flush=True)
        for package in PACKAGES:
            if subprocess.run([program, "-m", "pip", "install", "--quiet", package]).returncode != 0:
                print(f"{package} cannot be installed here", flush=True)
        mark.write_text(wanted)
    return program


def plasma():
    subprocess.run(
        ["cargo", "build", "--release", "--locked", "--quiet", "--package", "plasma-vectors", "--example", "bench_vectors"],
        check=True,
        cwd=ROOT,
    )
    target = os.environ.get("CARGO_TARGET_DIR") or ROOT / "target"
    return Path(target) / "release" / "examples" / "bench_vectors"


def lines(command):
    """Runs a program and reads its lines of JSON, showing them as they come."""
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    found = []
    for line in process.stdout:
        print("  " + line, end="", flush=True)
        found.append(json.loads(line))
    if process.wait() != 0:
        print(f"  failed: {command[0]}", flush=True)
    return found


def number(value, digits):
    return "-" if value is None else f"{value:,.{digits}f}"


def row(name, found):
    build = {}
    for line in found:
        if line["what"] in ("build", "open"):
            build.update(line)
    cells = [name, number(build.get("s"), 1), number(build.get("memory_mb"), 0), number(build.get("disk_mb"), 0)]
    for target in (0.99, 0.999):
        of = lambda **wanted: next(
            (
                line
                for line in found
                if line["what"] == "search" and line.get("target") == target and all(line.get(key) == value for key, value in wanted.items())
            ),
            {},
        )
        one = next((line for line in (of(filter=1, threads=1), of(filter=1)) if line), {})
        filtered = of(filter=0.01)
        both = next((line for line in found if line["what"] == "throughput" and line["target"] == target), {})
        cells += [
            number(one.get("recall"), 4),
            f"{number(one.get('mean_ms'), 2)} / {number(one.get('p99_ms'), 2)}",
            number(of(filter=1, threads=2).get("mean_ms"), 2),
            number(both.get("queries_per_s"), 0),
            f"{number(both.get('mean_ms'), 2)} / {number(both.get('p99_ms'), 2)}",
            f"{number(filtered.get('mean_ms'), 2)} / {number(filtered.get('p99_ms'), 2)} ({number(filtered.get('recall'), 4)})" if filtered else "-",
        ]
    return cells


def table(rows):
    one = [
        "recall",
        "ms mean / p99",
        "2 threads, one query: ms",
        "2 threads: queries/s",
        "2 threads: ms mean / p99",
        "filter 1%: ms mean / p99 (recall)",
    ]
    heads = ["index", "build s", "memory MB", "disk MB", *[f"{name} at {target}" for target in ("0.99", "0.999") for name in one]]
    print("| " + " | ".join(heads) + " |")
    print("| " + " | ".join("---" for _ in heads) + " |")
    for cells in rows:
        print("| " + " | ".join(cells) + " |")


def machine():
    names = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    memory = int(next(line for line in open("/proc/meminfo") if line.startswith("MemTotal")).split()[1]) // 2**20
    return f"{len(names)} x {names[0]}, {memory} GiB, Linux {platform.release()}; load before: {os.getloadavg()[0]:.1f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=REAL_ROWS, help="more than 200,000: synthetic ones, made from the real ones")
    parser.add_argument("--only", default=",".join(["plasma", *PEERS]), help="which indexes, by name")
    parser.add_argument("--storage", choices=["f32", "f16"], default="f32")
    parser.add_argument("--queries", type=int, default=2_000, help="half of them calibrate, half are measured")
    parser.add_argument("--keep", action="store_true", help="keep Plasma's index for the next run")
    options = parser.parse_args()
    only = options.only.split(",")
    folder = cache()
    program = python(folder)
    if not (folder / "base.f32").exists():
        subprocess.run(["nice", program, HERE / "embed.py", folder], check=True)
    bench = plasma()
    print(machine(), flush=True)
    base, queries = folder / "base.f32", folder / "queries.f32"
    arguments = ["--base", base, "--queries", queries, "--queries-max", options.queries, "--storage", options.storage]
    peers = [name for name in PEERS if name in only]
    if options.rows > REAL_ROWS:
        arguments += ["--synthetic", options.rows]
        if peers:
            files = folder / f"synthetic-{options.rows}"
            if not files.exists():
                subprocess.run([bench, *map(str, arguments), "--write", files], check=True)
            base, queries = files / "base.f32", files / "queries.f32"
    rows = []
    if "plasma" in only:
        index = folder / f"index-{options.rows}-{options.storage}"
        if not options.keep and index.exists():
            shutil.rmtree(index)
        print(f"plasma, {options.storage}", flush=True)
        found = [] if index.exists() else lines([bench, *arguments, "--folder", index])
        rows.append(row(f"plasma {options.storage}", found + lines([bench, *arguments, "--folder", index])))
        if not options.keep:
            shutil.rmtree(index)
    if peers:
        truth = folder / f"truth-{options.rows}.npz"
        if not truth.exists():
            subprocess.run([program, HERE / "peers.py", "--truth", base, queries, truth], check=True)
        for name in peers:
            print(name, flush=True)
            rows.append(row(name, lines([program, HERE / "peers.py", name, base, queries, truth, folder])))
            time.sleep(2)
    table(rows)


if __name__ == "__main__":
    main()
