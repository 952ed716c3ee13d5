#!/usr/bin/env python3
"""Trains models/complexity.json on models/complexity-labels.csv, and says in docs/complexity.md how good it is.

A logistic regression with an L2 penalty (Newton's method, as in Hastie, Tibshirani and Friedman, The Elements of Statistical
Learning, 4.4.1), evaluated by ten-fold cross-validation: each question is judged by weights that have not seen it. The
threshold is the one at which the small model's share is largest while at least the asked-for accuracy remains.

    python3 scripts/train_complexity.py [--accuracy 0.8]

Needs only Python's standard library.
"""
import argparse
import csv
import json
import math
import pathlib
import random

ROOT = pathlib.Path(__file__).resolve().parent.parent
LABELS = ROOT / "models" / "complexity-labels.csv"
WEIGHTS = ROOT / "models" / "complexity.json"
PAGE = ROOT / "docs" / "complexity.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
FOLDS, PENALTY, ROUNDS = 10, 3.0, 30
# Not used for the question's kind: columns that are no features.
OTHER = ("id", "source", "right")


def solve(matrix, vector):
    """Gaussian elimination with partial pivoting."""
    size = len(vector)
    rows = [row[:] + [vector[index]] for index, row in enumerate(matrix)]
    for column in range(size):
        best = max(range(column, size), key=lambda row: abs(rows[row][column]))
        rows[column], rows[best] = rows[best], rows[column]
        for row in range(column + 1, size):
            factor = rows[row][column] / rows[column][column]
            for index in range(column, size + 1):
                rows[row][index] -= factor * rows[column][index]
    answer = [0.0] * size
    for row in reversed(range(size)):
        rest = sum(rows[row][index] * answer[index] for index in range(row + 1, size))
        answer[row] = (rows[row][size] - rest) / rows[row][row]
    return answer


def sigmoid(value):
    return 1 / (1 + math.exp(-max(-500.0, min(500.0, value))))


def scales(rows):
    """Mean and standard deviation of each feature; 1 for one that never changes."""
    means = [sum(column) / len(rows) for column in zip(*rows)]
    deviations = [math.sqrt(sum((value - mean) ** 2 for value in column) / len(rows)) or 1.0 for column, mean in zip(zip(*rows), means)]
    return means, deviations


def train(rows, wrong):
    """Means, scales, weights and bias."""
    means, deviations = scales(rows)
    inputs = [[1.0] + [(value - mean) / scale for value, mean, scale in zip(row, means, deviations)] for row in rows]
    size = len(inputs[0])
    weights = [0.0] * size
    for _ in range(ROUNDS):
        gradient = [-PENALTY * weight if index else 0.0 for index, weight in enumerate(weights)]
        curvature = [[(PENALTY if row == column and row else 1e-9 if row == column else 0.0) for column in range(size)] for row in range(size)]
        for values, label in zip(inputs, wrong):
            probability = sigmoid(sum(w * v for w, v in zip(weights, values)))
            slope = probability * (1 - probability)
            for row in range(size):
                gradient[row] += (label - probability) * values[row]
                for column in range(size):
                    curvature[row][column] += slope * values[row] * values[column]
        step = solve(curvature, gradient)
        weights = [weight + change for weight, change in zip(weights, step)]
        if max(map(abs, step)) < 1e-8:
            break
    return means, deviations, weights[1:], weights[0]


def score(model, row):
    means, deviations, weights, bias = model
    return sigmoid(bias + sum(w * (v - m) / s for w, v, m, s in zip(weights, row, means, deviations)))


def area_under_curve(scores, wrong):
    """The chance that a question answered wrongly has the higher score (Mann and Whitney)."""
    bad = [s for s, label in zip(scores, wrong) if label]
    good = [s for s, label in zip(scores, wrong) if not label]
    wins = sum((b > g) + (b == g) / 2 for b in bad for g in good)
    return wins / (len(bad) * len(good))


def routed(scores, wrong, threshold):
    """Share of questions that stay with the small model, and the share of right answers, if the large one always is right."""
    small = [label for s, label in zip(scores, wrong) if s < threshold]
    return len(small) / len(wrong), 1 - sum(small) / len(wrong)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accuracy", type=float, default=0.8)
    options = parser.parse_args()
    with LABELS.open() as file:
        table = list(csv.DictReader(file))
    names = [name for name in table[0] if name not in OTHER]
    rows = [[float(line[name]) for name in names] for line in table]
    wrong = [1 - int(line["right"]) for line in table]
    order = list(range(len(rows)))
    random.Random(3).shuffle(order)
    held_out = [0.0] * len(rows)
    for fold in range(FOLDS):
        test = order[fold::FOLDS]
        inside = [index for place, index in enumerate(order) if place % FOLDS != fold]
        model = train([rows[index] for index in inside], [wrong[index] for index in inside])
        for index in test:
            held_out[index] = score(model, rows[index])
    steps = sorted(set(round(s, 3) for s in held_out)) + [1.01]
    fitting = [t for t in steps if routed(held_out, wrong, t)[1] >= options.accuracy]
    threshold = max(fitting, default=0.5)
    means, deviations, weights, bias = train(rows, wrong)
    WEIGHTS.write_text(json.dumps({
        "bias": round(bias, 6),
        "threshold": threshold,
        "features": [
            {"name": name, "mean": round(mean, 6), "scale": round(scale, 6), "weight": round(weight, 6)}
            for name, mean, scale, weight in zip(names, means, deviations, weights)
        ],
    }, indent=2) + "\n")
    write_page(table, names, weights, held_out, wrong, threshold)


def within_sources(table, scores, wrong):
    """Per source: questions, share answered rightly, area under the curve among them."""
    for source in sorted({line["source"] for line in table}):
        chosen = [index for index, line in enumerate(table) if line["source"] == source]
        bad = [wrong[index] for index in chosen]
        area = f"{area_under_curve([scores[i] for i in chosen], bad):.2f}" if 0 < sum(bad) < len(bad) else "–"
        yield source, len(chosen), 1 - sum(bad) / len(bad), area


def write_page(table, names, weights, scores, wrong, threshold):
    cheap = 1 - sum(wrong) / len(wrong)
    lines = [f"{len(table)} questions, of which the small model answered {cheap:.1%} rightly.",
             f"Area under the curve, held out: **{area_under_curve(scores, wrong):.3f}** (random: 0.5).", "",
             "| source | questions | small model right | area under the curve within it |", "| --- | ---: | ---: | ---: |"]
    lines += [f"| {source} | {count} | {right:.0%} | {area} |" for source, count, right, area in within_sources(table, scores, wrong)]
    share, accuracy = routed(scores, wrong, threshold)
    random_accuracy = share * cheap + (1 - share)
    lines += ["", "| routing | share of the small model | right answers |", "| --- | ---: | ---: |",
              f"| always the small model | 100% | {cheap:.1%} |",
              f"| at random, with the same share as below | {share:.1%} | {random_accuracy:.1%} |",
              f"| by complexity, at the threshold of {threshold:.3f} | {share:.1%} | {accuracy:.1%} |",
              "| always the large model, taken as always right | 0% | 100.0% |", "",
              "The curve: how many right answers remain as more questions go to the small model.", "",
              "| share of the small model | by complexity | at random | gained |", "| ---: | ---: | ---: | ---: |"]
    ranked = sorted(scores)
    for tenth in range(1, 10):
        at = ranked[tenth * len(ranked) // 10]
        share, accuracy = routed(scores, wrong, at)
        by_chance = share * cheap + (1 - share)
        lines.append(f"| {share:.0%} | {accuracy:.1%} | {by_chance:.1%} | {(accuracy - by_chance) * 100:+.1f} points |")
    lines += ["", "| feature | weight |", "| --- | ---: |"]
    lines += [f"| `{name}` | {weight:+.2f} |" for name, weight in sorted(zip(names, weights), key=lambda pair: -abs(pair[1]))]
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    PAGE.write_text(before + BEGIN + "\n" + "\n".join(lines) + "\n" + END + rest.split(END)[1])
    print("\n".join(lines))


if __name__ == "__main__":
    main()
