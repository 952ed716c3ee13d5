"""The part of refresh_prices.py that runs inside the isolated Python: genai-prices' objects become models/prices.json.

Format: one JSON object whose lines are one model each. A model has `id`, `match`, `prices` and, where upstream has them,
`variants` (prices for batches, service tiers and so on, each with the `when` that selects it).

- A clause of `match` is a text (equals), a list (any of them) or an object with one key: starts_with, ends_with, contains,
  regex, all, not. Texts are lowercase, because a model's name is compared in lowercase.
- `prices` are tried from the last to the first; the first is used when none applies. `from` is the day (UTC) on which one
  starts, `between` the times of the day (UTC) within which it holds, the second of them excluded.
- Of `variants` whose `when` fits a call the first that holds is taken. It takes the place of the prices that it names; the
  others stay.
- A price is in millionths of a US dollar for a million tokens; names that end in another unit (`_kcount`: a thousand) are
  for that unit. `tiers` state all prices anew for calls with more than `above` input tokens.
"""

import json
import re
import sys
from decimal import Decimal, localcontext
from pathlib import Path

SITE, WRITTEN, VERSION, RETRIEVED_AT = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4] or None
sys.path.insert(0, str(SITE))
sys.path.insert(1, str(Path(__file__).resolve().parent))

from genai_prices import types  # noqa: E402
from genai_prices.data import providers as PROVIDERS  # noqa: E402

MICROS = 1_000_000
# `^(?!X)Y` with no other lookaround: Rust's regular expressions have none, so it becomes `not ^X` and `^Y`.
LOOKAHEAD = re.compile(r"\^\(\?!((?:[^()]|\((?:[^()])*\))*)\)(.*)")
LOOKAROUND = re.compile(r"\(\?(?:[=!]|<[=!])|\\[1-9]")
TEXT_CLAUSES = {
    types.ClauseStartsWith: "starts_with",
    types.ClauseEndsWith: "ends_with",
    types.ClauseContains: "contains",
}


class Inexact(Exception):
    """A price that is not a whole number of micro-dollars."""


def micros(price):
    with localcontext() as context:
        context.prec = 60
        scaled = price * MICROS
        if not price.is_finite() or price < 0 or scaled > 10**12:
            raise ValueError(f"the price {price} is out of range")
        if scaled != scaled.to_integral_value():
            raise Inexact(str(price))
        return int(scaled)


def pattern(regex):
    if not LOOKAROUND.search(regex):
        return {"regex": regex}
    found = LOOKAHEAD.fullmatch(regex)
    if not found or LOOKAROUND.search(found[1]) or LOOKAROUND.search(found[2]):
        raise ValueError(f"the pattern {regex!r} cannot be said without lookaround")
    absent = {"not": {"regex": f"^(?:{found[1]})"}}
    return {"all": [absent, {"regex": f"^{found[2]}"}]} if found[2] else absent


def clause(match):
    if isinstance(match, types.ClauseEquals):
        return match.equals.lower()
    if isinstance(match, types.ClauseOr):
        return [clause(part) for part in match.or_]
    if isinstance(match, types.ClauseAnd):
        return {"all": [clause(part) for part in match.and_]}
    if isinstance(match, types.ClauseRegex):
        return pattern(match.regex)
    word = TEXT_CLAUSES[type(match)]
    return {word: getattr(match, word).lower()}


def rates_at(prices, input_tokens):
    """The Decimal of each price for a call with this many input tokens, as genai-prices chooses its tier."""
    rates = {}
    for key, price in prices.items():
        if isinstance(price, types.TieredPrices):
            applying = [tier.price for tier in price.tiers if input_tokens > tier.start]
            rates[key] = applying[-1] if applying else price.base
        else:
            rates[key] = price
    return rates


def broader(key):
    """The price that counts for tokens whose own price is absent."""
    if key.startswith("cache_"):
        return "input_mtok"
    return "output_mtok" if key.startswith("output_") else key


def left_out(levels, where, inexact):
    """The prices that cannot be told exactly. Never one whose absence would make a call look cheaper: a token without a price
    of its own is counted at the broader one, so where that is lower it goes as well, and the cost is unknown."""
    keys = set()
    for rates in levels:
        for key, price in rates.items():
            try:
                micros(price)
            except Inexact as error:
                keys.add(key)
                inexact.add((*where, key, str(error)))
                if price > rates.get(broader(key), Decimal(0)):
                    keys.add(broader(key))
    return keys


def price_object(model_price, where, inexact):
    prices = {key: price for key, price in sorted(vars(model_price).items()) if price is not None}
    starts = sorted({tier.start for price in prices.values() if isinstance(price, types.TieredPrices) for tier in price.tiers})
    levels = [rates_at(prices, 0), *(rates_at(prices, start + 1) for start in starts)]
    omitted = left_out(levels, where, inexact)

    def level(rates):
        return {key.removesuffix("_mtok"): micros(price) for key, price in rates.items() if key not in omitted}

    written = level(levels[0])
    if starts:
        written["tiers"] = [{"above": start} | level(rates) for start, rates in zip(starts, levels[1:], strict=True)]
    return written


def condition(constraint):
    if constraint is None:
        return {}
    if isinstance(constraint, types.StartDateConstraint):
        return {"from": constraint.start_date.isoformat()}
    times = []
    for time in (constraint.start_time, constraint.end_time):
        if time.second or time.microsecond or (time.tzinfo is not None and time.utcoffset()):
            raise ValueError(f"the time {time} is not a whole minute of UTC")
        times.append(time.strftime("%H:%M"))
    return {"between": times}


def model_object(provider, model, inexact):
    where = (provider.id, model.id)
    if isinstance(model.prices, types.ModelPrice):
        prices = [price_object(model.prices, where, inexact)]
    else:
        prices = [condition(price.constraint) | price_object(price.prices, where, inexact) for price in model.prices]
    written = {"id": model.id, "match": clause(model.match), "prices": prices}
    if model.price_variants:
        written["variants"] = [
            {"when": variant.when} | condition(variant.constraint) | price_object(variant.prices, where, inexact)
            for variant in model.price_variants
        ]
    return written


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def check_sorted(ids, what):
    # The first that matches is taken, so the order has a meaning: it is kept, and it must be the order of a readable diff.
    if ids != sorted(ids):
        raise ValueError(f"upstream's order of {what} is not that of their ids any more")


def book():
    """The file's text, and which prices were left out of it as (provider, model, name, value)."""
    inexact = set()
    blocks = []
    check_sorted([provider.id for provider in PROVIDERS], "providers")
    for provider in PROVIDERS:
        check_sorted([model.id for model in provider.models], f"the models of {provider.id}")
        if LOOKAROUND.search(provider.api_pattern):
            raise ValueError(f"the address pattern of {provider.id} needs lookaround")
        lines = ",\n".join(compact(model_object(provider, model, inexact)) for model in provider.models)
        fallback = {"fallback": provider.fallback_model_providers} if provider.fallback_model_providers else {}
        head = compact({"id": provider.id, "address": provider.api_pattern} | fallback)
        blocks.append(f'{head[:-1]},"models":[\n{lines}\n]}}')
    license_text = license_file().read_text(encoding="utf-8")
    header = {
        "source": "https://github.com/pydantic/genai-prices",
        "version": VERSION,
        "license": "MIT",
        "copyright": next(line for line in license_text.splitlines() if line.startswith("Copyright")),
        "retrieved_at": RETRIEVED_AT,
    }
    inexact_lines = ",\n".join(compact(list(entry)) for entry in sorted(inexact))
    text = (
        f'{{"header":{compact(header)},\n"not_exact":[\n{inexact_lines}\n],\n"providers":[\n'
        + ",\n".join(blocks) + "\n]}\n"
    )
    return text, inexact


def license_file():
    return next(SITE.glob("genai_prices-*.dist-info/licenses/LICENSE"))


def main():
    import price_samples

    text, inexact = book()
    (WRITTEN / "prices.json").write_text(text, encoding="utf-8")
    (WRITTEN / "LICENSE").write_bytes(license_file().read_bytes())
    (WRITTEN / "samples.json").write_text(price_samples.text({entry[:3] for entry in inexact}), encoding="utf-8")
    for entry in sorted(inexact):
        print("left out, because it is not a whole number of micro-dollars:", *entry, file=sys.stderr)


if __name__ == "__main__":
    main()
