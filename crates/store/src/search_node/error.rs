//! Failures of a node in the kernel's words. No URL is ever in them.

use plasma_kernel::{Code, Error};

/// The reason of everything that is the node's and not the shard's.
pub(super) const UNAVAILABLE: &str = "search_node_unavailable";

pub(super) fn unavailable(node: &str, why: &str) -> Error {
    still_unavailable(format!("the search node `{node}` does not answer: {why}"))
}

/// What was said when it failed a moment ago.
pub(super) fn still_unavailable(message: String) -> Error {
    Error::unavailable("search_node_unavailable", message)
        .remedy("check that its Postgres runs and takes Plasma's login; GET /api/v1/search/nodes shows the state of all nodes")
        .retry_after_ms(2_000)
}

/// A shard that cannot answer now.
pub(super) fn shard_not_ready(node: &str, why: &str) -> Error {
    Error::unavailable("search_shard_not_ready", format!("on the search node `{node}`: {why}")).retry_after_ms(2_000)
}

/// What a statement on `node` failed with.
pub(super) fn node_error(node: &str, error: sqlx::Error) -> Error {
    let why = match &error {
        sqlx::Error::PoolTimedOut => Some("no connection in time".to_owned()),
        sqlx::Error::Io(error) => Some(error.to_string()),
        sqlx::Error::Tls(_) => Some("the encrypted connection could not be made".to_owned()),
        sqlx::Error::PoolClosed => Some("this program is stopping".to_owned()),
        sqlx::Error::Protocol(_) => Some("it broke off the connection".to_owned()),
        _ => None,
    };
    if let Some(why) = why {
        return unavailable(node, &why).source(error);
    }
    let sqlx::Error::Database(database) = &error else {
        return Error::from_source(format!("a statement on the search node `{node}` failed"), error);
    };
    let message = database.message().to_owned();
    let code = database.code().map(|code| code.into_owned()).unwrap_or_default();
    match code.as_str() {
        // statement_timeout
        "57014" => Error::new(Code::Timeout, "search_node_slow", format!("the search node `{node}` took too long"))
            .source(error),
        // A table, a column or a type that is not there: the shard was dropped, or the node was never made ready.
        "42P01" | "42704" | "42703" | "3F000" => shard_not_ready(node, &message).source(error),
        "25006" => unavailable(node, "it is a replica that only reads; name its primary as `url`").source(error),
        "53100" => unavailable(node, "its disk is full").source(error),
        // Authorization, no such database, too many connections, starting up and shutting down.
        code if code.starts_with("28")
            || code.starts_with("3D")
            || code.starts_with("53")
            || code.starts_with("57P") =>
        {
            unavailable(node, &message).source(error)
        }
        _ => {
            Error::unavailable("search_node_failed", format!("the search node `{node}` refused a statement: {message}"))
                .source(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_connection_fails_with_is_the_nodes() {
        let refused = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused");
        let error = node_error("a", sqlx::Error::Io(refused));
        assert_eq!(error.reason(), UNAVAILABLE);
        assert!(error.to_string().contains("`a` does not answer: connection refused"), "{error}");
        assert_eq!(node_error("a", sqlx::Error::PoolTimedOut).reason(), UNAVAILABLE);
        assert_eq!(node_error("a", sqlx::Error::RowNotFound).reason(), "internal");
    }
}
