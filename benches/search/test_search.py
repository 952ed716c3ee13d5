#!/usr/bin/env python3
"""The measures against values worked out by hand, and the rules by which the labelled sets are made."""

import math
import random
import sys
import unittest

sys.dont_write_bytecode = True

import datasets
import evaluate
import metrics


class Measures(unittest.TestCase):
    def test_gains_count_less_the_later_they_come(self):
        # 3/log2(2) + 2/log2(3) + 0/log2(4) + 1/log2(5)
        self.assertAlmostEqual(metrics.dcg([3, 2, 0, 1]), 3 + 2 / 1.5849625007211562 + 1 / 2.321928094887362)
        self.assertEqual(metrics.dcg([]), 0)

    def test_ndcg_is_one_for_the_best_ranking_only(self):
        gains = {"a": 3.0, "b": 2.0, "c": 1.0}
        self.assertAlmostEqual(metrics.ndcg(["a", "b", "c", "x"], gains), 1)
        # (2 + 3/1.58496 + 0 + 1/2.32193) / (3 + 2/1.58496 + 1/2)
        self.assertAlmostEqual(metrics.ndcg(["b", "a", "x", "c"], gains), 4.3234658 / 4.7618595, places=6)
        self.assertEqual(metrics.ndcg(["x", "y"], gains), 0)
        self.assertEqual(metrics.ndcg(["a"], {}), 0)

    def test_ndcg_looks_at_ten_and_at_no_more_of_the_ideal(self):
        gains = {str(number): 1.0 for number in range(30)}
        self.assertAlmostEqual(metrics.ndcg([str(number) for number in range(10)], gains), 1)
        self.assertEqual(metrics.ndcg(["x"] * 10 + ["1"], {"1": 1.0}), 0)
        # One relevant document at place 10: 1/log2(11).
        self.assertAlmostEqual(metrics.ndcg(["x"] * 9 + ["1"], {"1": 1.0}), 1 / math.log2(11))

    def test_recall_counts_relevant_ones_among_the_first_ten(self):
        self.assertEqual(metrics.recall(["a", "x", "b"], {"a", "b", "c", "d"}), 0.5)
        self.assertEqual(metrics.recall(["x"] * 10 + ["a"], {"a"}), 0)
        self.assertEqual(metrics.recall(["a"], set()), 0)

    def test_the_reciprocal_rank_is_of_the_first_relevant_one(self):
        self.assertEqual(metrics.reciprocal_rank(["x", "y", "a", "b"], {"a", "b"}), 1 / 3)
        self.assertEqual(metrics.reciprocal_rank(["x"] * 10 + ["a"], {"a"}), 0)


class Intervals(unittest.TestCase):
    def test_an_interval_is_as_wide_as_theory_says(self):
        chance = random.Random(5)
        values = [chance.gauss(0.5, 0.1) for _ in range(400)]
        low, high = metrics.interval(values)
        # 2 * 1.96 * 0.1 / sqrt(400) = 0.0196
        self.assertAlmostEqual(high - low, 0.0196, delta=0.003)
        self.assertTrue(low < metrics.mean(values) < high)
        self.assertEqual(metrics.interval(values), (low, high), "the same values give the same interval")
        self.assertEqual(metrics.interval([0.25] * 10), (0.25, 0.25))
        self.assertEqual(metrics.interval([]), (0.0, 0.0))

    def test_pairs_show_a_small_gain_that_single_intervals_hide(self):
        chance = random.Random(6)
        base = [chance.random() for _ in range(200)]
        better = [value + 0.02 + chance.gauss(0, 0.02) for value in base]
        difference, bounds = metrics.gain_over(better, base)
        self.assertEqual(metrics.verdict(difference, bounds), "better")
        self.assertGreater(metrics.interval(base)[1], metrics.interval(better)[0], "alone, the two overlap")
        self.assertEqual(metrics.verdict(*metrics.gain_over(base, better)), "worse")
        with self.assertRaises(ValueError):
            metrics.gain_over([1.0], [1.0, 0.0])

    def test_verdicts_do_not_say_more_than_the_interval(self):
        self.assertEqual(metrics.verdict(0.01, (-0.01, 0.03)), "higher, within chance")
        self.assertEqual(metrics.verdict(-0.01, (-0.03, 0.01)), "not higher")
        self.assertEqual(metrics.verdict(0.0, (0.0, 0.0)), "not higher")


class Rankings(unittest.TestCase):
    def test_the_query_itself_is_left_out(self):
        query = datasets.Query("text", {"a": 1.0}, {"a"}, without="me")
        self.assertEqual(evaluate.measure(["me", "a"], query), {"ndcg": 1.0, "recall": 1.0, "mrr": 1.0})

    def test_hybrid_has_to_beat_both(self):
        chosen = datasets.Set("s", "", "s", [datasets.Query("q", {"a": 1.0}, {"a"})] * 40)
        values = lambda number: {name: [number] * 40 for name in evaluate.MEASURES}
        of = lambda text, vector, hybrid: evaluate.summarize(
            chosen, 3, {"text": values(text), "vector": values(vector), "hybrid": values(hybrid)}
        )
        self.assertEqual(evaluate.beats(of(0.5, 0.6, 0.7)), (True, True))
        self.assertEqual(evaluate.beats(of(0.5, 0.8, 0.7)), (False, False))
        self.assertEqual(evaluate.beats(of(0.5, 0.7, 0.7)), (False, False))
        self.assertIn("s: hybrid beats both of its parts by nDCG@10: no", evaluate.conclusion([of(0.5, 0.8, 0.7)]))


class Sets(unittest.TestCase):
    def test_fields_go_on_over_lines(self):
        text = "Package: a\nTag: use::editing,\n role::program\nDescription: short\n\nPackage: b\n"
        self.assertEqual(
            list(datasets.fields(text)),
            [{"Package": "a", "Tag": "use::editing,\n role::program", "Description": "short"}, {"Package": "b"}],
        )
        self.assertEqual(datasets.paragraphs("\n One\n two.\n .\n Three."), "One two.\n\nThree.")

    def package(self, name, source, synopsis, text, *tags):
        return datasets.Package(name, source, synopsis, text + " and more of it" * 20, frozenset(tags))

    def test_one_package_of_a_source_is_taken_and_none_that_has_its_own_query_inside(self):
        chosen = datasets.choose_packages(
            [
                self.package("liba1", "a", "library of a things", "The library."),
                self.package("a", "a", "tool for a things", "The tool.", "role::program"),
                self.package("b", "b", "tool for b things", "This is a Tool for B things."),
                self.package("c", "c", "too short", "The third."),
            ]
        )
        self.assertEqual([package.name for package in chosen], ["a"])

    def test_tags_become_words_and_rare_pairs_become_topics(self):
        self.assertEqual(datasets.phrase("works-with::image:raster"), "raster image")
        self.assertEqual(datasets.phrase("protocol::http"), "http protocol")
        tags = ("use::editing", "works-with::image:raster", "role::program")
        packages = [self.package(name, name, "s", "t", *tags) for name in "abc"]
        packages += [self.package("d", "d", "s", "t", "use::editing", "works-with::text")]
        (topic,) = datasets.topics(packages)
        self.assertEqual((topic.text, topic.relevant), ("editing raster image", {"a", "b", "c"}))

    def test_definitions_lose_their_domain_and_their_examples(self):
        gloss = '(computer science) a copy of a file; "he made a backup"'
        self.assertEqual(datasets.definition(gloss), "a copy of a file")
        entry = "bit\n\n   <unit> {binary} digit.\n\n   More\n   text.\n\n   (2002-01-22)\n\n"
        self.assertEqual(datasets.foldoc_text(entry), "<unit> binary digit.\n\nMore text.")

    def test_kinds_of_a_domain_belong_to_it(self):
        found = datasets.of_computing(
            {
                ("n", "1"): (["computer science", "computing"], "the study", []),
                ("n", "2"): (["buffer"], "a part of memory", [(";c", "1", "n")]),
                ("n", "3"): (["ring buffer"], "a buffer", [("@", "2", "n")]),
                ("n", "4"): (["buffer"], "an inclined metal frame", [("@", "9", "n")]),
            }
        )
        self.assertEqual(found, {("n", "2"), ("n", "3")})


if __name__ == "__main__":
    outcome = unittest.TextTestRunner(stream=sys.stdout, verbosity=1).run(unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__]))
    bad = len(outcome.failures) + len(outcome.errors)
    print(f"{outcome.testsRun - bad} passed, {bad} failed")
    sys.exit(bad > 0)
