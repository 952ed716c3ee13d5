#!/usr/bin/env python3
"""Writes models/prices.json from a release of genai-prices (https://github.com/pydantic/genai-prices, MIT).

The wheel and what it needs are fetched by `pip download` into a temporary folder and unpacked there; nothing is installed
into this Python. scripts/price_book.py then reads the data with the wheel's own classes, in a Python that sees only that
folder and the standard library, and also computes the samples that the Rust tests compare with.

Written: models/prices.json, models/prices.LICENSE, crates/models/src/prices/samples.json. Exit status: 0 when all three
are written, 1 when something was refused; then none is changed.
"""

import argparse
import datetime
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PINNED_VERSION = "0.2.3"
PINNED_SHA256 = "56976ce2b04ec206117f7d0e53f4849211a6724ab3a12119afec304eba63ee25"
# The book is compiled into the program.
BOOK_BYTES_MAX = 1_500_000
TARGETS = {
    "prices.json": ROOT / "models" / "prices.json",
    "LICENSE": ROOT / "models" / "prices.LICENSE",
    "samples.json": ROOT / "crates" / "models" / "src" / "prices" / "samples.json",
}


class Refused(Exception):
    """What was fetched or converted must not be used."""


def pip(*arguments):
    subprocess.run([sys.executable, "-m", "pip", *arguments, "--quiet", "--disable-pip-version-check"], check=True)


def fetch(version, folder):
    """Downloads the wheel with its requirements, checks it when it is the pinned one, and unpacks all of them."""
    wheels, site = folder / "wheels", folder / "site"
    pip("download", f"genai-prices=={version}", "--only-binary", ":all:", "--dest", str(wheels))
    wheel = wheels / f"genai_prices-{version}-py3-none-any.whl"
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if version == PINNED_VERSION and digest != PINNED_SHA256:
        raise Refused(f"{wheel.name} has SHA-256 {digest}, not {PINNED_SHA256}")
    pip("install", f"genai-prices=={version}", "--no-index", "--find-links", str(wheels), "--target", str(site))
    return site


def main():
    parser = argparse.ArgumentParser(description="Write models/prices.json from a release of genai-prices.")
    parser.add_argument("--version", default=PINNED_VERSION, help=f"the release ({PINNED_VERSION} when absent)")
    parser.add_argument("--retrieved-at", type=datetime.date.fromisoformat, metavar="YYYY-MM-DD",
                        help="when the release was fetched; null when absent, because the wheel does not say")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        site = fetch(arguments.version, folder)
        written = folder / "written"
        written.mkdir()
        # -I and -S: no user folder, no site-packages, no PYTHONPATH. What is imported comes from the unpacked wheels.
        converted = subprocess.run(
            [sys.executable, "-I", "-S", "-B", str(ROOT / "scripts" / "price_book.py"), str(site), str(written),
             arguments.version, str(arguments.retrieved_at or "")], check=False)
        if converted.returncode != 0:
            raise Refused("the data could not be converted; see above")
        size = (written / "prices.json").stat().st_size
        if size > BOOK_BYTES_MAX:
            raise Refused(f"the book has {size} bytes, more than {BOOK_BYTES_MAX}")
        for name, target in TARGETS.items():
            target.write_bytes((written / name).read_bytes())
    print(f"models/prices.json: genai-prices {arguments.version}, {size:,} bytes")


if __name__ == "__main__":
    try:
        main()
    except (Refused, subprocess.CalledProcessError) as error:
        print(f"refresh_prices: {error}", file=sys.stderr)
        sys.exit(1)
