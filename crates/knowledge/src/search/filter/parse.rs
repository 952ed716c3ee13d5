//! Reads filters from JSON.

use std::ops::Bound;

use plasma_kernel::{Error, KnowledgeDocumentId, Result, Timestamp};
use serde::Deserialize as _;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{
    Field, Filter, FilterKey, Node, Operand, Span, Test,
    geo::{Circle, DISTANCE_MAX_M, Rectangle},
};
use crate::{GeoPoint, MetadataTime, MetadataValue, limits};

const OPERATORS: &str =
    "`in`, `ne`, `gte`, `gt`, `lte`, `lt`, `exists`, `contains_all`, `contains_any`, `prefix`, `near` and `box`";
const OWN_FIELDS: &str = "`$title`, `$created_at`, `$updated_at` and `$document_id`";
const A_TIME: &str = "a time such as \"2026-01-02T03:04:05Z\"";

impl Filter {
    /// Reads a filter: `{"team": "legal", "year": {"gte": 2024}, "or": [{"draft": false}, {"not": {"tags": "old"}}]}`.
    ///
    /// # Errors
    /// `invalid` or `too_large` with the path of the place.
    pub(crate) fn parse(filter: &Map<String, Value>) -> Result<Self> {
        let root = Parser::default().group("filter", filter, 1)?;
        let text = serde_json::to_vec(filter).map_err(|error| Error::from_source("a filter to JSON", error))?;
        Ok(Self { root, key: FilterKey(Sha256::digest(&text).into()) })
    }
}

/// Counts what has limits.
#[derive(Default)]
struct Parser {
    conditions: usize,
    values: usize,
}

/// One end of a range.
enum End {
    Number(Bound<f64>),
    Time(Bound<Timestamp>),
}

fn place(path: &str, name: &str) -> String {
    // A name is the caller's own and may be long.
    format!("{path}.{}", name.chars().take(limits::METADATA_NAME_CHARS_MAX).collect::<String>())
}

/// Whether an object is about a field, and not a filter of its own: so `{"not": {"in": [1]}}` goes on meaning the field `not`.
fn is_condition(object: &Map<String, Value>) -> bool {
    !object.is_empty() && object.keys().all(|key| matches!(key.as_str(), "in" | "gte" | "lte"))
}

/// `{"time": …}` or `{"lat": …, "lon": …}`, and no operators.
fn is_value(object: &Map<String, Value>) -> bool {
    object.contains_key("time") || object.contains_key("lat") || object.contains_key("lon")
}

impl Parser {
    fn group(&mut self, path: &str, filter: &Map<String, Value>, depth: usize) -> Result<Node> {
        if depth > limits::FILTER_DEPTH_MAX {
            let message =
                format!("`and`, `or` and `not` stand more than {} deep inside each other", limits::FILTER_DEPTH_MAX);
            return Err(Error::too_large(path, message).remedy("write the conditions side by side"));
        }
        let mut nodes = Vec::new();
        for (name, condition) in filter {
            let at = place(path, name);
            nodes.push(match (name.as_str(), condition) {
                ("and", Value::Array(parts)) => Node::All(self.parts(&at, parts, depth)?),
                ("or", Value::Array(parts)) => Node::Any(self.parts(&at, parts, depth)?),
                ("and" | "or", Value::Object(part)) if !is_condition(part) => {
                    return Err(Error::invalid(at, "must be a list of filters"));
                }
                ("not", Value::Object(part)) if part.is_empty() => {
                    return Err(Error::invalid(at, "must be a filter with a condition"));
                }
                ("not", Value::Object(part)) if !is_condition(part) => {
                    Node::Not(Box::new(self.group(&at, part, depth + 1)?))
                }
                _ => self.field(&at, name, condition)?,
            });
        }
        Ok(Node::All(nodes))
    }

    fn parts(&mut self, path: &str, parts: &[Value], depth: usize) -> Result<Vec<Node>> {
        if parts.is_empty() {
            return Err(Error::invalid(path, "must have at least one filter"));
        }
        let mut nodes = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let at = format!("{path}[{index}]");
            let Value::Object(part) = part else { return Err(Error::invalid(at, "must be a filter: an object")) };
            self.count_condition(&at)?;
            nodes.push(self.group(&at, part, depth + 1)?);
        }
        Ok(nodes)
    }

    /// Also counts the parts of `and` and `or`, so that empty ones have a limit too.
    fn count_condition(&mut self, path: &str) -> Result<()> {
        self.conditions += 1;
        if self.conditions <= limits::FILTER_CONDITIONS_MAX {
            return Ok(());
        }
        let message = format!("a filter has at most {} conditions; this is one more", limits::FILTER_CONDITIONS_MAX);
        Err(Error::too_large(path, message).remedy("put values of one field into {\"in\": […]}"))
    }

    fn count_values(&mut self, path: &str, values: usize) -> Result<()> {
        self.values += values;
        if self.values <= limits::FILTER_VALUES_MAX {
            return Ok(());
        }
        let message = format!("a filter's lists have at most {} values together", limits::FILTER_VALUES_MAX);
        Err(Error::too_large(path, message))
    }

    fn field(&mut self, path: &str, name: &str, condition: &Value) -> Result<Node> {
        let field = field_named(path, name)?;
        let operators = match condition {
            Value::Object(operators) if !is_value(operators) => operators,
            value => {
                self.count_condition(path)?;
                let operand = operand(&field, path, value)?;
                return Ok(Node::Test(field, Test::AnyOf(vec![operand])));
            }
        };
        if operators.is_empty() {
            return Err(Error::invalid(path, format!("has no operator; known are {OPERATORS}")));
        }
        let mut nodes = Vec::new();
        let (mut from, mut to) = (None, None);
        for (operator, value) in operators {
            let at = format!("{path}.{}", operator.chars().take(40).collect::<String>());
            self.count_condition(&at)?;
            match operator.as_str() {
                "gte" | "gt" if from.is_none() => from = Some(end(&field, &at, value, operator == "gte")?),
                "lte" | "lt" if to.is_none() => to = Some(end(&field, &at, value, operator == "lte")?),
                "gte" | "gt" | "lte" | "lt" => {
                    return Err(Error::invalid(at, "stands beside another bound of the same end"));
                }
                "ne" => {
                    let test = Test::AnyOf(vec![operand(&field, &at, value)?]);
                    nodes.push(Node::Not(Box::new(Node::Test(field.clone(), test))));
                }
                _ => nodes.push(Node::Test(field.clone(), self.test(&field, &at, operator, value)?)),
            }
        }
        if from.is_some() || to.is_some() {
            nodes.push(Node::Test(field, range(path, from, to)?));
        }
        Ok(Node::All(nodes))
    }

    fn test(&mut self, field: &Field, path: &str, operator: &str, value: &Value) -> Result<Test> {
        let of_metadata = matches!(field, Field::Metadata(_));
        match operator {
            "in" => self.operands(field, path, value).map(Test::AnyOf),
            "contains_any" if of_metadata => self.operands(field, path, value).map(Test::AnyOf),
            "contains_all" if of_metadata => self.operands(field, path, value).map(Test::AllOf),
            "exists" => value.as_bool().map(Test::Exists).ok_or_else(|| Error::invalid(path, "must be true or false")),
            "prefix" if of_metadata || *field == Field::Title => match value.as_str() {
                Some(prefix) if !prefix.is_empty() => Ok(Test::Prefix(prefix.to_owned())),
                _ => Err(Error::invalid(path, "must be a text that is not empty")),
            },
            "near" if of_metadata => circle(path, value).map(Test::Near),
            "box" if of_metadata => rectangle(path, value).map(Test::Within),
            "contains_any" | "contains_all" | "prefix" | "near" | "box" => {
                Err(Error::invalid(path, "is not an operator of this field"))
            }
            _ => Err(Error::invalid(path, format!("is not an operator; known are {OPERATORS}"))),
        }
    }

    fn operands(&mut self, field: &Field, path: &str, value: &Value) -> Result<Vec<Operand>> {
        let Value::Array(values) = value else { return Err(Error::invalid(path, "must be a list of values")) };
        if values.is_empty() {
            return Err(Error::invalid(path, "must have at least one value"));
        }
        self.count_values(path, values.len())?;
        let values = values.iter().enumerate();
        values.map(|(index, value)| operand(field, &format!("{path}[{index}]"), value)).collect()
    }
}

fn field_named(path: &str, name: &str) -> Result<Field> {
    match name {
        "$title" => Ok(Field::Title),
        "$created_at" => Ok(Field::CreatedAt),
        "$updated_at" => Ok(Field::UpdatedAt),
        "$document_id" => Ok(Field::DocumentId),
        _ if name.starts_with('$') => {
            Err(Error::invalid(path, format!("is not one of the document's own fields, which are {OWN_FIELDS}")))
        }
        _ => Ok(Field::Metadata(name.to_owned())),
    }
}

fn operand(field: &Field, path: &str, value: &Value) -> Result<Operand> {
    match field {
        Field::Metadata(_) => metadata_operand(path, value),
        Field::Title => match value.as_str() {
            Some(title) => Ok(Operand::Text(title.to_owned(), None)),
            None => Err(Error::invalid(path, "must be a text")),
        },
        Field::CreatedAt | Field::UpdatedAt => own_time(path, value).map(Operand::Time),
        Field::DocumentId => match value.as_str().and_then(|id| id.parse::<KnowledgeDocumentId>().ok()) {
            Some(id) => Ok(Operand::Document(id)),
            None => Err(Error::invalid(path, "must be a document's id")),
        },
    }
}

fn metadata_operand(path: &str, value: &Value) -> Result<Operand> {
    let refused = |message: String| {
        Error::invalid(path, message).remedy(
            "write {\"in\": […]} or {\"contains_all\": […]} for several values, {\"gte\": a, \"lt\": b} for a range",
        )
    };
    let wrong = "must be a text, a number, true or false, {\"time\": …} or {\"lat\": …, \"lon\": …}";
    if matches!(value, Value::Null | Value::Array(_)) {
        return Err(refused(wrong.to_owned()));
    }
    // For an object the reader says what is wrong about it.
    let read = MetadataValue::deserialize(value).map_err(|error| refused(error.to_string()))?;
    Ok(match read {
        MetadataValue::Text(text) => {
            let time = MetadataTime::parse(&text).map(MetadataTime::at);
            Operand::Text(text, time)
        }
        MetadataValue::Integer(number) => Operand::Integer(number),
        MetadataValue::Float(number) => Operand::Float(number),
        MetadataValue::Bool(flag) => Operand::Bool(flag),
        MetadataValue::Time(time) => Operand::Time(time.at()),
        MetadataValue::Geo(point) => Operand::Geo(point),
        MetadataValue::List(_) => return Err(refused(wrong.to_owned())),
    })
}

/// A time as text or as `{"time": text}`.
fn time(value: &Value) -> Option<Timestamp> {
    let text = match value {
        Value::Object(object) if object.len() == 1 => object.get("time")?.as_str()?,
        value => value.as_str()?,
    };
    MetadataTime::parse(text).map(MetadataTime::at)
}

/// A time that is compared with one of the document's own, which the API also shows as microseconds.
fn own_time(path: &str, value: &Value) -> Result<Timestamp> {
    time(value)
        .or_else(|| value.as_i64())
        .ok_or_else(|| Error::invalid(path, format!("must be {A_TIME}, or microseconds since 1970 UTC")))
}

fn end(field: &Field, path: &str, value: &Value, included: bool) -> Result<End> {
    fn bound<T>(value: T, included: bool) -> Bound<T> {
        if included { Bound::Included(value) } else { Bound::Excluded(value) }
    }
    match field {
        Field::Title | Field::DocumentId => Err(Error::invalid(path, "is not an operator of this field")),
        Field::CreatedAt | Field::UpdatedAt => own_time(path, value).map(|time| End::Time(bound(time, included))),
        Field::Metadata(_) => match (value.as_f64(), time(value)) {
            (Some(number), _) => Ok(End::Number(bound(number, included))),
            (None, Some(time)) => Ok(End::Time(bound(time, included))),
            (None, None) => Err(Error::invalid(path, format!("must be a number or {A_TIME}"))),
        },
    }
}

fn range(path: &str, from: Option<End>, to: Option<End>) -> Result<Test> {
    let numbers = |from, to| Test::Numbers(Span { from, to });
    let times = |from, to| Test::Times(Span { from, to });
    match (from, to) {
        (Some(End::Number(from)), Some(End::Number(to))) => Ok(numbers(from, to)),
        (Some(End::Number(from)), None) => Ok(numbers(from, Bound::Unbounded)),
        (None, Some(End::Number(to))) => Ok(numbers(Bound::Unbounded, to)),
        (Some(End::Time(from)), Some(End::Time(to))) => Ok(times(from, to)),
        (Some(End::Time(from)), None) => Ok(times(from, Bound::Unbounded)),
        (None, Some(End::Time(to))) => Ok(times(Bound::Unbounded, to)),
        _ => Err(Error::invalid(path, "has a number at one end and a time at the other")),
    }
}

/// The numbers of an object with exactly these names.
fn numbers<const N: usize>(path: &str, value: &Value, names: [&str; N]) -> Result<[f64; N]> {
    let wrong = || Error::invalid(path, format!("must be an object of the numbers {}", names.join(", ")));
    let object = value.as_object().filter(|object| object.len() == N).ok_or_else(wrong)?;
    let mut read = [0.0; N];
    for (number, name) in read.iter_mut().zip(names) {
        *number = object.get(name).and_then(Value::as_f64).ok_or_else(wrong)?;
    }
    Ok(read)
}

fn circle(path: &str, value: &Value) -> Result<Circle> {
    let [lat, lon, within_m] = numbers(path, value, ["lat", "lon", "within_m"])?;
    let center = GeoPoint::new(lat, lon)
        .ok_or_else(|| Error::invalid(path, "`lat` must be -90 to 90, and `lon` -180 to 180"))?;
    if within_m > 0.0 && within_m <= DISTANCE_MAX_M {
        return Ok(Circle { center, within_m });
    }
    Err(Error::invalid(path, format!("`within_m` must be above 0 and at most {DISTANCE_MAX_M} meters")))
}

fn rectangle(path: &str, value: &Value) -> Result<Rectangle> {
    let [south, west, north, east] = numbers(path, value, ["south", "west", "north", "east"])?;
    let corners = GeoPoint::new(south, west).zip(GeoPoint::new(north, east));
    if corners.is_none() || south > north {
        let message = "`south` must not be above `north`, both must be -90 to 90, and `west` and `east` -180 to 180";
        return Err(Error::invalid(path, message));
    }
    Ok(Rectangle { south, west, north, east })
}
