//! Rendering, its limits, and the drawing of versions.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use plasma_kernel::{Actor, Clock, Code, Ctx, Permissions, PromptId, Random, Result, TenantId, UserId};
use serde_json::{Map, Value, json};

use super::{check, choose, template::steps_allowed, types::*, variables};

fn definition(templates: &[&str], variables: Value) -> PromptDefinition {
    let messages: Vec<Value> = templates.iter().map(|text| json!({ "role": "user", "content": text })).collect();
    serde_json::from_value(json!({ "messages": messages, "variables": variables })).unwrap()
}

fn rendered(templates: &[&str], variables: Value, given: Value) -> Result<Vec<String>> {
    let definition = definition(templates, variables);
    let (templates, _) = check::definition(&definition)?;
    let given: Map<String, Value> = serde_json::from_value(given).unwrap();
    let bound = variables::bind(&definition.variables, given, false)?;
    Ok(templates.render(&bound)?.into_iter().map(|message| message.content).collect())
}

#[track_caller]
fn text(template: &str, given: Value) -> String {
    let variables: Vec<Value> =
        given.as_object().unwrap().keys().map(|name| json!({ "name": name, "type": "json" })).collect();
    rendered(&[template], json!(variables), given).unwrap().remove(0)
}

#[test]
fn values_are_inserted_as_data() {
    assert_eq!(text("Hi {{ name }}!\n", json!({ "name": "{{ 7 }} <b> {% if %}" })), "Hi {{ 7 }} <b> {% if %}!\n");
    assert_eq!(text("{{ a }} {{ b }} {{ c }}", json!({ "a": 1, "b": 2.5, "c": true })), "1 2.5 true");
    assert_eq!(text("{{ a.b[0].c }}", json!({ "a": { "b": [{ "c": "deep" }] } })), "deep");
    assert_eq!(text("no tags {", json!({})), "no tags {");
}

#[test]
fn loops_conditions_and_filters_work() {
    let documents = json!({ "documents": [{ "title": "A", "ok": true }, { "title": "B", "ok": false }] });
    assert_eq!(
        text("{% for d in documents %}{{ loop.index }}.{{ d.title|lower }} {% endfor %}", documents.clone()),
        "1.a 2.b "
    );
    assert_eq!(text("{% for d in documents if d.ok %}{{ d.title }}{% endfor %}", documents), "A");
    let fields = json!({ "fields": { "b": 1, "a": [true, null, "x\"y"] } });
    assert_eq!(
        text("{% for k, v in fields|items %}{{ k }}={{ v|tojson }};{% endfor %}", fields),
        "a=[true,null,\"x\\\"y\"];b=1;"
    );
    for (template, expected) in [
        ("{{ x|upper|trim }}", "A B"),
        ("{{ x|replace('a', 'c')|capitalize }}", " c b "),
        ("{{ x|length }} {{ list|count }} {{ list|first }} {{ list|last }}", "5 3 3 2"),
        ("{{ list|sort|join(', ') }} {{ list|reverse|join }} {{ list|unique|join }}", "1, 2, 3 213 312"),
        ("{{ none_|default('d') }}{{ object.missing|d('e') }}{{ ''|default('f', true) }}", "def"),
        ("{{ 'abcdef'|truncate(3) }} {{ 'abc'|truncate(3) }}", "abc… abc"),
        ("{{ 'a\nb'|indent(2) }} {{ 2.345|round(1) }} {{ (1 - 4)|abs }} {{ 'a b'|title }}", "a\n  b 2.3 3 A B"),
        ("{% if x is string and list is sequence and not (n is defined) %}yes{% endif %}", "yes"),
        ("{{ object|tojson }}", r#"{"a":"<&>"}"#),
    ] {
        let variables = json!([
            { "name": "x", "type": "string" }, { "name": "list", "type": "list" }, { "name": "object", "type": "json" },
            { "name": "none_", "type": "string", "required": false }, { "name": "n", "type": "integer", "required": false },
        ]);
        let template = template.replace("n is defined", "object.n is defined");
        let given = json!({ "x": " a b ", "list": [3, 1, 2], "object": { "a": "<&>" } });
        assert_eq!(rendered(&[&template], variables, given).unwrap()[0], expected, "{template}");
    }
}

#[track_caller]
fn refusal(variable: Value, given: Value) -> (String, String) {
    let error = rendered(&["x"], json!([variable]), given).unwrap_err();
    (error.field_name().unwrap().to_owned(), error.message().to_owned())
}

#[test]
fn missing_wrong_and_unknown_variables_are_named() {
    let missing = refusal(json!({ "name": "city", "type": "string" }), json!({}));
    assert_eq!(missing.0, "variables.city");
    let null = refusal(json!({ "name": "city", "type": "json" }), json!({ "city": null }));
    assert_eq!(null.0, "variables.city");
    let unknown = refusal(json!({ "name": "city", "type": "string" }), json!({ "city": "a", "ciyt": 1 }));
    assert_eq!(unknown.0, "variables.ciyt");
    assert!(unknown.1.contains("did you mean `city`"), "{}", unknown.1);
    for (variable, value, says) in [
        (json!({ "type": "string" }), json!(1), "a text"),
        (json!({ "type": "string", "limits": { "max_length": 2 } }), json!("äöü"), "2 characters"),
        (json!({ "type": "integer" }), json!(1.5), "a whole number"),
        (json!({ "type": "integer", "limits": { "minimum": 3 } }), json!(2), "at least 3"),
        (json!({ "type": "number", "limits": { "maximum": 3 } }), json!(3.1), "at most 3"),
        (json!({ "type": "boolean" }), json!("true"), "true or false"),
        (json!({ "type": "enum", "values": ["a", "b"] }), json!("c"), "one of a, b"),
        (json!({ "type": "list", "limits": { "max_items": 1 } }), json!([1, 2]), "1 entries"),
        (json!({ "type": "list" }), json!({}), "a list"),
    ] {
        let mut variable = variable;
        variable["name"] = json!("v");
        let (field, message) = refusal(variable, json!({ "v": value }));
        assert_eq!(field, "variables.v");
        assert!(message.contains(says), "{message}");
    }
    let too_long = refusal(json!({ "name": "v", "type": "string" }), json!({ "v": "x".repeat(1 << 20) }));
    assert!(too_long.1.contains("1048576"), "{}", too_long.1);
}

#[test]
fn defaults_and_absent_variables() {
    let variables = json!([
        { "name": "tone", "type": "enum", "values": ["kind", "dry"], "default": "kind" },
        { "name": "name", "type": "string", "required": false },
    ]);
    let template = "{{ tone }}{% if name %} {{ name }}{% endif %}[{{ name }}]";
    assert_eq!(rendered(&[template], variables.clone(), json!({})).unwrap()[0], "kind[]");
    assert_eq!(rendered(&[template], variables, json!({ "name": "Ada", "tone": "dry" })).unwrap()[0], "dry Ada[Ada]");
}

#[test]
fn texts_that_spell_numbers_count_where_a_protocol_has_only_texts() {
    let variables: Vec<PromptVariable> = serde_json::from_value(json!([
        { "name": "n", "type": "integer" }, { "name": "flag", "type": "boolean" }, { "name": "list", "type": "list" },
        { "name": "text", "type": "string" },
    ]))
    .unwrap();
    let given = json!({ "n": "3", "flag": "true", "list": "[1]", "text": "7" });
    let given: Map<String, Value> = serde_json::from_value(given).unwrap();
    assert!(variables::bind(&variables, given.clone(), true).is_ok());
    assert!(variables::bind(&variables, given, false).is_err());
    let wrong: Map<String, Value> = serde_json::from_value(json!({ "n": "three" })).unwrap();
    assert!(variables::bind(&variables, wrong, true).is_err());
}

#[track_caller]
fn wrong_definition(definition: Value) -> String {
    let definition: PromptDefinition = serde_json::from_value(definition).unwrap();
    check::definition(&definition).err().unwrap().field_name().unwrap().to_owned()
}

#[test]
fn definitions_are_checked() {
    let message = json!({ "role": "user", "content": "x" });
    let with = |variable: Value| wrong_definition(json!({ "messages": [message], "variables": [variable] }));
    assert_eq!(wrong_definition(json!({ "messages": [] })), "messages");
    assert_eq!(
        wrong_definition(json!({ "messages": [message, { "role": "system", "content": "x" }] })),
        "messages[1].role"
    );
    assert_eq!(
        wrong_definition(json!({ "messages": [{ "role": "user", "content": "x".repeat(65_537) }] })),
        "messages[0].content"
    );
    assert_eq!(
        wrong_definition(json!({ "messages": [message, { "role": "user", "content": "{{ y }}" }] })),
        "messages[1].content"
    );
    assert_eq!(with(json!({ "name": "1a", "type": "string" })), "variables[0].name");
    assert_eq!(with(json!({ "name": "loop", "type": "string" })), "variables[0].name");
    assert_eq!(with(json!({ "name": "a", "type": "enum" })), "variables[0].values");
    assert_eq!(with(json!({ "name": "a", "type": "string", "values": ["x"] })), "variables[0].values");
    assert_eq!(
        with(json!({ "name": "a", "type": "string", "limits": { "minimum": 1 } })),
        "variables[0].limits.minimum"
    );
    assert_eq!(with(json!({ "name": "a", "type": "integer", "default": "x" })), "variables[0].default");
    assert_eq!(with(json!({ "name": "a", "type": "integer", "default": 1, "required": true })), "variables[0].default");
    let parameters = |parameters: Value| wrong_definition(json!({ "messages": [message], "parameters": parameters }));
    assert_eq!(parameters(json!({ "temperature": 3 })), "parameters.temperature");
    assert_eq!(parameters(json!({ "top_p": 0 })), "parameters.top_p");
    assert_eq!(parameters(json!({ "max_tokens": 0 })), "parameters.max_tokens");
    assert_eq!(parameters(json!({ "stop": ["a", ""] })), "parameters.stop");
    let twice = json!([{ "name": "a", "type": "json" }, { "name": "a", "type": "json" }]);
    assert_eq!(wrong_definition(json!({ "messages": [message], "variables": twice })), "variables[1].name");
}

/// Each of these would take seconds, gigabytes or the stack without limits.
#[test]
fn hostile_templates_end_soon() {
    let list: Vec<u32> = (0..100_000).collect();
    let long = "a".repeat(900_000);
    let nested = |depth: usize| {
        let opens: String = (0..depth).map(|level| format!("{{% for x{level} in list %}}")).collect();
        format!("{opens}x{}", "{% endfor %}".repeat(depth))
    };
    let chained = |filter: &str| format!("{{{{ text{} }}}}", filter.repeat(25));
    let templates = [
        nested(3),
        nested(20),
        "{% for x in list %}{% if text|upper == text|lower %}x{% endif %}{% endfor %}".to_owned(),
        "{% for x in list %}{% if 'b' in text %}x{% endif %}{% endfor %}".to_owned(),
        "{% for x in list %}{% if text == text|trim %}x{% endif %}{% endfor %}".to_owned(),
        "{% for x in list %}{{ text }}{% endfor %}".to_owned(),
        "{% for x in list %}{% for y in list|sort %}{% endfor %}{% endfor %}".to_owned(),
        "{% for x in text %}{% for y in text %}{% endfor %}{% endfor %}".to_owned(),
        chained("|replace('a', 'aaaaaaaaaa')"),
        chained("|replace('', text)"),
        chained("|tojson"),
        chained("|indent(100)"),
        "{{ list|join(text) }}".to_owned(),
        "{{ text|truncate(999999999999)|upper }}{{ text }}{{ text }}".to_owned(),
    ];
    for template in templates {
        let variables = json!([{ "name": "list", "type": "list" }, { "name": "text", "type": "string" }]);
        let (list, long) = if template.contains("text") { (&list[..10_000], long.as_str()) } else { (&list[..], "") };
        let started = Instant::now();
        let outcome = rendered(&[&template], variables, json!({ "list": list, "text": long }));
        let taken = started.elapsed();
        let error = outcome.err().unwrap_or_else(|| panic!("it was rendered: {template}"));
        assert!(taken < Duration::from_secs(3), "{template} took {taken:?}");
        assert!(matches!(error.code(), Code::TooLarge | Code::Invalid), "{error:?}");
        assert_eq!(error.field_name(), Some("messages[0].content"), "{error:?}");
    }
}

#[test]
fn long_variables_leave_fewer_steps() {
    assert_eq!([0, 1, 40_000].map(steps_allowed), [50_000; 3]);
    assert_eq!([40_001, 400_000, variables::VALUES_BYTES_MAX].map(steps_allowed), [49_998, 5_000, 1_907]);
    // A loop that is no work with short variables is too much beside one that each of its steps might look at.
    let template = "{% for x in list %}{{ x }}{% endfor %}{% if text %}{% endif %}";
    let variables = json!([{ "name": "list", "type": "list" }, { "name": "text", "type": "string" }]);
    let list: Vec<u32> = (0..2_000).collect();
    let render = |text: &str| rendered(&[template], variables.clone(), json!({ "list": list, "text": text }));
    assert!(render("short").unwrap()[0].ends_with("1999"));
    assert_eq!(render(&"a".repeat(1_000_000)).unwrap_err().reason(), "prompt_too_costly");
}

#[test]
fn hostile_sources_are_refused_without_a_stack_overflow() {
    for source in [
        "{% if x %}".repeat(6_000),
        "{{".repeat(30_000),
        format!("{{{{ {}x{} }}}}", "(".repeat(30_000), ")".repeat(30_000)),
        format!("{{{{ x{} }}}}", "|trim".repeat(10_000)),
        format!("{{{{ x{} }}}}", ".a".repeat(30_000)),
        format!("{{{{ x{} }}}}", " or x".repeat(10_000)),
        format!("{{{{ {} x }}}}", "not ".repeat(15_000)),
        format!("{{{{ {}x }}}}", "-".repeat(60_000)),
        format!("{{% if x %}}{}{{% endif %}}", "{% elif x %}".repeat(4_000)),
        format!("{{{{ {} }}}}", "[".repeat(60_000)),
        "{% for x in range(99999999) %}{% endfor %}".to_owned(),
    ] {
        let started = Instant::now();
        let variables = json!([{ "name": "x", "type": "json" }]);
        let error = rendered(&[&source], variables, json!({ "x": 1 })).err().unwrap();
        assert_eq!(error.field_name(), Some("messages[0].content"));
        assert!(started.elapsed() < Duration::from_secs(1));
    }
    // As much as is allowed is compiled and rendered.
    let most = format!("{}x{}", "{% if x %}".repeat(20), "{% endif %}".repeat(20));
    let long = format!("{{{{ x{} }}}}", "|default(1)".repeat(39));
    let branches = format!("{{% if not x %}}{}{{% endif %}}", "{% elif not x %}".repeat(50));
    let deep = format!("{{{{ {}x{} }}}}", "(".repeat(99), ")".repeat(99));
    for source in [most, long, branches, deep] {
        rendered(&[&source], json!([{ "name": "x", "type": "json" }]), json!({ "x": 1 })).unwrap_or_else(|error| {
            // The engine has a limit of its own for brackets.
            assert!(error.message().contains("recursion"), "{error:?}");
            Vec::new()
        });
    }
}

fn prompt(split: Vec<PromptShare>) -> Prompt {
    let alias = PromptAlias { name: "production".to_owned(), split, updated_at: 0 };
    Prompt {
        id: PromptId::from_bits(7),
        name: "p".to_owned(),
        description: String::new(),
        newest_version: 3,
        aliases: vec![alias],
        created_at: 0,
        updated_at: 0,
    }
}

fn share(version: u32, weight: u32) -> PromptShare {
    PromptShare { version, weight }
}

fn seeded() -> Ctx {
    let actor = Actor::User { id: UserId::from_bits(1) };
    Ctx::new(TenantId::from_bits(1), actor, Permissions::all(), Clock::system(), Random::seeded(42))
}

/// Pearson's chi-square of draws against weights 1, 2 and 5. With 2 degrees of freedom it is above 13.8 once in a thousand.
#[track_caller]
fn assert_shares(draw: impl Fn(usize) -> u32) {
    const DRAWS: usize = 20_000;
    let mut counts = [0_f64; 3];
    (0..DRAWS).for_each(|number| counts[draw(number) as usize - 1] += 1.0);
    let expected = [1.0, 2.0, 5.0].map(|weight| weight / 8.0 * DRAWS as f64);
    let chi: f64 = counts.iter().zip(expected).map(|(count, expected)| (count - expected).powi(2) / expected).sum();
    assert!(chi < 13.8, "{counts:?} against {expected:?}: {chi}");
}

#[test]
fn an_alias_splits_calls_by_weight_for_subjects_and_at_random() {
    let ctx = seeded();
    let prompt = prompt(vec![share(1, 1), share(2, 2), share(3, 5)]);
    let draw = |subject: Option<&str>| choose::version(&ctx, &prompt, &PromptReference::Unnamed, subject).unwrap();
    assert_shares(|_| draw(None));
    assert_shares(|number| draw(Some(&format!("user-{number}"))));
    for number in 0..1_000 {
        let subject = format!("user-{number}");
        assert_eq!(draw(Some(&subject)), draw(Some(&subject)));
    }
}

#[test]
fn a_change_of_weights_moves_only_the_subjects_that_it_must() {
    let ctx = seeded();
    let draw = |split: [PromptShare; 2], number: u32| {
        let prompt = prompt(split.to_vec());
        choose::version(&ctx, &prompt, &PromptReference::Unnamed, Some(&format!("user-{number}"))).unwrap()
    };
    let mut moved = 0;
    for number in 0..10_000 {
        let before = draw([share(1, 9), share(2, 1)], number);
        let after = draw([share(1, 8), share(2, 2)], number);
        // Who had the growing version keeps it.
        assert!(before == 1 || after == 2);
        moved += u32::from(before != after);
    }
    assert!((850..1_150).contains(&moved), "{moved} of 10,000 moved, a tenth was expected");
}

#[test]
fn a_weight_of_zero_gets_nobody_and_references_are_read() {
    let ctx = seeded();
    let prompt = prompt(vec![share(1, 0), share(2, 1)]);
    for number in 0..100 {
        assert_eq!(choose::version(&ctx, &prompt, &PromptReference::Unnamed, Some(&number.to_string())).unwrap(), 2);
    }
    let find = |text: &str| choose::version(&ctx, &prompt, &PromptReference::of(text), None);
    assert_eq!((find("1").unwrap(), find("latest").unwrap(), find("production").unwrap()), (1, 3, 2));
    assert_eq!(find("4").unwrap_err().reason(), "prompt_version_not_found");
    assert_eq!(find("0").unwrap_err().reason(), "prompt_version_not_found");
    let error = find("prodution").unwrap_err();
    assert_eq!(error.reason(), "prompt_alias_not_found");
    assert!(error.message().contains("near names: `production`"), "{error}");
}
