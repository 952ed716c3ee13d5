//! What is asked, and what has to come back.

use std::{net::SocketAddr, time::Duration};

use serde_json::json;

use super::{
    API_KEY,
    corpus::{Corpus, SHARDS},
};

/// Queries whose embeddings are known before they are measured.
const KNOWN_QUERIES: usize = 4_000;
/// Each of them is asked with so many different limits or filters, so that no cache of whole answers could give one again.
const VARIANTS: usize = 20;
/// Results of a search, where they do not vary.
const LIMIT: usize = 10;
/// How long the known queries may take to become known.
const KNOWING_MAX: Duration = Duration::from_secs(600);
/// Before queries that are new each time.
const WARM_UP: Duration = Duration::from_secs(2);

/// A kind of search.
pub struct Load {
    /// Its name in reports.
    pub name: &'static str,
    /// What it is, for people.
    pub title: &'static str,
    /// Asked before anything is measured, each once …
    pub warm_up: Vec<String>,
    /// … at most so long.
    pub warm_up_max: Duration,
    /// Bodies of the requests to saturation.
    pub saturating: Vec<String>,
    /// Bodies of the requests at a fixed rate.
    pub paced: Vec<String>,
}

/// All that is measured, in this order. The queries that are new come last, for they would push known ones out of the cache.
pub fn all(corpus: &Corpus, collection: &str) -> Vec<Load> {
    let (known, new) = corpus.queries.split_at(KNOWN_QUERIES.min(corpus.queries.len()));
    let body =
        |query: &str, limit: usize| json!({"collection": collection, "query": query, "limit": limit}).to_string();
    let cached = varied(known, &|round: usize, query: &str, at: usize| body(query, (at + round) % VARIANTS + 1));
    let filtered = varied(known, &|round: usize, query: &str, at: usize| {
        let filter = json!({"shard": (at * 7 + round * 5) % SHARDS});
        json!({"collection": collection, "query": query, "limit": LIMIT, "filter": filter}).to_string()
    });
    let new = new.iter().map(|query| body(query, LIMIT)).collect();
    vec![
        Load::new("cached", "hybrid, the query's embedding in the cache", cached, KNOWN_QUERIES, KNOWING_MAX),
        Load::new(
            "filter-1%",
            "the same with a filter that 1% of the documents pass",
            filtered,
            KNOWN_QUERIES,
            KNOWING_MAX,
        ),
        Load::new("embedding", "hybrid, each query new and embedded by MiniLM", new, KNOWN_QUERIES / 2, WARM_UP),
    ]
}

/// Each query in each variant, of a query's place and a round; the same query comes again only after all others.
fn varied(queries: &[String], make: &dyn Fn(usize, &str, usize) -> String) -> Vec<String> {
    let rounds = 0..VARIANTS;
    rounds.flat_map(|round| queries.iter().enumerate().map(move |(at, query)| make(round, query, at))).collect()
}

impl Load {
    /// Of bodies that are all different: the first warm up, half of the others is for saturation, half for the fixed rate.
    fn new(
        name: &'static str,
        title: &'static str,
        mut bodies: Vec<String>,
        warm_up: usize,
        warm_up_max: Duration,
    ) -> Self {
        let mut rest = bodies.split_off(warm_up.min(bodies.len()));
        let paced = rest.split_off(rest.len() / 2);
        Self { name, title, warm_up: bodies, warm_up_max, saturating: rest, paced }
    }
}

/// The whole request of a body.
pub fn request(address: SocketAddr, body: &str) -> Vec<u8> {
    format!(
        "POST /api/v1/search HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {API_KEY}\r\nAccept: application/json\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Says what is wrong with an answer: another status, words only, or nothing found.
///
/// # Errors
/// What is wrong, in a few words that are the same for all such answers.
pub fn check(status: u16, body: &[u8]) -> Result<(), String> {
    if status != 200 {
        return Err(format!("status {status}"));
    }
    if !contains(body, br#""mode":"hybrid""#) {
        return Err("ranked by words only: the embedding model does not answer".to_owned());
    }
    if !contains(body, br#""results":[{"#) {
        return Err("nothing was found".to_owned());
    }
    Ok(())
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_request_is_sent_twice() {
        let queries = (0..KNOWN_QUERIES + 5_000).map(|number| format!("query {number}")).collect();
        let corpus = Corpus { name: String::new(), documents: Vec::new(), queries };
        let loads = all(&corpus, "col_1");
        for load in &loads {
            let bodies: Vec<&String> = load.warm_up.iter().chain(&load.saturating).chain(&load.paced).collect();
            let different: HashSet<&&String> = bodies.iter().collect();
            assert_eq!(different.len(), bodies.len(), "{}", load.name);
            assert!(load.saturating.len().abs_diff(load.paced.len()) <= 1, "{}", load.name);
        }
        assert_eq!(loads[0].warm_up.len() + loads[0].saturating.len() + loads[0].paced.len(), KNOWN_QUERIES * VARIANTS);
        let new: HashSet<&str> = loads[2].paced.iter().map(String::as_str).collect();
        assert!(new.contains(r#"{"collection":"col_1","query":"query 8999","limit":10}"#));
        assert!(!new.iter().any(|body| body.contains(r#""query 1""#)), "known queries are not new");
    }

    #[test]
    fn only_whole_hybrid_answers_pass() {
        let answer = br#"{"query":"q","mode":"hybrid","results":[{"passage_id":"1"}]}"#;
        assert!(check(200, answer).is_ok());
        assert!(check(429, answer).is_err());
        assert!(check(200, br#"{"mode":"text","results":[{"passage_id":"1"}]}"#).is_err());
        assert!(check(200, br#"{"mode":"hybrid","results":[]}"#).is_err());
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        assert!(request(address, "{}").ends_with(b"Content-Length: 2\r\n\r\n{}"));
    }
}
