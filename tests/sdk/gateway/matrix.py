"""The conformance matrix, written from the results of a run."""

HEAD = """\
# What the gateway carries

A client of any of four protocols calls a model at any kind of provider. Where both speak the same protocol, the request
and the answer pass through; else they are translated. This page is written by `make gateway-matrix` from a run of the
official packages against Plasma: {packages}. The providers are simulated
by aimock {aimock}. Every run of the tests checks that the page is still true; what it says is changed by changing Plasma
or `tests/sdk/gateway`.

- **carried**: the request reached the provider whole (texts, pictures, tools, schemas, results, the seals of its own
  thoughts), the answer reached the package whole, with its usage and the reason of its end, and the package took it for
  one of its own protocol. A row holds for whole and streamed answers alike, unless it says otherwise.
- **with warning**: the same, and the header `plasma-warning` tells what the provider's protocol has no place for.
- **refused**: the answer is a 400 that says why.

aimock seals thoughts as Anthropic and the Responses API do; Gemini's and Bedrock's come without a seal, so Bedrock's are
not sent back. It counts no tokens: `count_tokens` and `countTokens` are not checked here.
"""


def page(clients, kinds, features, failures, results, packages, aimock):
    """The whole page. `results` has what each check came to, by (what, client, kind, name)."""
    lines = HEAD.format(packages=packages, aimock=aimock).splitlines()
    for client in clients:
        rows = []
        for title in features:
            whole, streamed = (
                [results[("feature", client.short, kind.name, name)] for kind in kinds]
                for name in (title, f"{title}, streamed")
            )
            if whole == streamed:
                rows.append((title, whole))
            else:
                rows += [(f"{title}, whole", whole), (f"{title}, streamed", streamed)]
        lines += ["", f"## {client.protocol}", "", *table("", [kind.title for kind in kinds], rows)]
    lines += ["", "## When a provider fails", "", "The same for every kind of provider, whole and streamed.", ""]
    rows = []
    for name, failure in failures.items():
        raised = [merged(results, "raised", [client], kinds, name) if failure.status else "" for client in clients]
        rows.append((failure.title, [*raised, merged(results, "route", clients, kinds, name)]))
    columns = [*(client.protocol for client in clients), "any, in a route with a second candidate"]
    return "\n".join([*lines, *table("at the provider", columns, rows), ""])


def merged(results, what, clients, kinds, name):
    """What all clients and kinds have in common; the kinds are named where they differ."""
    found = {}
    for client in clients:
        for kind in kinds:
            found.setdefault(results[(what, client.short, kind.name, name)], []).append(kind.title)
    if len(found) == 1:
        return next(iter(found))
    return "; ".join(f"{words} ({', '.join(sorted(set(titles)))})" for words, titles in sorted(found.items()))


def table(first, columns, rows):
    lines = [f"| {first} | {' | '.join(columns)} |", "|" + " --- |" * (len(columns) + 1)]
    return lines + [f"| {name} | {' | '.join(map(escaped, cells))} |" for name, cells in rows]


def escaped(cell):
    return cell.replace("|", "\\|").replace("\n", " ")
