//! Parameters and rows that are the same on both engines.

use std::{num::TryFromIntError, str::FromStr};

use plasma_kernel::{
    ApiKeyId, ApplicationId, AuditSinkId, BatchId, BenchmarkId, BudgetId, CallId, ChunkId, CollectionId, ConnectionId,
    DocumentId, Error, EventId, ExportId, FileId, GrantId, InvitationId, JobId, KnowledgeDocumentId, LimitId,
    PasskeyId, PolicyId, PromptId, ProviderId, PullId, RequestId, Result, RoleId, RouteId, ServiceIdentityId,
    SessionId, TeamId, TenantId, TokenFamilyId, UserId,
};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{Row as _, postgres::PgRow, sqlite::SqliteRow};

/// A statement: one text for both engines, or a body for each.
#[derive(Clone, Copy, Debug)]
pub struct Sql {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

impl Sql {
    /// Two bodies, where the engines differ.
    pub const fn each(sqlite: &'static str, postgres: &'static str) -> Self {
        Self { sqlite, postgres }
    }
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self { sqlite: text, postgres: text }
    }
}

/// A statement's parameter. `None` is NULL of that type: Postgres wants to know which.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text, ids and JSON.
    Text(Option<String>),
    /// Integers, times, counts; booleans as 0 and 1.
    Int(Option<i64>),
    /// Floating point, for measurements only.
    Real(Option<f64>),
    /// Bytes.
    Blob(Option<Vec<u8>>),
}

impl Value {
    /// The JSON of `value`, which [`Row::json`] reads.
    ///
    /// # Errors
    /// `internal` for what JSON cannot say, such as a map whose keys are no texts.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        serde_json::to_string(value)
            .map(Self::from)
            .map_err(|error| Error::from_source("a value cannot be written as JSON", error))
    }

    /// The same, and NULL for `None`.
    ///
    /// # Errors
    /// As [`Value::json`].
    pub fn optional_json<T: Serialize + ?Sized>(value: Option<&T>) -> Result<Self> {
        value.map_or(Ok(Self::Text(None)), Self::json)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(Some(text.clone()))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(str::to_owned))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Int(Some(i64::from(number)))
    }
}

impl From<Option<u32>> for Value {
    fn from(number: Option<u32>) -> Self {
        Self::Int(number.map(i64::from))
    }
}

/// Counts and sizes. Beyond 2^63 (which no table reaches) the number is held at the maximum.
impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Int(Some(i64::try_from(number).unwrap_or(i64::MAX)))
    }
}

/// As `usize`.
impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Some(number).into()
    }
}

/// As `usize`.
impl From<Option<u64>> for Value {
    fn from(number: Option<u64>) -> Self {
        Self::Int(number.map(|number| i64::try_from(number).unwrap_or(i64::MAX)))
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Int(Some(i64::from(flag)))
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Real(Some(number))
    }
}

impl From<Option<f64>> for Value {
    fn from(number: Option<f64>) -> Self {
        Self::Real(number)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Blob(Some(bytes))
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Blob(Some(bytes.to_vec()))
    }
}

impl From<Option<Vec<u8>>> for Value {
    fn from(bytes: Option<Vec<u8>>) -> Self {
        Self::Blob(bytes)
    }
}

/// A row of an answer.
pub enum Row {
    #[doc(hidden)]
    Sqlite(SqliteRow),
    #[doc(hidden)]
    Postgres(PgRow),
}

impl Row {
    /// The column `name` as a `T`.
    ///
    /// # Errors
    /// `internal` when the column is absent, NULL where `T` is not optional, or of another type: a fault in our SQL.
    pub fn get<T: FromColumn>(&self, name: &'static str) -> Result<T> {
        T::from_column(self, name)
    }

    /// The JSON in the column `name` as a `T`.
    ///
    /// # Errors
    /// `internal` when the column is absent or NULL, or holds something else.
    pub fn json<T: DeserializeOwned>(&self, name: &'static str) -> Result<T> {
        read_json(name, &self.get::<String>(name)?)
    }

    /// The same, and `None` for NULL.
    ///
    /// # Errors
    /// `internal` when the column is absent or holds something else.
    pub fn optional_json<T: DeserializeOwned>(&self, name: &'static str) -> Result<Option<T>> {
        self.get::<Option<String>>(name)?.map(|text| read_json(name, &text)).transpose()
    }
}

fn read_json<T: DeserializeOwned>(name: &'static str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Error::from_source(format!("column {name} holds wrong JSON"), error))
}

/// A type that a column can be read as.
pub trait FromColumn: Sized {
    /// Reads the column `name` of `row`.
    ///
    /// # Errors
    /// `internal` when it does not fit.
    fn from_column(row: &Row, name: &'static str) -> Result<Self>;
}

macro_rules! read_natively {
    ($($type:ty),*) => {$(
        impl FromColumn for $type {
            fn from_column(row: &Row, name: &'static str) -> Result<Self> {
                match row {
                    Row::Sqlite(row) => row.try_get(name),
                    Row::Postgres(row) => row.try_get(name),
                }
                .map_err(|error| Error::from_source(format!("column {name} could not be read"), error))
            }
        }
    )*};
}

read_natively!(String, i64, f64, Vec<u8>, Option<String>, Option<i64>, Option<f64>, Option<Vec<u8>>);

impl FromColumn for bool {
    fn from_column(row: &Row, name: &'static str) -> Result<Self> {
        Ok(i64::from_column(row, name)? != 0)
    }
}

macro_rules! read_narrow {
    ($($type:ty),*) => {$(
        impl FromColumn for $type {
            fn from_column(row: &Row, name: &'static str) -> Result<Self> {
                narrow(name, i64::from_column(row, name)?)
            }
        }

        impl FromColumn for Option<$type> {
            fn from_column(row: &Row, name: &'static str) -> Result<Self> {
                Option::<i64>::from_column(row, name)?.map(|number| narrow(name, number)).transpose()
            }
        }
    )*};
}

fn narrow<T: TryFrom<i64, Error = TryFromIntError>>(name: &'static str, number: i64) -> Result<T> {
    T::try_from(number).map_err(|error| Error::from_source(format!("column {name} holds {number}"), error))
}

read_narrow!(u32, u64, usize);

fn parse<T: FromStr>(name: &'static str, text: &str) -> Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(|error| Error::from_source(format!("column {name} holds a wrong id"), error))
}

macro_rules! ids {
    ($($type:ty),*) => {$(
        impl FromColumn for $type {
            fn from_column(row: &Row, name: &'static str) -> Result<Self> {
                parse(name, &String::from_column(row, name)?)
            }
        }

        impl FromColumn for Option<$type> {
            fn from_column(row: &Row, name: &'static str) -> Result<Self> {
                Option::<String>::from_column(row, name)?.map(|text| parse(name, &text)).transpose()
            }
        }

        impl From<$type> for Value {
            fn from(id: $type) -> Self {
                Self::Text(Some(id.to_string()))
            }
        }

        impl From<Option<$type>> for Value {
            fn from(id: Option<$type>) -> Self {
                Self::Text(id.map(|id| id.to_string()))
            }
        }
    )*};
}

ids!(
    ApiKeyId,
    ApplicationId,
    AuditSinkId,
    BatchId,
    BenchmarkId,
    BudgetId,
    CallId,
    ChunkId,
    CollectionId,
    ConnectionId,
    DocumentId,
    EventId,
    ExportId,
    FileId,
    GrantId,
    InvitationId,
    JobId,
    KnowledgeDocumentId,
    LimitId,
    PasskeyId,
    PolicyId,
    PromptId,
    ProviderId,
    PullId,
    RoleId,
    RouteId,
    RequestId,
    ServiceIdentityId,
    SessionId,
    TeamId,
    TenantId,
    TokenFamilyId,
    UserId
);

/// The key before which a list that shows the newest ids first goes on: the cursor, or what sorts after every id.
pub fn page_key(cursor: Option<&str>) -> &str {
    cursor.unwrap_or("~")
}

/// Texts as the JSON array that the condition `IN (SELECT value FROM json_each($n))` (SQLite) or
/// `IN (SELECT jsonb_array_elements_text($n::jsonb))` (Postgres) reads.
pub fn id_array<T: ToString>(ids: impl IntoIterator<Item = T>) -> Value {
    let texts: Vec<serde_json::Value> = ids.into_iter().map(|id| serde_json::Value::String(id.to_string())).collect();
    Value::Text(Some(serde_json::Value::Array(texts).to_string()))
}
