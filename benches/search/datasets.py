"""The labelled sets: documents, queries, and which documents are relevant. README.md says how each comes about and why.

Everything is made from packages that others publish, in the cache folder, by rules without chance: a choice "by hash" takes what has the
smallest SHA-256. Nothing of it is kept in this repository.
"""

import collections
import dataclasses
import glob
import gzip
import hashlib
import json
import os
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "vector"))

import embed  # noqa: E402

# Of the files that are read. Debian's lists change with each of its releases and have none: see DIGESTS.
SHA256 = {
    "lee.cor": "a878f9a58f6743c32985c56c2f2f75988386216b38a4023a01fd3bcf7884d93e",
    "lee_background.cor": "5d78d6dafd953bbf65797bef09a9ffb9ec430583381be705f8fd460000f370fb",
    "similarities0-1.txt": "23762bc6b728897144dda3d324a2c032dc1e059e1009806226d64b6dd123ed79",
    "dict-foldoc": "745cbedb55c2da609cc88ee0284e9d11a67a11ae3709daf7bad0e895ac3294c3",
    "wordnet-base": "61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752",
}

# Of the sets as they were when docs/search-benchmarks.md was written.
DIGESTS = {"lee": "57c9bd0faac8f8ef", "debian": "1afb52b8903cbd49", "foldoc": "abc9c0aaffc12a1e"}

# Lee: judgements are fifths of 1 (unrelated) to 5 (the same).
UNRELATED, RELEVANT = 0.2, 0.5

PACKAGES_MAX, PACKAGE_QUERIES, TOPIC_QUERIES = 12_000, 600, 500
DESCRIPTION_CHARS = range(200, 4_001)
SYNOPSIS_WORDS_MIN = 3
TOPIC_PACKAGES = range(3, 11)
TOPIC_FACETS = {
    "accessibility": "", "admin": "", "biology": "biology", "field": "", "game": "game", "hardware": "hardware", "mail": "mail",
    "network": "network", "office": "", "protocol": "protocol", "science": "", "security": "", "sound": "", "use": "", "web": "web",
    "works-with": "", "works-with-format": "",
}

FOLDOC_CHARS_MIN, FOLDOC_OTHERS = 200, 4_000
DOMAIN = "computer_science"
GLOSS_WORDS_MIN = 4


@dataclasses.dataclass
class Document:
    key: str
    title: str
    text: str
    # Whether all that is relevant of it is known.
    tagged: bool = False


@dataclasses.dataclass
class Query:
    text: str
    # Above 0, by key.
    gains: dict
    # For the measures that know only yes and no.
    relevant: set
    # Left out of the ranking: the document that is the query itself.
    without: str | None = None


@dataclasses.dataclass
class Set:
    name: str
    title: str
    # Sets with the same collection share its documents.
    collection: str
    queries: list
    # Search only among documents that are tagged.
    tagged_only: bool = False


def by_hash(items, name):
    return sorted(items, key=lambda item: hashlib.sha256(name(item).encode()).digest())


def check(name, content):
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256[name]:
        raise SystemExit(f"{name} is not the one that the sets are made from: its SHA-256 is {found}, expected {SHA256[name]}")
    return content


def deb(folder, name):
    unpacked = embed.package(folder, name)
    check(name, next(folder.glob(f"{name}_*.deb")).read_bytes())
    return unpacked


# Lee: 50 documents, each pair of which people have judged, among 300 others.


def lee(folder):
    data = embed.wheel(folder, "gensim") / "gensim" / "test" / "test_data"
    read = lambda name: check(name, (data / name).read_bytes()).decode("latin-1").strip()
    judged, others = read("lee.cor").split("\n"), read("lee_background.cor").split("\n")
    matrix = [[float(cell) for cell in line.split()] for line in read("similarities0-1.txt").split("\n")]
    documents = [Document(f"judged-{at}", headline(text), text) for at, text in enumerate(judged)]
    documents += [Document(f"other-{at}", headline(text), text) for at, text in enumerate(others)]
    queries = [lee_query(at, text, matrix) for at, text in enumerate(judged)]
    return documents, [Set("lee", "news, judged by people", "lee", [query for query in queries if query.relevant])]


def headline(text):
    """News have none: the first words."""
    return " ".join(text.split()[:8])


def lee_query(at, text, matrix):
    # Only half of the matrix is filled.
    judgements = {other: max(matrix[at][other], matrix[other][at]) for other in range(len(matrix)) if other != at}
    gains = {f"judged-{other}": (value - UNRELATED) / (1 - UNRELATED) for other, value in judgements.items() if value > UNRELATED}
    relevant = {f"judged-{other}" for other, value in judgements.items() if value >= RELEVANT}
    return Query(text, gains, relevant, without=f"judged-{at}")


# Debian: a package's long description is the document; its short one, or a pair of tags, is the query.


@dataclasses.dataclass
class Package:
    name: str
    source: str
    synopsis: str
    text: str
    tags: frozenset


def fields(text):
    """Paragraphs of `Name: value` lines, as in Debian's control files; a line that begins with a space continues its field."""
    for entry in text.split("\n\n"):
        found, name = {}, None
        for line in entry.split("\n"):
            if line.startswith((" ", "\t")):
                if name:
                    found[name] += "\n" + line
            elif ":" in line:
                name, _, value = line.partition(":")
                found[name] = value.strip()
        if found:
            yield found


def paragraphs(description):
    found = [" ".join(part.split()) for part in re.split(r"\n \.(?=\n|$)", description)]
    return "\n\n".join(part for part in found if part)


def all_packages(folder):
    lists = embed.debian_lists(folder)
    # The main list is the largest; the others hold only updates of it.
    largest = lambda pattern: Path(max(glob.glob(f"{lists}/{pattern}"), key=os.path.getsize)).read_text("utf-8", "replace")
    long = {}
    for entry in fields(largest("*_Translation-en")):
        synopsis, _, description = entry.get("Description-en", "").partition("\n")
        long[entry.get("Description-md5")] = (synopsis.strip(), paragraphs("\n" + description))
    for entry in fields(largest("*_main_binary-*_Packages")):
        synopsis, text = long.get(entry.get("Description-md5"), ("", ""))
        tags = {tag.strip() for tag in entry.get("Tag", "").replace("\n", " ").split(",")} - {""}
        source = (entry.get("Source") or entry["Package"]).split()[0]
        yield Package(entry["Package"], source, synopsis, text, frozenset(tags))


def choose_packages(packages):
    """One package of each source: others of it share sentences, and none of them would be the right one."""
    sources = collections.defaultdict(list)
    for package in packages:
        plain = " ".join(package.text.split()).casefold()
        hides_synopsis = package.synopsis.casefold() not in plain
        if len(package.text) in DESCRIPTION_CHARS and len(package.synopsis.split()) >= SYNOPSIS_WORDS_MIN and hides_synopsis:
            sources[package.source].append(package)
    rank = lambda package: ("role::program" not in package.tags, package.name != package.source, len(package.name), package.name)
    chosen, texts = [], set()
    for source in sorted(sources):
        package = min(sources[source], key=rank)
        if package.text not in texts:
            texts.add(package.text)
            chosen.append(package)
    # Those with tags first, for the topics are made from them.
    return sorted(by_hash(chosen, lambda package: package.name), key=lambda package: not package.tags)[:PACKAGES_MAX]


def phrase(tag):
    """A tag in words: `works-with::image:raster` is "raster image"."""
    facet, _, value = tag.partition("::")
    words = [word for word in reversed(value.replace("-", " ").split(":")) if word]
    return " ".join(words + [TOPIC_FACETS[facet]] * (TOPIC_FACETS[facet] != ""))


def topics(packages):
    """Pairs of tags of two facets that few packages have together. Pairs of the same packages, or of the same words, count once."""
    pairs = collections.defaultdict(set)
    for package in packages:
        # Debtags has tags such as `works-with::TODO`: a volunteer has yet to choose one.
        tags = sorted(tag for tag in package.tags if tag.partition("::")[0] in TOPIC_FACETS and "TODO" not in tag)
        for place, second in enumerate(tags):
            for first in tags[:place]:
                if first.partition("::")[0] != second.partition("::")[0]:
                    pairs[first, second].add(package.name)
    known, queries = set(), []
    for first, second in by_hash(pairs, " ".join):
        names = frozenset(pairs[first, second])
        words = f"{phrase(first)} {phrase(second)}"
        if len(names) in TOPIC_PACKAGES and names not in known and words not in known:
            known |= {names, words}
            queries.append(Query(words, dict.fromkeys(names, 1.0), set(names)))
    return queries[:TOPIC_QUERIES]


def debian(folder):
    packages = choose_packages(all_packages(folder))
    documents = [Document(package.name, package.name, package.text, tagged=bool(package.tags)) for package in packages]
    times = collections.Counter(package.synopsis.casefold() for package in packages)
    alone = [package for package in packages if times[package.synopsis.casefold()] == 1]
    chosen = by_hash(alone, lambda package: "query " + package.name)[:PACKAGE_QUERIES]
    queries = [Query(package.synopsis, {package.name: 1.0}, {package.name}) for package in chosen]
    return documents, [
        Set("debian-synopsis", "a package by its short description", "debian", queries),
        Set("debian-topics", "packages by two tags", "debian", topics(packages), tagged_only=True),
    ]


# FOLDOC by WordNet: one dictionary's definition is the query, the other's entry of the same word is the document.


def foldoc_entries(folder):
    base = next((deb(folder, "dict-foldoc") / "usr/share/dictd").glob("*.index"))
    data = gzip.open(base.with_suffix(".dict.dz")).read()
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

    def number(text):
        value = 0
        for digit in text:
            value = value * 64 + digits.index(digit)
        return value

    for line in base.read_text("utf-8", "replace").splitlines():
        word, start, length = line.split("\t")
        if not word.startswith("00-database"):
            begin = number(start)
            yield word, data[begin : begin + number(length)].decode("utf-8", "replace")


def foldoc_text(entry):
    """Without the headword's line, the marks of links and the date."""
    body = entry.partition("\n")[2]
    parts = [" ".join(part.split()) for part in re.split(r"\n\s*\n", re.sub(r"[{}]", "", body))]
    return "\n\n".join(part for part in parts if part and not re.fullmatch(r"\(\d{4}-\d\d-\d\d\)", part))


def synsets(folder):
    """WordNet's sets of words with one meaning: words, gloss, and pointers to others, by part of speech and offset."""
    found = {}
    for part in ("noun", "verb", "adj"):
        for line in (deb(folder, "wordnet-base") / f"usr/share/wordnet/data.{part}").read_text("latin-1").splitlines():
            left, _, gloss = line.partition(" | ")
            if line.startswith("  ") or not gloss:
                continue
            cells = left.split()
            count = int(cells[3], 16)
            words = [cells[4 + 2 * at].replace("_", " ").casefold() for at in range(count)]
            pointers = cells[5 + 2 * count :]
            pointers = [tuple(pointers[at : at + 3]) for at in range(0, 4 * int(cells[4 + 2 * count]), 4)]
            found[part[0], cells[0]] = (words, gloss.strip(), pointers)
    return found


def of_computing(all_synsets):
    """Those that WordNet marks with the domain of computer science, and what it says are kinds of them: of other meanings of a word
    FOLDOC knows nothing."""
    domain = {key for key, (words, _, _) in all_synsets.items() if DOMAIN.replace("_", " ") in words}
    inside = {
        key
        for key, (_, gloss, pointers) in all_synsets.items()
        if gloss.startswith("(computer science)") or any(kind == ";c" and (to, at) in domain for kind, at, to in pointers)
    }
    while True:
        more = {
            key
            for key, (_, _, pointers) in all_synsets.items()
            if key not in inside and any(kind in ("@", "@i") and (to, at) in inside for kind, at, to in pointers)
        }
        if not more:
            return inside
        inside |= more


def definition(gloss):
    """A gloss without the mark of its domain and without examples."""
    return re.sub(r"^\([^)]*\)\s*", "", re.split(r';\s*"', gloss)[0]).strip()


def foldoc(folder):
    entries = {}
    for word, entry in foldoc_entries(folder):
        text = foldoc_text(entry)
        if len(text) >= FOLDOC_CHARS_MIN:
            entries.setdefault(word.casefold(), Document(word.casefold(), word, text))
    all_synsets = synsets(folder)
    queries, wanted = [], set()
    for key in sorted(of_computing(all_synsets)):
        words, gloss, _ = all_synsets[key]
        text = definition(gloss)
        names = {word for word in words if word in entries}
        # A definition that has the word itself would find it by its title.
        is_plain = any(re.search(rf"\b{re.escape(name)}\b", text.casefold()) for name in names)
        if names and not is_plain and len(text.split()) >= GLOSS_WORDS_MIN:
            wanted |= names
            queries.append(Query(text, dict.fromkeys(sorted(names), 1.0), names))
    others = by_hash((word for word in entries if word not in wanted), str)[:FOLDOC_OTHERS]
    documents = [entries[word] for word in sorted(wanted | set(others))]
    return documents, [Set("foldoc-glosses", "a dictionary's entry by another's definition", "foldoc", queries)]


SOURCES = {"lee": lee, "debian": debian, "foldoc": foldoc}


def digest(documents, sets):
    """Of all that a measurement depends on, so that two can be told to be of the same."""
    content = [
        [[one.key, one.title, one.text, one.tagged] for one in documents],
        [[one.name, [[query.text, sorted(query.gains.items()), sorted(query.relevant)] for query in one.queries]] for one in sets],
    ]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:16]
