//! What holds for every stream.

use proptest::prelude::*;

use super::*;
use crate::chat::{Answer, Collector};

/// A part of a model's content, as Gemini writes it.
fn part() -> impl Strategy<Value = Value> {
    let signature = prop_oneof![3 => Just(None), 1 => Just(Some("c2ln"))];
    let body = prop_oneof![
        "[a-c]{0,3}".prop_map(|text| json!({"text": text})),
        "[a-c]{0,3}".prop_map(|text| json!({"text": text, "thought": true})),
        "[f-h]".prop_map(|name| json!({"functionCall": {"name": name, "args": {"a": name}}})),
        Just(json!({"inlineData": {"mimeType": "image/png", "data": "aGk="}})),
        Just(json!({"executableCode": {"code": "1"}})),
    ];
    (body, signature).prop_map(|(mut part, signature)| {
        if let Some(signature) = signature {
            part["thoughtSignature"] = json!(signature);
        }
        part
    })
}

/// JSON of the shapes and the names that the reader looks at, in any combination.
fn nonsense() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-c]{0,2}|STOP|-Infinity|2026-11-26T18:59:24Z".prop_map(Value::from),
    ];
    let names = "candidates|content|parts|text|thought|thoughtSignature|functionCall|name|args|id|index|finishReason|inlineData\
        |data|mimeType|fileData|fileUri|usageMetadata|promptTokenCount|promptFeedback|blockReason|logprobsResult\
        |chosenCandidates|topCandidates|token|logProbability|error|code|message|status|details|createTime|role|contents\
        |generationConfig|tools|functionDeclarations|parameters|type|properties|functionResponse|response|system_instruction";
    leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names, inner), 0..6).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Fails unless the deltas come in the order that [`Delta`] promises.
fn check_order(deltas: &[Delta]) {
    let mut open = std::collections::BTreeSet::new();
    let mut stopped = std::collections::BTreeSet::new();
    for (place, delta) in deltas.iter().enumerate() {
        assert_eq!(place == 0, matches!(delta, Delta::Start { .. }), "{deltas:?}");
        let is_right = match delta {
            Delta::Open { choice, .. } => !stopped.contains(choice) && open.insert(*choice),
            Delta::Append { choice, text } => open.contains(choice) && !text.is_empty(),
            Delta::Signature { choice, .. } => open.contains(choice),
            Delta::Close { choice } => open.remove(choice),
            Delta::Stop { choice, .. } => !open.contains(choice) && stopped.insert(*choice),
            Delta::Start { .. } | Delta::Logprobs { .. } | Delta::Usage(_) => true,
        };
        assert!(is_right, "{delta:?} in {deltas:?}");
    }
}

fn collect(deltas: Vec<Delta>) -> Answer {
    let mut collector = Collector::default();
    deltas.into_iter().for_each(|delta| collector.push(delta));
    collector.finish()
}

proptest! {
    #[test]
    fn a_stream_says_what_the_whole_answer_says(parts in prop::collection::vec((part(), any::<bool>()), 0..12)) {
        let mut events = vec![Vec::new()];
        for (part, is_cut) in &parts {
            if *is_cut {
                events.push(Vec::new());
            }
            events.last_mut().unwrap().push(part.clone());
        }
        let response = |parts: Vec<Value>, end: Value| json!({
            "candidates": [{"content": {"parts": parts}, "finishReason": end}], "responseId": "r", "modelVersion": "m",
        });
        let whole = response(parts.into_iter().map(|(part, _)| part).collect(), json!("STOP"));
        let whole = read_answer(&whole.to_string()).unwrap();
        let mut reader = StreamReader::new();
        let mut deltas = Vec::new();
        for parts in events {
            reader.read(&event(response(parts, Value::Null)), &mut deltas).unwrap();
        }
        prop_assert!(!reader.is_complete());
        reader.read(&event(response(Vec::new(), json!("STOP"))), &mut deltas).unwrap();
        prop_assert!(reader.is_complete());
        check_order(&deltas);
        prop_assert_eq!(collect(deltas), whole.clone());
        // Through a client's stream and back.
        let mut reader = StreamReader::new();
        let mut deltas = Vec::new();
        for data in written(whole.clone().into_deltas()) {
            reader.read(&event(data), &mut deltas).unwrap();
        }
        check_order(&deltas);
        prop_assert_eq!(collect(deltas), whole);
    }

    #[test]
    fn nothing_that_comes_from_outside_panics(values in prop::collection::vec(nonsense(), 1..4)) {
        let mut reader = StreamReader::new();
        let mut deltas = Vec::new();
        for value in values {
            let text = value.to_string();
            let _ = read_answer(&text);
            let _ = read_count(&text);
            let _ = read_error(text.as_bytes());
            let _ = read_request(value.clone(), &mut Losses::default());
            let _ = reader.read(&event(value.clone()), &mut deltas);
            let _ = reader.read(&event(json!({"candidates": [{"content": {"parts": [value]}}]})), &mut deltas);
        }
        check_order(&deltas);
        written(deltas);
    }
}
