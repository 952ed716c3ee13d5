//! Names of tables. They cannot be parameters of a statement, so they are made here and nowhere else: of numbers only.

use plasma_kernel::CollectionId;
use sqlx::AssertSqlSafe;

/// Where everything is on a node.
pub(super) const SCHEMA: &str = "plasma_search";

/// A shard of a collection, and with it its table on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardTable {
    /// The collection.
    pub collection: CollectionId,
    /// Which of its placements: a collection that is moved has two for a while.
    pub generation: u32,
    /// From 0.
    pub number: u32,
}

impl ShardTable {
    /// At most 55 characters: Postgres cuts names after 63.
    fn name(self) -> String {
        format!("v_{:032x}_{}_{}", self.collection.bits(), self.generation, self.number)
    }

    /// The statement with the shard's table for `{table}`, its index for `{index}`, and its index with the schema for
    /// `{index_in_schema}`. Nothing else is put in.
    pub(super) fn statement(self, text: &'static str) -> AssertSqlSafe<String> {
        self.statement_with(text, &[])
    }

    /// The same, with numbers for further names in braces.
    pub(super) fn statement_with(self, text: &'static str, numbers: &[(&'static str, usize)]) -> AssertSqlSafe<String> {
        let index = format!("{}_hnsw", self.name());
        let mut statement = text
            .replace("{table}", &quoted(&[SCHEMA, &self.name()]))
            .replace("{index}", &quoted(&[&index]))
            .replace("{index_in_schema}", &quoted(&[SCHEMA, &index]));
        for (name, number) in numbers {
            statement = statement.replace(name, &number.to_string());
        }
        AssertSqlSafe(statement)
    }

    /// The index's name as a value, for Postgres's own tables.
    pub(super) fn index_name(self) -> String {
        format!("{}_hnsw", self.name())
    }
}

/// An identifier of several parts, each in quotes.
fn quoted(parts: &[&str]) -> String {
    let parts: Vec<String> = parts.iter().map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect();
    parts.join(".")
}

/// The lower half of a document's id as Postgres keeps it: the same 64 bits.
pub(super) fn document_key(low: u64) -> i64 {
    low.cast_signed()
}

/// A version and an ordinal in one number.
pub(super) fn passage_key(version: u32, ordinal: u32) -> i64 {
    ((u64::from(version) << 32) | u64::from(ordinal)).cast_signed()
}

/// What `passage >> 32` is for passages of this version.
pub(super) fn version_key(version: u32) -> i64 {
    passage_key(version, 0) >> 32
}

/// Document, version and ordinal in one number, the key of a passage in every index.
pub(super) fn key(document: i64, passage: i64) -> u128 {
    (u128::from(document.cast_unsigned()) << 64) | u128::from(passage.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_of_numbers_and_are_not_cut() {
        let table = ShardTable::new(CollectionId::from_bits(u128::MAX), u32::MAX, u32::MAX);
        assert_eq!(table.name(), "v_ffffffffffffffffffffffffffffffff_4294967295_4294967295");
        assert!(table.index_name().len() <= 63);
        let AssertSqlSafe(statement) = table.statement("SELECT 1 FROM {table}");
        assert_eq!(
            statement,
            "SELECT 1 FROM \"plasma_search\".\"v_ffffffffffffffffffffffffffffffff_4294967295_4294967295\""
        );
        let AssertSqlSafe(statement) =
            ShardTable::new(CollectionId::from_bits(10), 1, 2).statement_with("{table} {m}", &[("{m}", 16)]);
        assert_eq!(statement, "\"plasma_search\".\"v_0000000000000000000000000000000a_1_2\" 16");
    }

    #[test]
    fn a_quote_in_a_name_cannot_end_it() {
        assert_eq!(quoted(&["a", "b\"; DROP TABLE c; --"]), "\"a\".\"b\"\"; DROP TABLE c; --\"");
    }

    #[test]
    fn keys_survive_their_halves() {
        for (low, version, ordinal) in [(0, 1, 0), (u64::MAX, u32::MAX, u32::MAX), (1 << 63, 7, 49_999)] {
            let expected = (u128::from(low) << 64) | (u128::from(version) << 32) | u128::from(ordinal);
            assert_eq!(key(document_key(low), passage_key(version, ordinal)), expected);
            assert_eq!(passage_key(version, ordinal) >> 32, version_key(version));
        }
    }
}
