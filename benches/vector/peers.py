#!/usr/bin/env python3
"""Builds one peer's index over a file of vectors, searches it, and prints lines of JSON like the Rust program's.

    peers.py NAME BASE.f32 QUERIES.f32 TRUTH.npy FOLDER

The first half of the queries chooses the search effort (the least that reaches a recall), the second half is measured. Queries go
one by one on one thread; then on two threads at once for the throughput.
"""

import json
import os
import shutil
import sys
import threading
import time

import numpy

from pgvector import Pgvector

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


class Qdrant:
    """Qdrant in this process: a graph over 8-bit codes, rescored from the vectors, which stay mapped."""

    FEW = "few"

    def __init__(self, folder):
        self.folder = os.path.join(folder, "qdrant")

    def build(self, base, threads):
        import qdrant_edge as edge

        self.edge = edge
        shutil.rmtree(self.folder, ignore_errors=True)
        config = edge.EdgeConfig(
            vectors=edge.EdgeVectorParams(size=DIMENSIONS, distance=edge.Distance.Dot),
            hnsw_config=edge.HnswIndexConfig(m=16, ef_construct=128, full_scan_threshold=10_000, max_indexing_threads=threads),
            quantization_config=edge.ScalarQuantizationConfig(type=edge.ScalarType.Int8, quantile=0.99, memory=edge.Memory.Pinned),
            # One segment: each further one would be searched too.
            optimizers=edge.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=1_000),
            max_search_threads=1,
        )
        self.shard = edge.EdgeShard.create(self.folder, config)
        self.shard.update(edge.UpdateOperation.create_field_index(self.FEW, edge.PayloadSchemaType.Integer))
        for first in range(0, len(base), 1_000):
            rows = enumerate(base[first : first + 1_000], first)
            points = [edge.Point(at, row.tolist(), {self.FEW: int(self.allowed[at])}) for at, row in rows]
            self.shard.update(edge.UpdateOperation.upsert_points(points))
        self.shard.optimize()
        self.shard.flush()

    def save(self, path):
        shutil.copytree(self.folder, path)

    def search(self, query, effort, few=None):
        edge = self.edge
        effort = max(effort, LIMIT)
        # Codes of 8 bits lose some neighbours: twice as many candidates are compared with the vectors.
        codes = edge.QuantizationSearchParams(rescore=True, oversampling=2.0)
        parameters = edge.SearchParams(hnsw_ef=effort, quantization=codes)
        wanted = edge.Query.Nearest(query.tolist())
        return [point.id for point in self.shard.search(edge.SearchRequest(wanted, LIMIT, filter=few, params=parameters))]

    def selector(self, _):
        return self.edge.Filter(must=[self.edge.FieldCondition(self.FEW, match=self.edge.MatchValue(1))])

    def close(self):
        self.shard.close()
        shutil.rmtree(self.folder, ignore_errors=True)


PEERS = {
    "hnswlib-16": lambda _: Hnswlib(16, 128),
    "hnswlib-32": lambda _: Hnswlib(32, 200),
    "faiss-hnsw": lambda _: FaissHnsw(),
    "faiss-ivf-rabitq4": lambda _: FaissIvfRabitq(),
    "scann": lambda _: Scann(),
    "usearch": lambda _: Usearch(),
    "qdrant-edge": Qdrant,
    "pgvector-halfvec": Pgvector,
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
    """Two threads, each with its own queries: how many a second both answer together, and how long each took."""
    times = []

    def work(part):
        search(part[0])
        for query in part:
            begun = time.perf_counter()
            search(query)
            times.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    workers = [threading.Thread(target=work, args=(queries[at::2],)) for at in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    took = time.perf_counter() - begun
    times.sort()
    return {
        "queries_per_s": len(times) / took,
        "mean_ms": sum(times) / len(times) * 1e3,
        "p99_ms": times[int(len(times) * 0.99)] * 1e3,
    }


def least_effort(search, queries, truth, target, efforts):
    for effort in efforts:
        total = sum(recall(search(query, effort), expected) for query, expected in zip(queries, truth))
        if total / len(queries) >= target:
            return effort
    return None


def folder_bytes(path):
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(folder, file)) for folder, _, files in os.walk(path) for file in files)


def build(name, peer, base, folder):
    """Builds the index and prints what it took. Servers say themselves what they hold; of others it is what this process gained."""
    before = anonymous_mb()
    begun = time.perf_counter()
    peer.build(base, 2)
    seconds = time.perf_counter() - begun
    if hasattr(peer, "memory_mb"):
        memory, disk = peer.memory_mb(), peer.disk_mb()
    else:
        memory = anonymous_mb() - before
        path = os.path.join(folder, f"{name}.index")
        peer.save(path)
        disk = folder_bytes(path) / 1e6
        shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
    print(json.dumps({"what": "build", "s": seconds, "memory_mb": memory, "disk_mb": disk}), flush=True)


def search_at(peer, queries, truth, target, efforts):
    """One target of recall: measures and prints, and returns the effort that it takes, if there is one."""
    half = len(queries) // 2
    effort = least_effort(peer.search, queries[:half], truth["all"][:half], target, efforts)
    if effort is None:
        print(json.dumps({"what": "search", "target": target, "recall": None}), flush=True)
        return None
    search = lambda query: peer.search(query, effort)
    line = measure(search, queries[half:], truth["all"][half:])
    print(json.dumps({"what": "search", "target": target, "filter": 1, "effort": effort, **line}), flush=True)
    line = throughput(search, queries[half:])
    print(json.dumps({"what": "throughput", "target": target, "threads": 2, **line}), flush=True)
    if hasattr(peer, "selector"):
        selector = peer.selector(numpy.packbits(truth["allowed"], bitorder="little"))
        filtered = lambda query, effort: peer.search(query, effort, selector)
        least = least_effort(filtered, queries[:half], truth["filtered"][:half], target, getattr(peer, "efforts", EFFORTS))
        if least is not None:
            line = measure(lambda query: filtered(query, least), queries[half:], truth["filtered"][half:])
            print(json.dumps({"what": "search", "target": target, "filter": SELECTIVITY, "effort": least, **line}), flush=True)
    return effort


def main():
    name, base_file, queries_file, truth_file, folder = sys.argv[1:]
    # A thread that waits for Python's lock asks for it after 5 ms otherwise, which is more than most queries take.
    sys.setswitchinterval(1e-4)
    base = numpy.fromfile(base_file, numpy.float32).reshape(-1, DIMENSIONS)
    queries = numpy.fromfile(queries_file, numpy.float32).reshape(-1, DIMENSIONS)
    truth = numpy.load(truth_file)
    peer = PEERS[name](folder)
    # Databases keep beside a vector what filters ask for.
    peer.allowed = truth["allowed"]
    try:
        build(name, peer, base, folder)
        efforts = getattr(peer, "efforts", EFFORTS)
        for target in TARGETS:
            effort = search_at(peer, queries, truth, target, efforts)
            if effort is not None:
                efforts = [other for other in efforts if other >= effort]
    finally:
        if hasattr(peer, "close"):
            peer.close()


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
