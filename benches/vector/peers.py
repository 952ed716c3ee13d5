#!/usr/bin/env python3
"""Builds one peer's index over a file of vectors, searches it, and prints lines of JSON like the Rust program's.

    peers.py NAME BASE.f32 QUERIES.f32 TRUTH.npy FOLDER

The first half of the queries chooses the search effort (the least that reaches a recall), the second half is measured. Queries go
one by one on one thread; then on two threads at once for the throughput.
"""

import json
import os
import sys
import threading
import time

import numpy

DIMENSIONS, LIMIT = 384, 10
EFFORTS = [10, 15, 20, 30, 40, 60, 80, 100, 140, 200, 280, 400, 560, 800, 1100, 1600, 2200, 3200]
TARGETS = (0.99, 0.999)
SELECTIVITY = 0.01


def anonymous_mb():
    for line in open("/proc/self/status"):
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024 / 1e6


class Hnswlib:
    def __init__(self, m, construction):
        self.m, self.construction = m, construction

    def build(self, base, threads):
        import hnswlib

        self.index = hnswlib.Index("ip", DIMENSIONS)
        self.index.init_index(len(base), self.construction, self.m)
        self.index.add_items(base, num_threads=threads)
        self.index.set_num_threads(1)

    def save(self, path):
        self.index.save_index(path)

    def search(self, query, effort):
        self.index.set_ef(max(effort, LIMIT))
        return self.index.knn_query(query, LIMIT, num_threads=1)[0][0]


class FaissHnsw:
    def build(self, base, threads):
        import faiss

        self.faiss = faiss
        faiss.omp_set_num_threads(threads)
        self.index = faiss.IndexHNSWFlat(DIMENSIONS, 32, faiss.METRIC_INNER_PRODUCT)
        self.index.hnsw.efConstruction = 200
        self.index.add(base)
        faiss.omp_set_num_threads(1)

    def save(self, path):
        self.faiss.write_index(self.index, path)

    def search(self, query, effort, selector=None):
        parameters = self.faiss.SearchParametersHNSW(efSearch=max(effort, LIMIT), sel=selector)
        return self.index.search(query[None], LIMIT, params=parameters)[1][0]

    def selector(self, bitmap):
        self.bitmap = bitmap
        return self.faiss.IDSelectorBitmap(bitmap)


class FaissIvfRabitq:
    """Partitions of 4-bit codes and exact rescoring, the same idea as Plasma's."""

    def build(self, base, threads):
        import faiss

        self.faiss = faiss
        faiss.omp_set_num_threads(threads)
        self.base = base
        self.index = faiss.index_factory(DIMENSIONS, f"IVF{int(4 * len(base) ** 0.5)},RaBitQ4", faiss.METRIC_INNER_PRODUCT)
        self.index.train(base[:: max(1, len(base) // 100_000)])
        self.index.add(base)
        faiss.omp_set_num_threads(1)

    def save(self, path):
        self.faiss.write_index(self.index, path)

    def search(self, query, effort):
        self.index.nprobe = effort
        found = self.index.search(query[None], 50)[1][0]
        found = found[found >= 0]
        return found[numpy.argsort(-(self.base[found] @ query))[:LIMIT]]


class Usearch:
    def build(self, base, threads):
        from usearch.index import Index

        self.index = Index(ndim=DIMENSIONS, metric="ip", dtype="f32", connectivity=32, expansion_add=200)
        self.index.add(numpy.arange(len(base)), base, threads=threads)

    def save(self, path):
        self.index.save(path)

    def search(self, query, effort):
        self.index.expansion_search = max(effort, LIMIT)
        return self.index.search(query, LIMIT, threads=1).keys


class Scann:
    """Partitions of 4-bit product codes and exact rescoring."""

    def build(self, base, threads):
        import scann

        leaves = int(2 * len(base) ** 0.5)
        builder = scann.scann_ops_pybind.builder(base, LIMIT, "dot_product")
        builder = builder.tree(num_leaves=leaves, num_leaves_to_search=100, training_sample_size=min(len(base), 250_000))
        builder = builder.score_ah(2, anisotropic_quantization_threshold=0.2).reorder(100)
        builder.set_n_training_threads(threads)
        self.index = builder.build()
        self.leaves = leaves

    def save(self, path):
        os.makedirs(path)
        self.index.serialize(path)

    def search(self, query, effort):
        leaves = min(effort, self.leaves)
        return self.index.search(query, LIMIT, pre_reorder_num_neighbors=100, leaves_to_search=leaves)[0]


PEERS = {
    "hnswlib-16": lambda: Hnswlib(16, 128),
    "hnswlib-32": lambda: Hnswlib(32, 200),
    "faiss-hnsw": FaissHnsw,
    "faiss-ivf-rabitq4": FaissIvfRabitq,
    "scann": Scann,
    "usearch": Usearch,
}


def recall(found, truth):
    return len(set(map(int, found)) & set(map(int, truth))) / len(truth)


def measure(search, queries, truth):
    for query in queries[:50]:
        search(query)
    times, sum_of_recalls = [], 0.0
    for query, expected in zip(queries, truth):
        begun = time.perf_counter()
        found = search(query)
        times.append(time.perf_counter() - begun)
        sum_of_recalls += recall(found, expected)
    times.sort()
    return {
        "recall": sum_of_recalls / len(queries),
        "mean_ms": sum(times) / len(times) * 1e3,
        "p99_ms": times[int(len(times) * 0.99)] * 1e3,
    }


def throughput(search, queries):
    def work(part):
        for query in part:
            search(query)

    begun = time.perf_counter()
    workers = [threading.Thread(target=work, args=(queries[at::2],)) for at in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return len(queries) / (time.perf_counter() - begun)


def least_effort(search, queries, truth, target, efforts):
    for effort in efforts:
        total = sum(recall(search(query, effort), expected) for query, expected in zip(queries, truth))
        if total / len(queries) >= target:
            return effort
    return None


def main():
    name, base_file, queries_file, truth_file, folder = sys.argv[1:]
    base = numpy.fromfile(base_file, numpy.float32).reshape(-1, DIMENSIONS)
    queries = numpy.fromfile(queries_file, numpy.float32).reshape(-1, DIMENSIONS)
    truth = numpy.load(truth_file)
    half = len(queries) // 2
    peer = PEERS[name]()
    before = anonymous_mb()
    begun = time.perf_counter()
    peer.build(base, 2)
    seconds = time.perf_counter() - begun
    memory = anonymous_mb() - before
    path = os.path.join(folder, f"{name}.index")
    peer.save(path)
    files = [path] if os.path.isfile(path) else [os.path.join(path, file) for file in os.listdir(path)]
    disk = sum(map(os.path.getsize, files)) / 1e6
    for file in files:
        os.remove(file)
    if os.path.isdir(path):
        os.rmdir(path)
    print(json.dumps({"what": "build", "s": seconds, "memory_mb": memory, "disk_mb": disk}), flush=True)
    efforts = EFFORTS
    for target in TARGETS:
        effort = least_effort(peer.search, queries[:half], truth["all"][:half], target, efforts)
        if effort is None:
            print(json.dumps({"what": "search", "target": target, "recall": None}), flush=True)
            continue
        efforts = [other for other in efforts if other >= effort]
        search = lambda query: peer.search(query, effort)
        line = measure(search, queries[half:], truth["all"][half:])
        line["throughput"] = throughput(search, queries[half:])
        print(json.dumps({"what": "search", "target": target, "filter": 1, "effort": effort, **line}), flush=True)
        if hasattr(peer, "selector"):
            selector = peer.selector(numpy.packbits(truth["allowed"], bitorder="little"))
            filtered = lambda query, effort: peer.search(query, effort, selector)
            effort = least_effort(filtered, queries[:half], truth["filtered"][:half], target, EFFORTS)
            if effort is not None:
                line = measure(lambda query: filtered(query, effort), queries[half:], truth["filtered"][half:])
                print(json.dumps({"what": "search", "target": target, "filter": SELECTIVITY, "effort": effort, **line}), flush=True)


def make_truth(base_file, queries_file, truth_file):
    base = numpy.fromfile(base_file, numpy.float32).reshape(-1, DIMENSIONS)
    queries = numpy.fromfile(queries_file, numpy.float32).reshape(-1, DIMENSIONS)
    allowed = numpy.random.default_rng(7).random(len(base)) < SELECTIVITY
    selected = numpy.flatnonzero(allowed)
    every, filtered = [], []
    for part in numpy.array_split(queries, max(1, len(queries) // 100)):
        scores = part @ base.T
        best = numpy.argpartition(-scores, LIMIT, axis=1)[:, :LIMIT]
        every.append(best)
        scores = scores[:, selected]
        filtered.append(selected[numpy.argpartition(-scores, LIMIT, axis=1)[:, :LIMIT]])
    with open(truth_file, "wb") as file:
        numpy.savez(file, all=numpy.concatenate(every), filtered=numpy.concatenate(filtered), allowed=allowed)


if __name__ == "__main__":
    if sys.argv[1] == "--truth":
        make_truth(*sys.argv[2:])
    else:
        main()
