use std::sync::Arc;

use plasma_kernel::{KnowledgeDocumentId, TeamId, UserId};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{
    select::{Selections, looked_at},
    *,
};
use crate::access::Viewer;

/// A document of a view.
#[derive(Clone, Debug)]
struct Owned {
    id: u128,
    title: String,
    metadata: Metadata,
    created_at: Timestamp,
    access: Option<Access>,
}

/// Documents by their ids.
struct Shelf(Vec<Owned>);

impl Documents for Shelf {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn fields(&self, place: usize) -> Option<DocumentFields<'_>> {
        self.0.get(place).map(|document| DocumentFields {
            id: KnowledgeDocumentId::from_bits(document.id),
            title: &document.title,
            metadata: &document.metadata,
            created_at: document.created_at,
            updated_at: document.created_at + 1,
            access: document.access.as_ref(),
            passages: 2,
        })
    }

    fn place_of(&self, id: KnowledgeDocumentId) -> Option<usize> {
        self.0.binary_search_by_key(&id.bits(), |document| document.id).ok()
    }
}

fn filter(json: &Value) -> plasma_kernel::Result<Filter> {
    Filter::parse(json.as_object().unwrap())
}

fn document(metadata: Value) -> Owned {
    Owned {
        id: 1,
        title: "Travel policy".to_owned(),
        metadata: serde_json::from_value(metadata).unwrap(),
        created_at: 1_767_323_045_000_000,
        access: None,
    }
}

/// Whether a document with this metadata fits, by both ways.
fn fits(condition: &Value, metadata: &Value) -> bool {
    let shelf = Shelf(vec![document(metadata.clone())]);
    let filter = filter(condition).unwrap_or_else(|error| panic!("{condition}: {error}"));
    let looked_at = looked_at(&shelf, &filter);
    assert_eq!(Selections::default().indexed(&shelf, &filter), looked_at, "{condition} on {metadata}");
    looked_at.contains(0)
}

#[test]
fn every_condition_must_hold() {
    let condition = json!({
        "team": "legal", "year": {"gte": 2024, "lte": 2026}, "language": {"in": ["en", "de"]}, "public": true
    });
    let metadata = json!({"team": "legal", "year": 2026, "language": "de", "public": true, "more": 1});
    assert!(fits(&condition, &metadata));
    let others = [("team", json!("sales")), ("year", json!(2027)), ("year", json!("2025")), ("language", json!("fr"))];
    for (name, value) in others {
        let mut changed = metadata.clone();
        changed[name] = value;
        assert!(!fits(&condition, &changed), "{name}");
    }
    let mut without = metadata;
    without.as_object_mut().unwrap().remove("public");
    assert!(!fits(&condition, &without));
}

#[test]
fn each_operator_means_what_the_documentation_says() {
    let metadata = json!({
        "tags": ["tax", "2026", 7, true], "price": 2.5, "big": 9_007_199_254_740_993_i64, "note": "Draft two", "name": "legal",
        "due": {"time": "2026-03-01T12:00:00Z"}, "office": {"lat": 48.1372, "lon": 11.5756}
    });
    let yes = [
        json!({"tags": "tax"}),
        json!({"tags": 7.0}),
        json!({"tags": {"in": ["x", true]}}),
        json!({"tags": {"contains_all": ["tax", 7]}}),
        json!({"tags": {"contains_any": ["x", "2026"]}}),
        json!({"tags": {"ne": "old"}}),
        json!({"absent": {"ne": "old"}}),
        json!({"price": {"gt": 2.4, "lt": 2.6}}),
        json!({"price": {"gte": 2.5, "lte": 2.5}}),
        json!({"tags": {"gte": 7, "lte": 7}}),
        json!({"big": 9_007_199_254_740_993_i64}),
        json!({"note": {"prefix": "Draft"}}),
        json!({"tags": {"prefix": "20"}}),
        json!({"due": {"gte": "2026-03-01T13:00:00+01:00"}}),
        json!({"due": {"lt": {"time": "2026-03-01T12:00:00.000001Z"}}}),
        json!({"due": "2026-03-01T12:00:00Z"}),
        json!({"due": {"time": "2026-03-01T12:00:00.0Z"}}),
        json!({"office": {"near": {"lat": 48.2, "lon": 11.6, "within_m": 10_000}}}),
        json!({"office": {"lat": 48.1372, "lon": 11.5756}}),
        json!({"office": {"box": {"south": 48, "west": 11, "north": 49, "east": 12}}}),
        json!({"note": {"exists": true}}),
        json!({"absent": {"exists": false}}),
        json!({"or": [{"name": "x"}, {"price": 2.5}]}),
        json!({"and": [{"name": "legal"}, {}]}),
        json!({"not": {"name": "sales"}}),
        json!({"not": {"or": [{"name": "x"}, {"not": {"tags": "tax"}}]}}),
        json!({}),
        json!({"price": {"gt": 1, "ne": 3, "exists": true}}),
        json!({"$title": "Travel policy"}),
        json!({"$title": {"prefix": "Travel"}}),
        json!({"$created_at": {"gte": "2026-01-02T03:04:05Z", "lt": 1_767_323_045_000_001_i64}}),
        json!({"$updated_at": {"gt": "2026-01-02T03:04:05Z"}}),
        json!({"$document_id": KnowledgeDocumentId::from_bits(1)}),
        json!({"$document_id": {"ne": KnowledgeDocumentId::from_bits(2)}}),
    ];
    for condition in yes {
        assert!(fits(&condition, &metadata), "{condition}");
        assert!(!fits(&json!({"not": {"and": [condition]}}), &metadata), "not {condition}");
    }
    let no = [
        json!({"tags": "TAX"}),
        json!({"tags": {"contains_all": ["tax", 8]}}),
        json!({"tags": {"ne": "tax"}}),
        json!({"price": {"gt": 2.5}}),
        json!({"big": 9_007_199_254_740_992_i64}),
        json!({"name": {"gte": 0}}),
        json!({"due": {"lt": "2026-03-01T12:00:00Z"}}),
        json!({"due": {"gte": 0}}),
        json!({"note": {"prefix": "draft"}}),
        json!({"price": {"gt": 3, "lt": 1}}),
        json!({"price": "2.5"}),
        json!({"office": {"near": {"lat": 48.2, "lon": 11.6, "within_m": 1_000}}}),
        json!({"absent": {"exists": true}}),
        json!({"absent": {"in": [1]}}),
        json!({"$document_id": {"in": [KnowledgeDocumentId::from_bits(2)]}}),
        json!({"$title": "travel policy"}),
        json!({"$document_id": {"exists": false}}),
        json!({"name": "legal", "not": {"name": "legal"}}),
        json!({"tags": {"gt": 2, "lt": 6}}),
    ];
    for condition in no {
        assert!(!fits(&condition, &metadata), "{condition}");
    }
}

#[test]
fn fields_named_like_connectives_can_still_be_tested() {
    assert!(fits(&json!({"and": "x", "or": true, "not": {"in": [1, 2]}}), &json!({"and": "x", "or": true, "not": 2})));
    assert!(fits(&json!({"not": {"gte": 1}}), &json!({"not": 1})));
    assert!(fits(&json!({"and": {"gte": 1}}), &json!({"and": 1})));
}

#[test]
fn mistakes_are_named_with_their_place() {
    let place = |json: Value| filter(&json).unwrap_err().field_name().unwrap().to_owned();
    assert_eq!(place(json!({"year": {"above": 5}})), "filter.year.above");
    assert_eq!(place(json!({"year": {"gte": "5"}})), "filter.year.gte");
    assert_eq!(place(json!({"year": {"gte": 5, "gt": 4}})), "filter.year.gt");
    assert_eq!(place(json!({"year": {"gte": 5, "lt": "2026-01-01T00:00:00Z"}})), "filter.year");
    assert_eq!(place(json!({"team": {"in": []}})), "filter.team.in");
    assert_eq!(place(json!({"team": {"in": ["a", null]}})), "filter.team.in[1]");
    assert_eq!(place(json!({"team": ["a"]})), "filter.team");
    assert_eq!(place(json!({"team": {}})), "filter.team");
    assert_eq!(place(json!({"team": {"prefix": ""}})), "filter.team.prefix");
    assert_eq!(place(json!({"team": {"exists": 1}})), "filter.team.exists");
    assert_eq!(place(json!({"place": {"near": {"lat": 1, "lon": 2}}})), "filter.place.near");
    assert_eq!(place(json!({"place": {"near": {"lat": 91, "lon": 2, "within_m": 5}}})), "filter.place.near");
    assert_eq!(place(json!({"place": {"near": {"lat": 1, "lon": 2, "within_m": 0}}})), "filter.place.near");
    assert_eq!(place(json!({"place": {"box": {"south": 2, "west": 0, "north": 1, "east": 0}}})), "filter.place.box");
    assert_eq!(place(json!({"place": {"lat": 91, "lon": 0}})), "filter.place");
    assert_eq!(place(json!({"$size": 1})), "filter.$size");
    assert_eq!(place(json!({"$title": 1})), "filter.$title");
    assert_eq!(place(json!({"$title": {"gte": 1}})), "filter.$title.gte");
    assert_eq!(place(json!({"$document_id": "doc"})), "filter.$document_id");
    assert_eq!(place(json!({"$document_id": {"prefix": "kdoc"}})), "filter.$document_id.prefix");
    assert_eq!(place(json!({"$created_at": "yesterday"})), "filter.$created_at");
    assert_eq!(place(json!({"and": {"team": "x"}})), "filter.and");
    assert_eq!(place(json!({"or": []})), "filter.or");
    assert_eq!(place(json!({"or": [{"a": 1}, 5]})), "filter.or[1]");
    assert_eq!(place(json!({"not": {}})), "filter.not");
    assert_eq!(place(json!({"or": [{"a": 1}, {"not": {"b": {"gt": true}}}]})), "filter.or[1].not.b.gt");
}

#[test]
fn depth_conditions_and_values_have_limits() {
    let nested = |depth: usize| (0..depth).fold(json!({"a": 1}), |inner, _| json!({"not": inner}));
    assert!(filter(&nested(7)).is_ok());
    let error = filter(&nested(8)).unwrap_err();
    assert_eq!(
        (error.code(), error.field_name()),
        (plasma_kernel::Code::TooLarge, Some("filter.not.not.not.not.not.not.not.not"))
    );
    let wide =
        |count: usize| Value::Object((0..count).map(|number| (number.to_string(), json!(1))).collect::<Map<_, _>>());
    assert!(filter(&wide(256)).is_ok());
    assert_eq!(filter(&wide(257)).unwrap_err().field_name(), Some("filter.256"));
    let empty = json!({"or": vec![json!({}); 257]});
    assert_eq!(filter(&empty).unwrap_err().field_name(), Some("filter.or[256]"));
    let listed = |first: usize, second: usize| json!({"a": {"in": vec![1; first]}, "b": {"in": vec![1; second]}});
    assert!(filter(&listed(500, 500)).is_ok());
    assert_eq!(filter(&listed(500, 501)).unwrap_err().field_name(), Some("filter.b.in"));
}

#[test]
fn permissions_cannot_be_left_out() {
    let (user, team) = (UserId::from_bits(7), TeamId::from_bits(9));
    let access = |users: &[UserId], teams: &[TeamId]| Some(Access { users: users.to_vec(), teams: teams.to_vec() });
    let all =
        [None, access(&[user], &[]), access(&[], &[team]), access(&[], &[]), access(&[UserId::from_bits(8)], &[])];
    let documents =
        all.into_iter().zip(1..).map(|(access, id)| Owned { id, access, ..document(json!({"secret": id as u64})) });
    let shelf = Shelf(documents.collect());
    let seen = |viewer: &Viewer, condition: Value| -> Vec<usize> {
        let selection = Selections::default().select(&shelf, &filter(&condition).unwrap(), viewer);
        selection.allowed.as_ref().map_or_else(|| (0..shelf.count()).collect(), |allowed| allowed.iter().collect())
    };
    let reader = |user: Option<UserId>, teams: &[TeamId]| Viewer::Reader { user, teams: teams.into() };
    assert_eq!(seen(&Viewer::All, json!({})), [0, 1, 2, 3, 4]);
    assert_eq!(seen(&reader(None, &[]), json!({})), [0]);
    assert_eq!(seen(&reader(Some(user), &[]), json!({})), [0, 1]);
    assert_eq!(seen(&reader(Some(user), &[team]), json!({})), [0, 1, 2]);
    assert_eq!(seen(&reader(None, &[]), json!({"not": {"secret": 1}})), [] as [usize; 0]);
    assert_eq!(seen(&reader(Some(user), &[]), json!({"secret": {"gte": 2}})), [1]);
    let everything = json!({"or": [{"secret": {"exists": true}}, {"secret": {"exists": false}}]});
    assert_eq!(seen(&reader(None, &[team]), everything), [0, 2]);
    // What is remembered for one viewer is not given to another.
    let selections = Selections::default();
    let nothing = Filter::default();
    for (viewer, expected) in [(reader(None, &[]), 1), (reader(Some(user), &[team]), 3), (reader(None, &[]), 1)] {
        let selection = selections.select(&shelf, &nothing, &viewer);
        let allowed = selection.allowed.as_ref().unwrap();
        assert_eq!((allowed.iter().count(), allowed.passages()), (expected, 2 * expected as u64));
    }
    assert!(selections.select(&shelf, &nothing, &Viewer::All).allowed.is_none());
}

#[test]
fn an_unknown_name_is_answered_with_a_near_one_that_may_be_seen() {
    for count in [3, 400] {
        let documents = (0..count).map(|id| {
            let restricted = id == 1;
            let metadata = if restricted { json!({"codename": "x"}) } else { json!({"team": "legal"}) };
            Owned { id, access: restricted.then(Access::default), ..document(metadata) }
        });
        let shelf = Shelf(documents.collect());
        let reader = Viewer::Reader { user: None, teams: Arc::default() };
        let warnings = |condition: Value, viewer: &Viewer| {
            Selections::default().select(&shelf, &filter(&condition).unwrap(), viewer).warnings.clone()
        };
        let mistyped = warnings(json!({"taem": "legal"}), &reader);
        assert_eq!(mistyped, ["no document has the metadata field `taem`; did you mean `team`? there are: team"]);
        assert!(
            warnings(json!({"codename": "x"}), &reader)[0].contains("no document has the metadata field `codename`")
        );
        assert!(warnings(json!({"codename": "x"}), &Viewer::All).is_empty());
        assert!(warnings(json!({"team": "x", "$title": "y", "other": {"exists": false}}), &reader).is_empty());
    }
}

#[test]
fn the_same_filter_is_evaluated_once() {
    let documents = (0..1_000).map(|id| Owned { id, ..document(json!({"n": id as u64})) });
    let shelf = Shelf(documents.collect());
    let selections = Selections::default();
    let once = selections.select(&shelf, &filter(&json!({"n": {"lt": 10}})).unwrap(), &Viewer::All);
    let again = selections.select(&shelf, &filter(&json!({"n": {"lt": 10}})).unwrap(), &Viewer::All);
    assert!(Arc::ptr_eq(&once, &again));
    assert_eq!(once.allowed.as_ref().unwrap().iter().count(), 10);
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const TIMES: [&str; 3] = ["2026-01-02T03:04:05Z", "2026-01-02T04:04:05+01:00", "2027-06-01T00:00:00.5Z"];

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        prop::sample::select(vec!["x", "xy", "y", "", "Ä", "2026-01-02T03:04:05Z"]).prop_map(|text| json!(text)),
        (-3_i64..4).prop_map(|number| json!(number)),
        prop::sample::select(vec![i64::MAX, i64::MAX - 1, 9_007_199_254_740_993, 9_007_199_254_740_992])
            .prop_map(|number| json!(number)),
        prop::sample::select(vec![-0.0, 0.5, 2.0, 9_007_199_254_740_992.0]).prop_map(|number| json!(number)),
        any::<bool>().prop_map(|flag| json!(flag)),
    ]
}

fn single() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => scalar(),
        1 => prop::sample::select(TIMES.to_vec()).prop_map(|time| json!({"time": time})),
        1 => point(),
    ]
}

fn point() -> impl Strategy<Value = Value> {
    (
        prop::sample::select(vec![-90.0, -1.0, 0.0, 0.5, 48.1, 90.0]),
        prop::sample::select(vec![-180.0, -179.5, 0.0, 0.25, 11.6, 180.0]),
    )
        .prop_map(|(lat, lon)| json!({"lat": lat, "lon": lon}))
}

fn metadata() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        3 => single(),
        1 => prop::collection::vec(scalar(), 0..4).prop_map(Value::from),
    ];
    prop::collection::btree_map(prop::sample::select(NAMES.to_vec()), value, 0..4)
        .prop_map(|fields| Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
}

fn end() -> impl Strategy<Value = Value> {
    prop_oneof![(-3_i64..4).prop_map(|number| json!(number)), Just(json!(0.5)), Just(json!(9_007_199_254_740_992.0))]
}

fn condition() -> impl Strategy<Value = Value> {
    let list = || prop::collection::vec(single(), 1..4);
    prop_oneof![
        single(),
        single().prop_map(|value| json!({"ne": value})),
        list().prop_map(|values| json!({"in": values})),
        list().prop_map(|values| json!({"contains_all": values})),
        list().prop_map(|values| json!({"contains_any": values})),
        any::<bool>().prop_map(|wanted| json!({"exists": wanted})),
        prop::sample::select(vec!["x", "xy", "2026"]).prop_map(|prefix| json!({"prefix": prefix})),
        (end(), end()).prop_map(|(from, to)| json!({"gte": from, "lt": to})),
        (end(), end()).prop_map(|(from, to)| json!({"gt": from, "lte": to})),
        end().prop_map(|from| json!({"gt": from})),
        (prop::sample::select(TIMES.to_vec()), prop::sample::select(TIMES.to_vec())).prop_map(|(from, to)| json!({"gte": from, "lte": to})),
        prop::sample::select(TIMES.to_vec()).prop_map(|to| json!({"lt": to})),
        (point(), prop::sample::select(vec![1.0, 60_000.0, 5_000_000.0, 20_037_509.0])).prop_map(|(center, within)| {
            json!({"near": {"lat": center["lat"], "lon": center["lon"], "within_m": within}})
        }),
        (point(), point()).prop_map(|(one, other)| {
            let (south, north) = (one["lat"].as_f64().unwrap(), other["lat"].as_f64().unwrap());
            json!({"box": {"south": south.min(north), "north": south.max(north), "west": one["lon"], "east": other["lon"]}})
        }),
    ]
}

fn filters() -> impl Strategy<Value = Value> {
    let own = prop_oneof![
        (0_u128..40).prop_map(|id| json!({"$document_id": KnowledgeDocumentId::from_bits(id)})),
        prop::sample::select(vec!["t1", "t2", "t"]).prop_map(|prefix| json!({"$title": {"prefix": prefix}})),
        (0_i64..40).prop_map(|time| json!({"$created_at": {"lte": time}})),
    ];
    let leaf = prop_oneof![
        5 => (prop::sample::select(NAMES.to_vec()), condition()).prop_map(|(name, condition)| json!({name: condition})),
        1 => own,
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| json!({"and": parts})),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| json!({"or": parts})),
            inner.prop_map(|part| json!({"not": part})),
        ]
    })
}

fn shelf() -> impl Strategy<Value = Vec<Owned>> {
    prop::collection::vec(metadata(), 0..40).prop_map(|all| {
        let documents = all.into_iter().zip(0..).map(|(metadata, id): (Value, u128)| Owned {
            id: 2 * id,
            title: format!("t{id}"),
            created_at: id as i64,
            ..document(metadata)
        });
        documents.collect()
    })
}

proptest! {
    #[test]
    fn columns_find_what_looking_at_each_document_finds(documents in shelf(), condition in filters()) {
        let shelf = Shelf(documents);
        let filter = filter(&condition).unwrap();
        let expected = looked_at(&shelf, &filter);
        prop_assert_eq!(Selections::default().indexed(&shelf, &filter), expected.clone());
        // Through the front door, with more documents than are looked at one by one.
        let many: Vec<Owned> = (0..300_u128)
            .filter_map(|id| shelf.0.get(id as usize % shelf.0.len().max(1)).map(|document| Owned { id, ..document.clone() }))
            .collect();
        let many = Shelf(many);
        let selection = Selections::default().select(&many, &filter, &Viewer::All);
        let found: Vec<usize> = selection.allowed.as_ref().unwrap().iter().collect();
        prop_assert_eq!(found, looked_at(&many, &filter).iter().collect::<Vec<_>>());
    }
}
