"""Costs that genai-prices itself computes, for the Rust tests to compare with: crates/models/src/prices/samples.json.

A line is [address, model's name, time (microseconds UTC), input tokens, those read from a cache, those written to one, output
tokens, those that were thoughts, the id of the model whose price it is or null, micro-dollars rounded up or null].

Null where genai-prices finds nothing, and where it says 0 because a price that the call needs is absent: Plasma does not
take the absence of a price for a price of zero.
"""

import json
import math
import random
import re
from datetime import UTC, datetime, time, timedelta
from decimal import getcontext

from genai_prices import Usage, calc_price, types
from genai_prices.data import providers as PROVIDERS

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
# Where an address is not simply the pattern without its backslashes.
ADDRESSES = {
    "arcee": "https://api.arcee.ai/api/v1",
    "aws": "https://bedrock-runtime.eu-west-1.amazonaws.com",
    "azure": "https://acme.openai.azure.com/openai/v1",
    "baseten": "https://inference.baseten.co/v1",
    "cloudflare": "https://api.cloudflare.com/client/v4/accounts/0123/ai/v1",
    "cohere": "https://api.cohere.com/v2",
    "databricks": "https://acme.cloud.databricks.com/serving-endpoints",
    "elevenlabs": "https://api.us.elevenlabs.io/v1",
    "google": "https://generativelanguage.googleapis.com/v1beta/openai",
    "meta": "https://api.meta.ai/v1",
    "minimax": "https://api.minimax.io/v1",
    "modal": "https://acme--serve.modal.run/v1",
    "moonshotai": "https://api.moonshot.ai/v1",
    "openrouter": "https://openrouter.ai/api/v1",
}
# Fallback providers, names with compact dates, capitals, names that no clause or several clauses match, unknown addresses.
ODD_NAMES = [
    ("azure", "gpt-4o-mini-2024-07-18"), ("azure", "claude-sonnet-4-5"), ("azure", "deepseek-chat"),
    ("google", "claude-opus-4-1@20250805"), ("google", "claude-3-5-haiku-latest"), ("google", "gemini-2.5-flash"),
    ("google", "gemini-2.5-flash-preview-tts"), ("google", "gemini-3.5-flash-001"), ("google", "GEMINI-2.5-PRO"),
    ("openai", "gpt-5.2-20251211"), ("openai", "gpt-5-20250807"), ("openai", "gpt-5-20250230"), ("openai", "GPT-4o"),
    ("openai", "gpt-4o-20240806:ft"), ("openai", "o3"), ("openai", "no-such-model"), ("openai", "text-embedding-3-small"),
    ("anthropic", "claude-sonnet-4-20250514"), ("anthropic", "claude-opus-5-20260101"), ("anthropic", "gpt-4o"),
    ("aws", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"), ("aws", "amazon.nova-pro-v1:0"), ("aws", "unknown.v1"),
    ("mistral", "mistral-large-latest"), ("mistral", "mistral-ocr-latest"), ("groq", "whisper-large-v3"),
    ("perplexity", "sonar-deep-research"), ("perplexity", "sonar-pro"), ("openrouter", "anthropic/claude-haiku-5.5-20260901"),
    ("github-copilot", "gpt-4.1"), ("x-ai", "grok-4.5-20260101"), ("deepseek", "deepseek-reasoner"),
]
UNKNOWN_ADDRESSES = ["http://127.0.0.1:8080/v1", "https://example.com/v1", "http://api.openai.com/v1"]


def address(provider):
    guess = ADDRESSES.get(provider.id, provider.api_pattern.replace("\\", "") + "/v1")
    if not re.match(provider.api_pattern, guess):
        raise ValueError(f"no address is known for {provider.id}: {provider.api_pattern}")
    return guess


def names(match):
    """Names that a clause accepts, as far as they can be read off it."""
    if isinstance(match, types.ClauseEquals):
        return [match.equals]
    if isinstance(match, types.ClauseStartsWith):
        return [match.starts_with, match.starts_with + "-x1"]
    if isinstance(match, types.ClauseEndsWith):
        return ["x1-" + match.ends_with]
    if isinstance(match, types.ClauseContains):
        return [f"x1-{match.contains}-x2"]
    return [name for part in getattr(match, "or_", []) for name in names(part)]


def conditions(model):
    return model.prices if isinstance(model.prices, list) else []


def tier_starts(model):
    all_prices = [price.prices for price in conditions(model)] or [model.prices]
    values = [value for prices in all_prices for value in vars(prices).values()]
    return sorted({tier.start for value in values if isinstance(value, types.TieredPrices) for tier in value.tiers})


def times(model):
    """Around every moment at which the model's price changes."""
    found = []
    step = timedelta(microseconds=1)
    for condition in conditions(model):
        constraint = condition.constraint
        if isinstance(constraint, types.StartDateConstraint):
            start = datetime.combine(constraint.start_date, time(), tzinfo=UTC)
            found += [start - step, start]
        elif isinstance(constraint, types.TimeOfDateConstraint):
            for moment in (constraint.start_time, constraint.end_time):
                start = datetime.combine(NOON.date(), moment.replace(tzinfo=UTC))
                found += [start - step, start]
    return found or [NOON]


def is_priced(prices, counts):
    """Whether every part of the call has a price of its own or a broader one."""
    read, cached, written, output, thoughts = counts
    priced = {key for key, value in vars(prices).items() if value is not None}
    plain = read - (cached if "cache_read_mtok" in priced else 0) - (written if "cache_write_mtok" in priced else 0)
    spoken = output - (thoughts if "output_reasoning_mtok" in priced else 0)
    if not priced & {"input_mtok", "output_mtok"}:
        return False
    return (plain == 0 or "input_mtok" in priced) and (spoken == 0 or "output_mtok" in priced)


class Table:
    """The lines, each computed by genai-prices."""

    def __init__(self, inexact):
        self.inexact, self.random, self.lines = inexact, random.Random("genai-prices"), {}

    def counts(self, read):
        cached = self.random.randrange(read + 1)
        written = self.random.randrange(read - cached + 1)
        output = self.random.randrange(1, 20_000)
        return [read, cached, written, output, self.random.randrange(output + 1)]

    def add(self, where, name, at, counts):
        key = (where, name, (at - EPOCH) // timedelta(microseconds=1), *counts)
        self.lines[key] = self.expected(where, name, at, counts)

    def expected(self, where, name, at, counts):
        read, cached, written, output, thoughts = counts
        usage = Usage(input_tokens=read, cache_read_tokens=cached, cache_write_tokens=written, output_tokens=output,
                      output_reasoning_tokens=thoughts)
        try:
            found = calc_price(usage, name, provider_api_url=where, genai_request_timestamp=at)
        except LookupError:
            return [None, None]
        owners = [provider.id for provider in PROVIDERS if any(found.model is model for model in provider.models)]
        left_out = {key for provider, model, key in self.inexact if provider in owners and model == found.model.id}
        if left_out and (not left_out <= {"cache_write_mtok"} or written):
            raise ValueError(f"the sample {name} needs a price that was left out")
        if not is_priced(found.model_price, counts):
            return [found.model.id if {"input_mtok", "output_mtok"} & set(vars(found.model_price)) else None, None]
        return [found.model.id, math.ceil(found.total_price * 1_000_000)]

    def text(self):
        rows = [json.dumps([*key, *value], ensure_ascii=False, separators=(",", ":")) for key, value in self.lines.items()]
        return "[\n" + ",\n".join(rows) + "\n]\n"


def text(inexact):
    """The whole file. `inexact`: (provider, model, price) of what was left out of the book."""
    # Sums of products of 12 by 9 digits, divided by a million: nothing is rounded before the end.
    getcontext().prec = 60
    table = Table(inexact)
    owned = [(provider, model) for provider in PROVIDERS for model in provider.models
             if provider.id != "openai-decisions" and names(model.match)
             and not any(entry[:2] == (provider.id, model.id) for entry in inexact)]
    tiered = [pair for pair in owned if tier_starts(pair[1])]
    timed = [pair for pair in owned if conditions(pair[1])]
    daily = [pair for pair in timed
             if any(isinstance(price.constraint, types.TimeOfDateConstraint) for price in pair[1].prices)]
    for provider, model in table.random.sample(tiered, min(45, len(tiered))):
        name = table.random.choice(names(model.match))
        for start in tier_starts(model):
            for read in (start, start + 1, 1):
                table.add(address(provider), name, NOON, table.counts(read))
    for provider, model in daily + table.random.sample(timed, min(45, len(timed))):
        for at in times(model):
            table.add(address(provider), names(model.match)[0], at, table.counts(table.random.randrange(1, 400_000)))
    for provider, model in table.random.sample(owned, min(150, len(owned))):
        counts = table.counts(table.random.randrange(1, 1_000_000))
        table.add(address(provider), table.random.choice(names(model.match)), NOON, counts)
    by_id = {provider.id: provider for provider in PROVIDERS}
    for provider_id, name in ODD_NAMES:
        table.add(address(by_id[provider_id]), name, NOON, [1001, 500, 0, 77, 33])
        table.add(address(by_id[provider_id]), name, NOON, [999, 0, 0, 0, 0])
    for where in UNKNOWN_ADDRESSES:
        table.add(where, "gpt-4o", NOON, [10, 0, 0, 10, 0])
    return table.text()
