//! Which columns hold sealed values: each crate declares its own, so that a new data key finds all of them.

use std::sync::PoisonError;

use plasma_kernel::{Error, Result};

use crate::{Row, Sql, Store, Tx, Value};

/// A column of sealed values. Made by [`crate::sealed_column`], which writes its statements.
#[derive(Clone, Copy, Debug)]
pub struct SealedColumn {
    /// The table.
    pub table: &'static str,
    /// The column. Its name ends with `sealed`.
    pub column: &'static str,
    /// The columns that find a row, beside `tenant_id`: texts.
    pub keys: &'static [&'static str],
    /// The purpose with which the value of a row was sealed, from the row's keys.
    pub purpose: fn(&[String]) -> String,
    /// Whether the table belongs to the installation and has no `tenant_id`: its values are sealed under the installation's key.
    pub of_installation: bool,
    #[doc(hidden)]
    pub statements: SealedStatements,
}

/// The statements on a sealed column.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct SealedStatements {
    pub count: &'static str,
    pub next: &'static str,
    pub replace: &'static str,
}

/// Declares a column of sealed values: its table, the columns that find a row beside `tenant_id` (one or two), the column, and a
/// function from the row's keys to the purpose that its value was sealed with. With `installation` in front, the table has no
/// `tenant_id`, and its values are sealed in system contexts.
///
/// ```
/// fn purpose(keys: &[String]) -> String {
///     format!("provider-api-key/{}", keys.join("/"))
/// }
/// let column = plasma_store::sealed_column!("providers", ["id"], "api_key_sealed", purpose);
/// assert_eq!((column.table, column.keys), ("providers", ["id"].as_slice()));
/// ```
#[macro_export]
macro_rules! sealed_column {
    (@column $table:literal, [$($key:literal),+], $column:literal, $purpose:expr, $of_installation:literal, $count:expr, $next:expr, $replace:expr) => {
        $crate::SealedColumn {
            table: $table,
            column: $column,
            keys: &[$($key),+],
            purpose: $purpose,
            of_installation: $of_installation,
            statements: $crate::SealedStatements { count: $count, next: $next, replace: $replace },
        }
    };
    ($table:literal, [$key:literal], $column:literal, $purpose:expr) => {
        $crate::sealed_column!(
            @column $table, [$key], $column, $purpose, false,
            concat!(
                "SELECT COUNT(*) AS number FROM ", $table, " WHERE tenant_id = $1 AND ", $column,
                " IS NOT NULL AND substr(", $column, ", 1, 8) <> $2"
            ),
            concat!(
                "SELECT ", $key, " AS key_1, ", $column, " AS sealed FROM ", $table, " WHERE tenant_id = $1 AND ", $column,
                " IS NOT NULL AND substr(", $column, ", 1, 8) <> $2 AND ", $key, " > $3 ORDER BY ", $key, " LIMIT $4"
            ),
            concat!(
                "UPDATE ", $table, " SET ", $column, " = $2 WHERE tenant_id = $1 AND ", $column, " = $3 AND ", $key, " = $4"
            )
        )
    };
    ($table:literal, [$key:literal, $second:literal], $column:literal, $purpose:expr) => {
        $crate::sealed_column!(
            @column $table, [$key, $second], $column, $purpose, false,
            concat!(
                "SELECT COUNT(*) AS number FROM ", $table, " WHERE tenant_id = $1 AND ", $column,
                " IS NOT NULL AND substr(", $column, ", 1, 8) <> $2"
            ),
            concat!(
                "SELECT ", $key, " AS key_1, ", $second, " AS key_2, ", $column, " AS sealed FROM ", $table,
                " WHERE tenant_id = $1 AND ", $column, " IS NOT NULL AND substr(", $column, ", 1, 8) <> $2 AND (", $key, ", ",
                $second, ") > ($3, $4) ORDER BY ", $key, ", ", $second, " LIMIT $5"
            ),
            concat!(
                "UPDATE ", $table, " SET ", $column, " = $2 WHERE tenant_id = $1 AND ", $column, " = $3 AND ", $key, " = $4 AND ",
                $second, " = $5"
            )
        )
    };
    (installation $table:literal, [$key:literal], $column:literal, $purpose:expr) => {
        $crate::sealed_column!(
            @column $table, [$key], $column, $purpose, true,
            concat!(
                "SELECT COUNT(*) AS number FROM ", $table, " WHERE ", $column, " IS NOT NULL AND substr(", $column, ", 1, 8) <> $1"
            ),
            concat!(
                "SELECT ", $key, " AS key_1, ", $column, " AS sealed FROM ", $table, " WHERE ", $column,
                " IS NOT NULL AND substr(", $column, ", 1, 8) <> $1 AND ", $key, " > $2 ORDER BY ", $key, " LIMIT $3"
            ),
            concat!("UPDATE ", $table, " SET ", $column, " = $1 WHERE ", $column, " = $2 AND ", $key, " = $3")
        )
    };
}

/// A value that is not under the newest version yet, and where it stands.
pub(super) struct Remaining {
    pub(super) keys: Vec<String>,
    pub(super) sealed: Vec<u8>,
}

impl SealedColumn {
    /// The first parameter of every statement, but for tables of the installation.
    fn parameters(&self, owner: &str) -> Vec<Value> {
        if self.of_installation { Vec::new() } else { vec![owner.into()] }
    }

    /// How many values of the owner are not sealed under the version of `header`.
    pub(super) async fn count(&self, tx: &mut Tx, owner: &str, header: &[u8]) -> Result<u64> {
        let mut parameters = self.parameters(owner);
        parameters.push(header.into());
        tx.fetch_one(self.statements.count, parameters).await?.get("number")
    }

    /// Some of them, in the order of their keys, after the row with the keys `after`.
    pub(super) async fn next(
        &self,
        tx: &mut Tx,
        owner: &str,
        header: &[u8],
        after: &[String],
        limit: usize,
    ) -> Result<Vec<Remaining>> {
        let mut parameters = self.parameters(owner);
        parameters.push(header.into());
        // Before the first row: every key is greater than nothing.
        let place = (0..self.keys.len()).map(|index| Value::from(after.get(index).map_or("", String::as_str)));
        parameters.extend(place);
        parameters.push(limit.into());
        let rows = tx.fetch_all(self.statements.next, parameters).await?;
        rows.iter().map(|row| Ok(Remaining { keys: self.keys_of(row)?, sealed: row.get("sealed")? })).collect()
    }

    fn keys_of(&self, row: &Row) -> Result<Vec<String>> {
        ["key_1", "key_2"].into_iter().take(self.keys.len()).map(|name| row.get(name)).collect()
    }

    /// Puts `sealed` in the place of what was there; `false` when it was changed or deleted meanwhile.
    pub(super) async fn replace(
        &self,
        tx: &mut Tx,
        owner: &str,
        remaining: &Remaining,
        sealed: Vec<u8>,
    ) -> Result<bool> {
        let mut parameters = self.parameters(owner);
        parameters.push(sealed.into());
        parameters.push(remaining.sealed.as_slice().into());
        parameters.extend(remaining.keys.iter().map(Value::from));
        Ok(tx.execute(self.statements.replace, parameters).await? > 0)
    }
}

impl Store {
    /// Says that these columns hold sealed values, so that they are sealed again when their owner gets a new data key. In every
    /// process, before the first key is rotated; again is fine.
    pub fn declare_sealed(&self, columns: &[SealedColumn]) {
        let mut known = self.keys().columns.lock().unwrap_or_else(PoisonError::into_inner);
        for column in columns {
            known.retain(|other| (other.table, other.column) != (column.table, column.column));
            known.push(*column);
        }
        // The same order in every process: a place in the work is a number in this list.
        known.sort_by_key(|column| (column.table, column.column));
    }

    /// The declared columns of tenants, or those of the installation.
    pub(super) fn sealed_columns(&self, of_installation: bool) -> Vec<SealedColumn> {
        let known = self.keys().columns.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().filter(|column| column.of_installation == of_installation).copied().collect()
    }

    /// Makes sure that no column is forgotten: a key whose values are not all known must not be destroyed.
    pub(super) async fn check_sealed_columns(&self, tx: &mut Tx) -> Result<()> {
        let undeclared = self.undeclared_sealed_columns(tx).await?;
        if undeclared.is_empty() {
            return Ok(());
        }
        Err(Error::internal(format!("columns of sealed values that nobody declared: {}", undeclared.join(", "))))
    }

    /// Columns that are named like those of sealed values and that nobody has declared, as `table.column`.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn undeclared_sealed_columns(&self, tx: &mut Tx) -> Result<Vec<String>> {
        const NAMED: Sql = Sql::each(
            "SELECT m.name AS table_name, p.name AS column_name FROM sqlite_master m JOIN pragma_table_info(m.name) p
             WHERE m.type = 'table' AND p.name LIKE '%sealed' ORDER BY m.name, p.name",
            "SELECT table_name::text AS table_name, column_name::text AS column_name FROM information_schema.columns
             WHERE table_schema = current_schema() AND column_name LIKE '%sealed' ORDER BY 1, 2",
        );
        let rows = tx.fetch_all(NAMED, []).await?;
        let known = [self.sealed_columns(false), self.sealed_columns(true)].concat();
        let mut undeclared = Vec::new();
        for row in &rows {
            let (table, column): (String, String) = (row.get("table_name")?, row.get("column_name")?);
            if !known.iter().any(|known| known.table == table && known.column == column) {
                undeclared.push(format!("{table}.{column}"));
            }
        }
        Ok(undeclared)
    }
}
