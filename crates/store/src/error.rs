use plasma_kernel::{Code, Error};

/// Database failures in the kernel's words. A broken uniqueness rule is a conflict, a busy or unreachable database is
/// transient, the rest is our own fault.
pub(crate) fn database_error(error: sqlx::Error) -> Error {
    match &error {
        sqlx::Error::Database(database) if database.is_unique_violation() => {
            Error::conflict("already_exists", "something with this name or key exists already").source(error)
        }
        sqlx::Error::Database(database) if database.is_foreign_key_violation() => {
            Error::conflict("still_referenced", "something else refers to this").source(error)
        }
        sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) | sqlx::Error::PoolClosed => {
            Error::unavailable("database_unavailable", "the database does not answer")
                .remedy("try again; if it lasts, check /readyz and the database server")
                .source(error)
        }
        // SQLITE_BUSY and SQLITE_LOCKED with their extensions; Postgres serialization failure and deadlock.
        sqlx::Error::Database(database)
            if matches!(database.code().as_deref(), Some("5" | "6" | "261" | "517" | "40001" | "40P01")) =>
        {
            Error::unavailable("database_busy", "the database is busy").remedy("try again").source(error)
        }
        // Postgres stores no NUL in a text, however it came there: SQLite does.
        sqlx::Error::Database(database) if matches!(database.code().as_deref(), Some("22021" | "22P05")) => {
            Error::new(Code::Invalid, "text_not_storable", "a text holds the character U+0000, which cannot be stored")
                .remedy("send the text without it")
                .source(error)
        }
        // SQLITE_IOERR and SQLITE_FULL with their extensions; Postgres's disk_full.
        sqlx::Error::Database(database) if database.code().is_some_and(|code| is_of_the_disk(&code)) => {
            Error::unavailable("database_disk", "the database cannot write to its disk")
                .remedy("free space on the disk, then try again")
                .source(error)
        }
        _ => Error::from_source("a database statement failed", error),
    }
}

/// SQLite's codes are short numbers whose lowest byte is the kind; Postgres's have five characters.
fn is_of_the_disk(code: &str) -> bool {
    code == "53100" || (code.len() < 5 && code.parse::<u32>().is_ok_and(|number| matches!(number & 0xff, 10 | 13)))
}

#[cfg(test)]
mod tests {
    use super::is_of_the_disk;

    #[test]
    fn faults_of_the_disk_are_told_by_their_codes() {
        assert!(["10", "13", "778", "53100"].into_iter().all(is_of_the_disk));
        assert!(!["5", "19", "2067", "23505", "40P01", "40001"].into_iter().any(is_of_the_disk));
    }
}
