//! Everything that a tenant has, whatever the tables are called: for exports and for erasure.
//!
//! Which tables have a `tenant_id` is read from the schema, so that one which a later migration adds is not forgotten. Names of
//! tables and columns cannot be parameters of a statement. Those here come from the schema, never from a request, and only names
//! of lower-case letters, digits and underscores are taken.

use plasma_kernel::{Error, Result};
use serde_json::{Map, Value as Json};
use sqlx::{Column as _, Row as _, TypeInfo as _, ValueRef as _, sqlite::SqliteRow};

use crate::{Row, Sql, Tx, Value};

/// A table that has a `tenant_id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantTable {
    name: String,
    /// The primary key without the tenant: what tells a tenant's rows apart. Empty where a tenant has one row.
    key: Vec<KeyColumn>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct KeyColumn {
    name: String,
    kind: KeyKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyKind {
    Text,
    Number,
    Bytes,
}

impl KeyKind {
    fn of(declared: &str) -> Self {
        match declared {
            "blob" | "bytea" => Self::Bytes,
            _ if declared.contains("int") => Self::Number,
            _ => Self::Text,
        }
    }

    fn read(self, value: &Json) -> Option<Value> {
        match self {
            Self::Text => value.as_str().map(Value::from),
            Self::Number => value.as_i64().map(Value::from),
            Self::Bytes => from_hexadecimal(value.as_str()?).map(Value::from),
        }
    }
}

/// Where a row stands among its tenant's rows of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct RowKey(Vec<Value>);

/// A page of a tenant's rows.
#[derive(Debug)]
pub struct TenantRows {
    /// Each row with its columns. Bytes are written as Postgres does: `\x` and hexadecimal digits.
    pub rows: Vec<Map<String, Json>>,
    /// After which key the next page begins; `None` when there is no further page.
    pub next: Option<RowKey>,
}

const TABLES: Sql = Sql::each(
    "SELECT m.name AS name FROM sqlite_schema m JOIN pragma_table_info(m.name) c ON c.name = 'tenant_id'
     WHERE m.type = 'table' ORDER BY m.name",
    "SELECT c.relname::text AS name FROM pg_class c
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
     WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
     ORDER BY c.relname",
);

const KEY: Sql = Sql::each(
    "SELECT name, lower(type) AS type FROM pragma_table_info($1) WHERE pk > 0 ORDER BY pk",
    "SELECT a.attname::text AS name, format_type(a.atttypid, NULL) AS type
     FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place)
     JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
     WHERE i.indrelid = to_regclass($1)::oid AND i.indisprimary ORDER BY k.place",
);

impl TenantTable {
    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `"a", "b"`.
    fn key_columns(&self) -> String {
        self.key.iter().map(|column| format!("\"{}\"", column.name)).collect::<Vec<_>>().join(", ")
    }

    fn key_of(&self, row: &Map<String, Json>) -> Result<RowKey> {
        let value = |column: &KeyColumn| {
            let value = row.get(&column.name).and_then(|value| column.kind.read(value));
            value.ok_or_else(|| Error::internal(format!("a row of {} has no key {}", self.name, column.name)))
        };
        self.key.iter().map(value).collect::<Result<_>>().map(RowKey)
    }
}

impl Tx {
    /// Every table that has a `tenant_id`, by name.
    ///
    /// # Errors
    /// `internal` for a table whose names are not ours or that has no primary key, else as [`Tx::execute`].
    pub async fn tenant_tables(&mut self) -> Result<Vec<TenantTable>> {
        let mut tables = Vec::new();
        for row in self.fetch_all(TABLES, []).await? {
            let name: String = row.get("name")?;
            check_name(&name)?;
            let mut key = Vec::new();
            let columns = self.fetch_all(KEY, [name.as_str().into()]).await?;
            if columns.is_empty() {
                return Err(Error::internal(format!("the table {name} has no primary key")));
            }
            for column in columns {
                let column_name: String = column.get("name")?;
                check_name(&column_name)?;
                if column_name != "tenant_id" {
                    let kind = KeyKind::of(&column.get::<String>("type")?);
                    key.push(KeyColumn { name: column_name, kind });
                }
            }
            tables.push(TenantTable { name, key });
        }
        Ok(tables)
    }

    /// How many rows of `table` the transaction's tenant has.
    ///
    /// # Errors
    /// `internal` for a system context, else as [`Tx::execute`].
    pub async fn count_tenant_rows(&mut self, table: &TenantTable) -> Result<u64> {
        let tenant = self.tenant()?;
        let sql = format!("SELECT COUNT(*) AS number FROM \"{}\" WHERE tenant_id = $1", table.name);
        let rows = self.fetch_all_named(sql, [tenant.into()]).await?;
        rows.first().map_or(Ok(0), |row| row.get("number"))
    }

    /// Up to `limit` rows of `table` that the transaction's tenant has, in the order of their keys, after `after`.
    ///
    /// # Errors
    /// `internal` for a system context, else as [`Tx::execute`].
    pub async fn tenant_rows(&mut self, table: &TenantTable, after: Option<&RowKey>, limit: u32) -> Result<TenantRows> {
        let tenant = self.tenant()?;
        let name = &table.name;
        let columns = table.key_columns();
        let (mut condition, mut order) = (String::new(), String::new());
        let mut parameters = vec![tenant.into(), Value::from(i64::from(limit) + 1)];
        if !table.key.is_empty() {
            order = format!("ORDER BY {columns}");
        }
        if let Some(RowKey(key)) = after.filter(|_| !table.key.is_empty()) {
            let places: Vec<String> = (3..3 + key.len()).map(|number| format!("${number}")).collect();
            condition = format!("AND ({columns}) > ({})", places.join(", "));
            parameters.extend(key.iter().cloned());
        }
        let what = match self.dialect() {
            crate::Dialect::Sqlite => "*",
            crate::Dialect::Postgres => "row_to_json(t)::text AS line",
        };
        let sql = format!("SELECT {what} FROM \"{name}\" t WHERE tenant_id = $1 {condition} {order} LIMIT $2");
        let found = self.fetch_all_named(sql, parameters).await?;
        let mut rows = found.iter().map(row_to_json).collect::<Result<Vec<_>>>()?;
        let has_more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = match rows.last().filter(|_| has_more) {
            Some(last) => Some(table.key_of(last)?),
            None => None,
        };
        Ok(TenantRows { rows, next })
    }

    /// Deletes up to `limit` rows of `table` that the transaction's tenant has, and says how many they were. Rows that refer
    /// to them are deleted first by whoever calls, or the database refuses.
    ///
    /// # Errors
    /// `conflict` (`still_referenced`); `internal` for a system context; else as [`Tx::execute`].
    pub async fn delete_tenant_rows(&mut self, table: &TenantTable, limit: u32) -> Result<u64> {
        let tenant = self.tenant()?;
        let name = &table.name;
        if table.key.is_empty() {
            let sql = format!("DELETE FROM \"{name}\" WHERE tenant_id = $1");
            return self.execute_named(sql, [tenant.into()]).await;
        }
        let columns = table.key_columns();
        let sql = format!(
            "DELETE FROM \"{name}\" WHERE tenant_id = $1
               AND ({columns}) IN (SELECT {columns} FROM \"{name}\" WHERE tenant_id = $1 LIMIT $2)"
        );
        self.execute_named(sql, [tenant.into(), limit.into()]).await
    }
}

/// What stands between quotes in a statement must not end them.
fn check_name(name: &str) -> Result<()> {
    let is_ours =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if is_ours {
        return Ok(());
    }
    Err(Error::internal(format!("the schema has the name `{name}`, which no migration of ours makes")))
}

fn row_to_json(row: &Row) -> Result<Map<String, Json>> {
    match row {
        Row::Sqlite(row) => sqlite_row_to_json(row),
        Row::Postgres(_) => row.json("line"),
    }
}

fn sqlite_row_to_json(row: &SqliteRow) -> Result<Map<String, Json>> {
    let unreadable = |error: sqlx::Error| Error::from_source("a row could not be read", error);
    let mut values = Map::new();
    for column in row.columns() {
        let index = column.ordinal();
        let raw = row.try_get_raw(index).map_err(unreadable)?;
        let kind = if raw.is_null() { "NULL".to_owned() } else { raw.type_info().name().to_owned() };
        let value = match kind.as_str() {
            "NULL" => Json::Null,
            "INTEGER" => Json::from(row.try_get::<i64, _>(index).map_err(unreadable)?),
            "REAL" => Json::from(row.try_get::<f64, _>(index).map_err(unreadable)?),
            "BLOB" => Json::from(hexadecimal(&row.try_get::<Vec<u8>, _>(index).map_err(unreadable)?)),
            _ => Json::from(row.try_get::<String, _>(index).map_err(unreadable)?),
        };
        values.insert(column.name().to_owned(), value);
    }
    Ok(values)
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |number: u8| char::from(DIGITS.get(usize::from(number)).copied().unwrap_or(b'0'));
    let mut text = String::with_capacity(2 + bytes.len() * 2);
    text.push_str("\\x");
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}

/// What [`hexadecimal`] wrote.
fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x")?.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some((digit(*high)? << 4) | digit(*low)?));
    if rest.is_empty() { bytes.collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_end_their_quotes_are_refused() {
        assert!(check_name("model_usage_2").is_ok());
        for name in ["", "a\"b", "A", "a b", "a;b", "ä"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn bytes_are_written_as_postgres_does() {
        assert_eq!(hexadecimal(&[0, 15, 255]), "\\x000fff");
        assert_eq!(from_hexadecimal("\\x000fff"), Some(vec![0, 15, 255]));
        assert_eq!(from_hexadecimal("\\x"), Some(Vec::new()));
        for text in ["", "000f", "\\x0", "\\x0g", "\\xé"] {
            assert_eq!(from_hexadecimal(text), None, "{text}");
        }
    }
}
