//! Suites and checks without any model.

use serde_json::{Value, json};

use super::{Check, Suite};

fn score(check: &Value, answer: &str) -> f64 {
    let check: Check = serde_json::from_value(check.clone()).unwrap();
    check.check().unwrap();
    let verdict = check.judge(answer);
    assert_eq!(verdict.score < 1.0, verdict.reason.is_some(), "{verdict:?}");
    verdict.score
}

#[test]
fn the_committed_suite_passes_its_own_references() {
    let suite = Suite::general().unwrap();
    suite.check().unwrap();
    assert!(suite.cases.len() >= 90, "{}", suite.cases.len());
    assert!(suite.license.is_some() && suite.source.is_some());
    for case in &suite.cases {
        let reference = case.reference.as_ref().unwrap_or_else(|| panic!("{} has no reference", case.id));
        assert_eq!(case.check.judge(reference).score, 1.0, "{}", case.id);
        // No case is passed by saying nothing.
        assert!(case.check.judge("").score < 1.0, "{}", case.id);
        assert!(
            case.check.judge("I do not know, sorry about that, I am only a model of language!").score < 1.0,
            "{}",
            case.id
        );
    }
}

#[test]
fn texts_are_compared_without_what_stands_around_them() {
    let exact = json!({ "kind": "exact", "expected": "Canberra" });
    for right in ["Canberra", " canberra. ", "**Canberra**", "\"Canberra\"", "`Canberra`\n"] {
        assert_eq!(score(&exact, right), 1.0, "{right}");
    }
    for wrong in ["", "Sydney", "Canberra is the capital", "Can berra"] {
        assert_eq!(score(&exact, wrong), 0.0, "{wrong}");
    }
    let one_of = json!({ "kind": "one_of", "expected": ["pomme  de terre", "patate"] });
    assert_eq!(score(&one_of, "Pomme de terre."), 1.0);
    assert_eq!(score(&one_of, "pomme"), 0.0);
}

#[test]
fn the_last_number_of_an_answer_counts() {
    let number = |expected: f64, answer: &str| score(&json!({ "kind": "number", "expected": expected }), answer);
    for (expected, answer) in [
        (391.0, "391"),
        (391.0, "17 * 23 = 391."),
        (1234567.5, "It is 1,234,567.5 in all"),
        (-3.0, "The result is -3"),
        (-3.0, "\u{2212}3"),
        (4.0, "10-4"),
        (4.0, "version b-4"),
        (3.0, "1,2,3"),
        (0.375, "**0.375**"),
        (5.6, "5.60 euros"),
    ] {
        assert_eq!(number(expected, answer), 1.0, "{answer}");
    }
    for (expected, answer) in [(391.0, ""), (391.0, "none"), (391.0, "391 or 392"), (3.0, "-3"), (12.0, "1,2")] {
        assert_eq!(number(expected, answer), 0.0, "{answer}");
    }
    let near = json!({ "kind": "number", "expected": 16.09, "tolerance": 0.01 });
    assert_eq!((score(&near, "16.1"), score(&near, "16.11")), (1.0, 0.0));
}

#[test]
fn json_is_found_and_compared_by_value() {
    let equal = json!({ "kind": "json_equal", "expected": { "a": 1, "b": ["x", null] } });
    for right in [
        r#"{"b": ["x", null], "a": 1.0}"#,
        "Here it is:\n```json\n{\"a\": 1, \"b\": [\"x\", null]}\n```\nAnything else?",
        "in {braces} or not: {\"a\":1,\"b\":[\"x\",null]}",
    ] {
        assert_eq!(score(&equal, right), 1.0, "{right}");
    }
    for wrong in
        ["", "{}", r#"{"a":1,"b":["x"]}"#, r#"{"a":1,"b":["x",null],"c":0}"#, r#"{"a":"1","b":["x",null]}"#, "{\"a\":"]
    {
        assert_eq!(score(&equal, wrong), 0.0, "{wrong}");
    }
    let schema = json!({ "kind": "json_schema", "schema": {
        "type": "object", "required": ["n"], "additionalProperties": false,
        "properties": { "n": { "type": "integer", "minimum": 1 }, "tags": { "type": "array", "maxItems": 1, "items": { "enum": ["a", "b"] } } },
    }});
    for (answer, expected) in [
        (r#"{"n": 2, "tags": ["a"]}"#, 1.0),
        (r#"{"n": 0}"#, 0.0),
        (r#"{"n": 1.5}"#, 0.0),
        (r#"{"tags": []}"#, 0.0),
        (r#"{"n": 1, "tags": ["c"]}"#, 0.0),
        (r#"{"n": 1, "tags": ["a", "b"]}"#, 0.0),
        (r#"{"n": 1, "more": 1}"#, 0.0),
        ("[1]", 0.0),
    ] {
        assert_eq!(score(&schema, answer), expected, "{answer}");
    }
}

#[test]
fn words_parts_and_patterns_are_checked() {
    let all = json!({ "kind": "contains_all", "expected": ["River", "stone"] });
    assert_eq!((score(&all, "a river of STONE"), score(&all, "a river"), score(&all, "")), (1.0, 0.5, 0.0));
    let none = json!({ "kind": "contains_none", "forbidden": ["z"] });
    assert_eq!((score(&none, "garden"), score(&none, "Zoo")), (1.0, 0.0));
    let five = json!({ "kind": "count", "of": "words", "min": 5, "max": 5 });
    assert_eq!((score(&five, "Deep blue - water, without end!"), score(&five, "too few")), (1.0, 0.0));
    let lines = json!({ "kind": "count", "of": "lines", "max": 2 });
    assert_eq!((score(&lines, "a\n\nb\n"), score(&lines, "a\nb\nc")), (1.0, 0.0));
    let both = json!({ "kind": "all", "checks": [all, { "kind": "regex", "pattern": "^[a-z ]+$" }] });
    assert_eq!((score(&both, "river stone"), score(&both, "river"), score(&both, "river stone 1")), (1.0, 0.5, 0.0));
}

#[test]
fn a_wrong_suite_is_refused_by_the_name_of_the_case() {
    let case = |id: &str, check: Value| json!({ "id": id, "prompt": "Well?", "check": check });
    let refused = |cases: Vec<Value>| {
        let suite: Suite = serde_json::from_value(json!({ "name": "Mine", "cases": cases })).unwrap();
        let error = suite.check().unwrap_err();
        (error.field_name().unwrap_or_default().to_owned(), error.message().to_owned())
    };
    let exact = json!({ "kind": "exact", "expected": "x" });
    for (check, word) in [
        (json!({ "kind": "regex", "pattern": "(" }), "regular expression"),
        (json!({ "kind": "regex", "pattern": "(a{1000}){1000}" }), "regular expression"),
        (json!({ "kind": "one_of", "expected": [] }), "1 to 50"),
        (json!({ "kind": "exact", "expected": " " }), "characters"),
        (json!({ "kind": "count", "of": "words" }), "`min` or `max`"),
        (json!({ "kind": "count", "of": "words", "min": 3, "max": 2 }), "more than `max`"),
        (json!({ "kind": "number", "expected": 1, "tolerance": -1 }), "tolerance"),
        (json!({ "kind": "json_schema", "schema": { "oneOf": [] } }), "`oneOf` is not known"),
        (json!({ "kind": "json_schema", "schema": { "type": "text" } }), "`type` has a wrong value"),
        (json!({ "kind": "all", "checks": [{ "kind": "all", "checks": [exact] }] }), "inside"),
    ] {
        let (field, message) = refused(vec![case("good", exact.clone()), case("bad-one", check.clone())]);
        assert_eq!(field, "suite.cases[1].check", "{check}");
        assert!(message.starts_with("case `bad-one`: ") && message.contains(word), "{message}");
    }
    assert_eq!(refused(vec![]).0, "suite.cases");
    assert_eq!(refused(vec![case("a", exact.clone()), case("a", exact.clone())]).0, "suite.cases[1].id");
    assert_eq!(refused(vec![case("a b", exact.clone())]).0, "suite.cases[0].id");
    let mut wrong = case("own", exact.clone());
    wrong["reference"] = json!("y");
    let (field, message) = refused(vec![wrong]);
    assert_eq!(field, "suite.cases[0].reference");
    assert!(message.contains("expected `x`, got `y`"), "{message}");
    let many = (0..501).map(|number| case(&number.to_string(), exact.clone())).collect();
    assert_eq!(refused(many).0, "suite.cases");
    let pattern = json!({ "kind": "regex", "pattern": "x" });
    let all = json!({ "kind": "all", "checks": vec![pattern; 50] });
    let patterns = (0..11).map(|number| case(&number.to_string(), all.clone())).collect();
    let (field, message) = refused(patterns);
    assert!(field == "suite.cases" && message.contains("550 regular expressions"), "{field}: {message}");
    let mut long = case("long", exact.clone());
    long["prompt"] = json!("x".repeat(20_001));
    assert_eq!(refused(vec![long]).0, "suite.cases[0].prompt");
    // Sizes add up.
    let heavy = (0..60)
        .map(|number| {
            let mut heavy = case(&number.to_string(), exact.clone());
            heavy["prompt"] = json!("x".repeat(20_000));
            heavy
        })
        .collect();
    assert_eq!(refused(heavy).0, "suite");
    // Unknown kinds and fields are refused while reading.
    for check in [json!({ "kind": "vibes" }), json!({ "kind": "exact", "expected": "x", "strict": true })] {
        assert!(serde_json::from_value::<Check>(check).is_err());
    }
}
