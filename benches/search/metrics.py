"""How good a ranking is, and how sure one can be of it.

A ranking is a list of documents' keys, best first, each once. `gains` says how relevant a document is (above 0); a document that is not in
it is not relevant. All measures are between 0 and 1 and look at the first ten.
"""

import math
import random

CUT = 10
ROUNDS = 2_000
CONFIDENCE = 0.95


def dcg(gains):
    """Discounted cumulative gain (Järvelin and Kekäläinen 2002): the gain itself, divided by log2(rank + 1)."""
    return sum(gain / math.log2(place + 2) for place, gain in enumerate(gains))


def ndcg(ranking, gains, cut=CUT):
    """DCG divided by that of the best possible ranking; 0 when nothing is relevant."""
    best = dcg(sorted(gains.values(), reverse=True)[:cut])
    return dcg([gains.get(key, 0.0) for key in ranking[:cut]]) / best if best > 0 else 0.0


def recall(ranking, relevant, cut=CUT):
    """The share of the relevant documents that is among the first; 0 when there are none. Where more than `cut` are relevant, it
    cannot reach 1."""
    return len(relevant.intersection(ranking[:cut])) / len(relevant) if relevant else 0.0


def reciprocal_rank(ranking, relevant, cut=CUT):
    """1 / rank of the first relevant document; 0 when none is among the first. Its mean over queries is the MRR."""
    return next((1.0 / (place + 1) for place, key in enumerate(ranking[:cut]) if key in relevant), 0.0)


def mean(values):
    return sum(values) / len(values) if values else 0.0


def interval(values, rounds=ROUNDS, seed=1):
    """The mean's confidence interval by the percentile bootstrap over queries (Efron and Tibshirani 1993, chapter 13)."""
    if not values:
        return (0.0, 0.0)
    chance = random.Random(seed)
    means = sorted(mean(chance.choices(values, k=len(values))) for _ in range(rounds))
    tail = (1 - CONFIDENCE) / 2
    return (means[int(tail * rounds)], means[min(rounds - 1, int((1 - tail) * rounds))])


def gain_over(values, base, rounds=ROUNDS, seed=1):
    """By how much `values` are better than `base`, query by query: the mean difference and its interval. The same queries are drawn
    for both, so that hard and easy queries do not blur what is compared (a paired bootstrap)."""
    differences = [value - other for value, other in zip(values, base, strict=True)]
    return mean(differences), interval(differences, rounds, seed)


def verdict(difference, bounds):
    """In words: what the interval of a difference allows to say."""
    if bounds[0] > 0:
        return "better"
    if bounds[1] < 0:
        return "worse"
    return "higher, within chance" if difference > 0 else "not higher"
