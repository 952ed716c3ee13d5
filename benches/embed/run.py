#!/usr/bin/env python3
"""Plasma's embedding beside candle (32-bit floats) and ONNX Runtime (int8), on the same texts. README.md says how to read it."""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PACKAGES = ["numpy==2.4.6", "onnxruntime==1.32.0", "tokenizers==0.23.3"]
ENGINES = ["candle f32", "onnx int8", "plasma f32", "plasma int8"]
MODEL = "local--all-minilm-l6-v2"
# What is promised: Plasma's better precision against candle, and how near the vectors are.
RATIO_MIN, COSINE_MIN = 2.5, 0.99


def cache_base():
    base = os.environ.get("PLASMA_CACHE_DIR")
    return Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "plasma"


def python(folder):
    program = folder / "venv" / "bin" / "python"
    if not program.exists():
        print("installing ONNX Runtime (once)", flush=True)
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        subprocess.run([program, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return program


def build(folder):
    """Plasma and the program with candle: the same compiler, flags (.cargo/config.toml) and machine."""
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet", "--package", "plasma-server"], check=True, cwd=ROOT)
    target = folder / "candle-target"
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], check=True, cwd=HERE / "candle", env=environment)
    plasma = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "release" / "plasma"
    return plasma, target / "release" / "embed-with-candle"


def output(command, **environment):
    process = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
    if process.returncode != 0:
        sys.exit(f"failed: {' '.join(map(str, command))}")
    time.sleep(1)
    return json.loads(process.stdout)


def measure(programs, folder, threads, seconds, vectors):
    """The report of each engine, by its name."""
    plasma, candle, interpreter = programs
    texts, models = folder / "texts.json", Path(os.environ.get("PLASMA_MODELS_DIR") or cache_base() / "models")
    file = lambda name: folder / f"{name}.f32" if vectors else "-"
    found = {}
    print(f"candle f32, {threads} threads", flush=True)
    found["candle f32"] = output([candle, models / MODEL, texts, seconds, file("candle")], RAYON_NUM_THREADS=str(threads))
    print(f"onnx int8, {threads} threads", flush=True)
    found["onnx int8"] = output([interpreter, HERE / "peer.py", "onnx", folder, threads, seconds, file("onnx")])
    print(f"plasma, {threads} threads", flush=True)
    command = [plasma, "bench", "embed", "--texts", texts, "--threads", threads, "--seconds", seconds, "--models-dir", models, "--json"]
    report = output(command + (["--vectors", folder / "plasma"] if vectors else []))
    for precision in ("f32", "int8"):
        of = lambda rows: [row for row in rows if row["precision"] == precision]
        found[f"plasma {precision}"] = {"throughput": of(report["throughput"]), "latency": of(report["latency"])[0]}
    return found


def table(heads, rows):
    print("\n| " + " | ".join(heads) + " |\n| " + " | ".join("---" for _ in heads) + " |")
    for cells in rows:
        print("| " + " | ".join(map(str, cells)) + " |")


def report(by_threads, cosines):
    speed = lambda threads, engine: {row["class"]: row["texts_per_second"] for row in by_threads[threads][engine]["throughput"]}
    tokens = {row["class"]: row["tokens_mean"] for row in by_threads[1]["candle f32"]["throughput"]}
    worst = float("inf")
    for threads in by_threads:
        rows = []
        for name in tokens:
            candle = speed(threads, "candle f32")[name]
            cells = [f"{speed(threads, engine)[name]:,.1f} ({speed(threads, engine)[name] / candle:.2f}x)" for engine in ENGINES]
            worst = min(worst, max(speed(threads, engine)[name] for engine in ENGINES[2:]) / candle)
            rows.append([f"{name}, {tokens[name]:.0f} tokens", *cells])
        table([f"texts/s, {threads} thread{'s' if threads > 1 else ''}", *ENGINES], rows)
    rows = []
    for engine in ENGINES:
        latency = by_threads[1][engine]["latency"]
        cosine = ["1", "1"] if engine == "candle f32" else [f"{value:.5f}" for value in cosines[engine]]
        rows.append([engine, f"{latency['median_ms']:.2f}", f"{latency['p95_ms']:.2f}", *cosine])
    table(["one query, 1 thread", "median ms", "p95 ms", "least cosine with candle", "mean"], rows)
    least = min(cosines["plasma f32"][0], cosines["plasma int8"][0])
    print(f"\nPlasma's faster precision is at least {worst:.2f}x candle (wanted: {RATIO_MIN}x); its vectors' least cosine is {least:.4f} (wanted: {COSINE_MIN})")
    return worst >= RATIO_MIN and least >= COSINE_MIN


def machine():
    names = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    memory = int(next(line for line in open("/proc/meminfo") if line.startswith("MemTotal")).split()[1]) // 2**20
    return f"{len(names)} x {names[0]}, {memory} GiB, Linux {platform.release()}; load before: {os.getloadavg()[0]:.1f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="for each engine, class and number of threads")
    parser.add_argument("--threads", default="1,2")
    options = parser.parse_args()
    folder = cache_base() / "bench-embed"
    folder.mkdir(parents=True, exist_ok=True)
    interpreter = python(folder)
    if not (folder / "texts.json").exists():
        subprocess.run([interpreter, HERE / "peer.py", "texts", folder], check=True)
    programs = (*build(folder), interpreter)
    print(machine(), flush=True)
    numbers = sorted({1, *map(int, options.threads.split(","))})
    by_threads = {threads: measure(programs, folder, threads, options.seconds, threads == 1) for threads in numbers}
    files = {"onnx int8": folder / "onnx.f32", "plasma f32": folder / "plasma" / "f32.f32", "plasma int8": folder / "plasma" / "int8.f32"}
    found = output([interpreter, HERE / "peer.py", "agree", folder, folder / "candle.f32", *files.values()])
    good = report(by_threads, {engine: found[file.name] for engine, file in files.items()})
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
