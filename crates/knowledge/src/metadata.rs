//! Documents' own fields: values with types, as documents bring them and filters compare them.

mod fields;
mod time;

use std::{collections::BTreeMap, fmt};

use plasma_kernel::{Error, KnowledgeDocumentId, Result, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeMap as _};

pub use fields::{FieldDeclaration, FieldDeclarations, FieldType};
pub(crate) use fields::{check_declarations, conform};

use crate::limits;

/// A document's own fields, by name: at most 32.
pub type Metadata = BTreeMap<String, MetadataValue>;

/// The value of a metadata field.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum MetadataValue {
    /// At most 1,000 characters.
    Text(String),
    /// A whole number of 64 bits.
    Integer(i64),
    /// Any other number, as a 64-bit float.
    Float(f64),
    /// Yes or no.
    Bool(bool),
    /// A point in time.
    Time(MetadataTime),
    /// A place on earth.
    Geo(GeoPoint),
    /// At most 100 entries.
    List(Vec<ListItem>),
}

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum ListItem {
    /// At most 1,000 characters.
    Text(String),
    /// A whole number of 64 bits.
    Integer(i64),
    /// Any other number, as a 64-bit float.
    Float(f64),
    /// Yes or no.
    Bool(bool),
}

/// A point in time, written as `{"time": "2026-01-02T03:04:05Z"}`: RFC 3339, to the microsecond, shown in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, utoipa::ToSchema)]
pub struct MetadataTime {
    /// In microseconds since 1970 UTC.
    #[schema(rename = "time", value_type = String, format = DateTime)]
    at: Timestamp,
}

impl MetadataTime {
    /// Reads RFC 3339; `None` when it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        time::parse(text).map(|at| Self { at })
    }

    /// In microseconds since 1970 UTC.
    pub fn at(self) -> Timestamp {
        self.at
    }
}

impl Serialize for MetadataTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("time", &time::format(self.at))?;
        map.end()
    }
}

/// A place on earth, in degrees.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct GeoPoint {
    /// North of the equator: -90 to 90.
    lat: f64,
    /// East of Greenwich: -180 to 180.
    lon: f64,
}

impl GeoPoint {
    /// The place; `None` when it is not on earth.
    pub fn new(lat: f64, lon: f64) -> Option<Self> {
        let is_on_earth = (-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon);
        is_on_earth.then_some(Self { lat, lon })
    }

    /// Degrees north of the equator.
    pub fn lat(self) -> f64 {
        self.lat
    }

    /// Degrees east of Greenwich.
    pub fn lon(self) -> f64 {
        self.lon
    }
}

/// One value as filters compare it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scalar<'a> {
    Text(&'a str),
    Integer(i64),
    Float(f64),
    Bool(bool),
    Time(Timestamp),
    Geo(GeoPoint),
    Document(KnowledgeDocumentId),
}

impl MetadataValue {
    /// The value, or the entries of a list.
    pub(crate) fn scalars(&self) -> impl Iterator<Item = Scalar<'_>> {
        let (one, entries): (Option<Scalar<'_>>, &[ListItem]) = match self {
            Self::Text(text) => (Some(Scalar::Text(text)), &[]),
            Self::Integer(number) => (Some(Scalar::Integer(*number)), &[]),
            Self::Float(number) => (Some(Scalar::Float(*number)), &[]),
            Self::Bool(flag) => (Some(Scalar::Bool(*flag)), &[]),
            Self::Time(time) => (Some(Scalar::Time(time.at)), &[]),
            Self::Geo(point) => (Some(Scalar::Geo(*point)), &[]),
            Self::List(entries) => (None, entries.as_slice()),
        };
        one.into_iter().chain(entries.iter().map(ListItem::scalar))
    }

    /// What it is, for a person.
    fn described(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Bool(_) => "true or false",
            Self::Time(_) => "a time",
            Self::Geo(_) => "a place",
            Self::List(_) => "a list",
        }
    }
}

impl ListItem {
    fn scalar(&self) -> Scalar<'_> {
        match self {
            Self::Text(text) => Scalar::Text(text),
            Self::Integer(number) => Scalar::Integer(*number),
            Self::Float(number) => Scalar::Float(*number),
            Self::Bool(flag) => Scalar::Bool(*flag),
        }
    }
}

impl<'de> Deserialize<'de> for MetadataValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

impl<'de> Deserialize<'de> for ListItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ItemVisitor)
    }
}

#[allow(clippy::cast_precision_loss)] // such numbers are rounded, as in every JSON program
fn unsigned(value: u64) -> ListItem {
    i64::try_from(value).map_or(ListItem::Float(value as f64), ListItem::Integer)
}

struct ItemVisitor;

impl de::Visitor<'_> for ItemVisitor {
    type Value = ListItem;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text, a number, true or false")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<ListItem, E> {
        Ok(ListItem::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<ListItem, E> {
        Ok(ListItem::Integer(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<ListItem, E> {
        Ok(unsigned(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<ListItem, E> {
        Ok(ListItem::Float(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<ListItem, E> {
        Ok(ListItem::Text(value.to_owned()))
    }
}

impl From<ListItem> for MetadataValue {
    fn from(item: ListItem) -> Self {
        match item {
            ListItem::Text(text) => Self::Text(text),
            ListItem::Integer(number) => Self::Integer(number),
            ListItem::Float(number) => Self::Float(number),
            ListItem::Bool(flag) => Self::Bool(flag),
        }
    }
}

struct ValueVisitor;

impl<'de> de::Visitor<'de> for ValueVisitor {
    type Value = MetadataValue;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .write_str("a text, a number, true or false, a list of these, {\"time\": …} or {\"lat\": …, \"lon\": …}")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<MetadataValue, E> {
        Ok(MetadataValue::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<MetadataValue, E> {
        Ok(MetadataValue::Integer(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<MetadataValue, E> {
        Ok(unsigned(value).into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<MetadataValue, E> {
        Ok(MetadataValue::Float(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<MetadataValue, E> {
        Ok(MetadataValue::Text(value.to_owned()))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut entries: A) -> Result<MetadataValue, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = entries.next_element::<ListItem>()? {
            if items.len() == limits::METADATA_LIST_MAX {
                let message = format!("a list of metadata has at most {} entries", limits::METADATA_LIST_MAX);
                return Err(de::Error::custom(message));
            }
            items.push(item);
        }
        Ok(MetadataValue::List(items))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut entries: A) -> Result<MetadataValue, A::Error> {
        let (mut time, mut lat, mut lon) = (None, None, None);
        while let Some(name) = entries.next_key::<String>()? {
            match name.as_str() {
                "time" if time.is_none() => time = Some(entries.next_value::<String>()?),
                "lat" if lat.is_none() => lat = Some(entries.next_value::<f64>()?),
                "lon" if lon.is_none() => lon = Some(entries.next_value::<f64>()?),
                _ => return Err(de::Error::custom("an object must be {\"time\": …} or {\"lat\": …, \"lon\": …}")),
            }
        }
        match (time, lat, lon) {
            (Some(text), None, None) => MetadataTime::parse(&text)
                .map(MetadataValue::Time)
                .ok_or_else(|| de::Error::custom("a time must be of the form 2026-01-02T03:04:05Z (RFC 3339)")),
            (None, Some(lat), Some(lon)) => GeoPoint::new(lat, lon)
                .map(MetadataValue::Geo)
                .ok_or_else(|| de::Error::custom("`lat` must be -90 to 90, and `lon` -180 to 180")),
            _ => Err(de::Error::custom("an object must be {\"time\": …} or {\"lat\": …, \"lon\": …}")),
        }
    }
}

/// Refuses metadata over a limit, naming the field.
pub(crate) fn check(metadata: &Metadata) -> Result<()> {
    if metadata.len() > limits::METADATA_FIELDS_MAX {
        return Err(Error::invalid(
            "metadata",
            format!("has {} fields; at most {} are kept", metadata.len(), limits::METADATA_FIELDS_MAX),
        ));
    }
    for (name, value) in metadata {
        check_name("metadata", name)?;
        let refused = |place: String| move |message: String| Error::invalid(place, message);
        match value {
            MetadataValue::Text(text) => check_text(text).map_err(refused(format!("metadata.{name}")))?,
            MetadataValue::List(items) => {
                if items.len() > limits::METADATA_LIST_MAX {
                    let message =
                        format!("has {} entries; at most {} are kept", items.len(), limits::METADATA_LIST_MAX);
                    return Err(Error::invalid(format!("metadata.{name}"), message));
                }
                for (index, item) in items.iter().enumerate() {
                    if let ListItem::Text(text) = item {
                        check_text(text).map_err(refused(format!("metadata.{name}[{index}]")))?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// About what a document's fields take in memory.
pub(crate) fn bytes(metadata: &Metadata) -> usize {
    let of_text = |text: &String| text.len();
    let of_value = |value: &MetadataValue| match value {
        MetadataValue::Text(text) => of_text(text),
        MetadataValue::List(items) => {
            let texts = items.iter().map(|item| if let ListItem::Text(text) = item { of_text(text) } else { 0 });
            size_of::<ListItem>() * items.len() + texts.sum::<usize>()
        }
        _ => 0,
    };
    let of_field =
        |(name, value): (&String, &MetadataValue)| size_of::<(String, MetadataValue)>() + name.len() + of_value(value);
    metadata.iter().map(of_field).sum()
}

/// Refuses a field's name that no document may have. `place` is what the error names.
fn check_name(place: &str, name: &str) -> Result<()> {
    if name.is_empty() || name.chars().count() > limits::METADATA_NAME_CHARS_MAX || name.chars().any(char::is_control) {
        let message = format!(
            "a field's name must have 1 to {} characters and no control characters",
            limits::METADATA_NAME_CHARS_MAX
        );
        return Err(Error::invalid(place, message));
    }
    if name.starts_with('$') {
        return Err(Error::invalid(
            place,
            "a field's name must not begin with `$`: such names mean the document's own fields",
        ));
    }
    Ok(())
}

fn check_text(text: &str) -> Result<(), String> {
    if text.chars().count() > limits::METADATA_TEXT_CHARS_MAX {
        return Err(format!("is longer than {} characters", limits::METADATA_TEXT_CHARS_MAX));
    }
    // Postgres stores no NUL in text.
    if text.contains('\0') { Err("contains a NUL character".to_owned()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_type_and_form() {
        let json = r#"{"draft":false,"office":{"lat":48.5,"lon":-11.0},"price":2.5,"published":{"time":"2026-01-02T03:04:05Z"},"tags":["a",1,2.5,true],"team":"legal","year":2026}"#;
        let metadata: Metadata = serde_json::from_str(json).unwrap();
        check(&metadata).unwrap();
        assert_eq!(serde_json::to_string(&metadata).unwrap(), json);
        for wrong in [
            "null",
            "{}",
            "[null]",
            "[[1]]",
            r#"[{"time":"2026-01-02T03:04:05Z"}]"#,
            r#"{"time":"soon"}"#,
            r#"{"time":1}"#,
            r#"{"lat":1}"#,
            r#"{"lat":91,"lon":0}"#,
            r#"{"lat":0,"lon":-181}"#,
            r#"{"lat":0,"lon":0,"alt":0}"#,
            r#"{"lat":0,"lat":0,"lon":0}"#,
            r#"{"name":"x"}"#,
        ] {
            assert!(serde_json::from_str::<MetadataValue>(wrong).is_err(), "{wrong}");
        }
        let times: Vec<String> = ["2026-01-02T03:04:05+02:00", "2026-01-02T03:04:05.120Z"]
            .iter()
            .map(|time| serde_json::to_string(&MetadataTime::parse(time).unwrap()).unwrap())
            .collect();
        assert_eq!(times, [r#"{"time":"2026-01-02T01:04:05Z"}"#, r#"{"time":"2026-01-02T03:04:05.12Z"}"#]);
    }

    #[test]
    fn limits_name_the_field() {
        let long = Metadata::from([("summary".to_owned(), MetadataValue::Text("x".repeat(1_001)))]);
        assert_eq!(check(&long).unwrap_err().field_name(), Some("metadata.summary"));
        let many: Metadata = (0..33).map(|number| (number.to_string(), MetadataValue::Bool(true))).collect();
        assert_eq!(check(&many).unwrap_err().field_name(), Some("metadata"));
        let entries = MetadataValue::List(vec![ListItem::Bool(true), ListItem::Text("a\0".to_owned())]);
        assert_eq!(
            check(&Metadata::from([("tags".to_owned(), entries)])).unwrap_err().field_name(),
            Some("metadata.tags[1]")
        );
        let reserved = Metadata::from([("$title".to_owned(), MetadataValue::Bool(true))]);
        assert_eq!(check(&reserved).unwrap_err().field_name(), Some("metadata"));
        let list = format!("[{}0]", "0,".repeat(100));
        assert!(serde_json::from_str::<MetadataValue>(&list).unwrap_err().to_string().contains("at most 100"));
    }
}
