//! What a caller may bring, in one place. Limits of parsing are in [`crate::parse::Limits`].

use std::time::Duration;

/// Collections of a tenant.
pub const COLLECTIONS_MAX: u64 = 10_000;
/// Characters of a collection's name.
pub const COLLECTION_NAME_CHARS_MAX: usize = 200;
/// Characters of a collection's description.
pub const COLLECTION_DESCRIPTION_CHARS_MAX: usize = 2_000;
/// The least recall that a collection may ask for.
pub const RECALL_TARGET_MIN: f64 = 0.8;
/// The most: beyond it a measurement of some hundred queries says nothing.
pub const RECALL_TARGET_MAX: f64 = 0.999;
/// What a collection gets that does not ask.
pub const RECALL_TARGET_DEFAULT: f64 = 0.99;
/// Documents of a collection: what a process with some gigabytes of memory can list, for a search needs each document's title and
/// fields (about 300 bytes) and the codes of its vectors (250 bytes a passage) in memory. Texts and vectors stay on disk.
pub const DOCUMENTS_MAX: u64 = 10_000_000;
/// Bytes of an uploaded file or of a text in a request: 25 MiB.
pub const FILE_BYTES_MAX: usize = 25 * 1024 * 1024;
/// Bytes of a whole upload request: the file, its form fields and JSON's escapes.
pub const UPLOAD_BYTES_MAX: usize = FILE_BYTES_MAX + FILE_BYTES_MAX / 4;
/// Characters of a document's title.
pub const TITLE_CHARS_MAX: usize = 500;
/// Characters of a caller's key for a document.
pub const KEY_CHARS_MAX: usize = 200;
/// Characters of a file name that are kept; longer ones lose their middle.
pub const FILE_NAME_CHARS_MAX: usize = 200;
/// Fields of a document's metadata.
pub const METADATA_FIELDS_MAX: usize = 32;
/// Characters of a metadata field's name.
pub const METADATA_NAME_CHARS_MAX: usize = 100;
/// Characters of a metadata text.
pub const METADATA_TEXT_CHARS_MAX: usize = 1_000;
/// Entries of a metadata list.
pub const METADATA_LIST_MAX: usize = 100;
/// Metadata fields of which a collection declares the type.
pub const DECLARED_FIELDS_MAX: usize = 64;
/// People and teams to which a document is restricted.
pub const ACCESS_ENTRIES_MAX: usize = 1_000;
/// Passages of a document. A 1,500-page book has about 5,000.
pub const PASSAGES_MAX: usize = 50_000;
/// How long one document may be parsed. The parsers are bounded by size; this catches what they do not.
pub const PARSE_TIME_MAX: Duration = Duration::from_secs(120);
/// Characters of a model's name.
pub const MODEL_NAME_CHARS_MAX: usize = 400;
/// Numbers in a vector.
pub const DIMENSIONS_MAX: usize = 4_096;

/// Characters of a search's query.
pub const QUERY_CHARS_MAX: usize = 8_000;
/// Different words of a query that the text index is asked for; further ones only count for the meaning.
pub const QUERY_WORDS_MAX: usize = 64;
/// Words `word*` of a query that are expanded.
pub const PREFIXES_MAX: usize = 8;
/// Words of a collection that `word*` stands for: those in the most passages.
pub const PREFIX_WORDS_MAX: usize = 64;
/// Mistyped words of a query that are corrected.
pub const TYPOS_MAX: usize = 8;
/// Words of a collection that a mistyped word is taken for.
pub const TYPO_WORDS_MAX: usize = 50;
/// Languages of a collection that a query is asked in: those of the most passages.
pub const QUERY_LANGUAGES_MAX: usize = 6;
/// Sets and one-way rules of synonyms of a collection.
pub const SYNONYM_SETS_MAX: usize = 1_000;
/// Words or phrases of a set of synonyms.
pub const SYNONYM_TERMS_MAX: usize = 20;
/// Characters of a synonym.
pub const SYNONYM_CHARS_MAX: usize = 100;
/// Words of a synonym.
pub const SYNONYM_WORDS_MAX: usize = 8;
/// Synonyms that a query is asked with.
pub const QUERY_SYNONYMS_MAX: usize = 100;
/// Metadata fields of a search whose values are counted.
pub const FACETS_MAX: usize = 10;
/// Values of a counted field that are shown: the most frequent ones.
pub const FACET_VALUES_MAX: usize = 100;
/// Highest factor of a field's words.
pub const BOOST_MAX: f32 = 10.0;
/// Results of a search.
pub const RESULTS_MAX: u32 = 100;
/// How deep a filter's `and`, `or` and `not` stand inside each other.
pub const FILTER_DEPTH_MAX: usize = 8;
/// Conditions of a filter, in all of its parts.
pub const FILTER_CONDITIONS_MAX: usize = 256;
/// Values of a filter's lists, together.
pub const FILTER_VALUES_MAX: usize = 1_000;
/// Highlighted words of one result.
pub const HIGHLIGHTS_MAX: usize = 200;

/// Bytes of collections (titles and fields of documents, codes of vectors) that a process keeps in memory: those not searched
/// for the longest time make room. One collection that is larger than this is still loaded, alone.
pub const MEMORY_BYTES_MAX: usize = 4 * 1024 * 1024 * 1024;
/// Bytes of passages' texts that a process remembers from recent results: 256 MiB.
pub const PASSAGE_CACHE_BYTES: u64 = 256 * 1024 * 1024;
/// How long a search waits until the index has taken up what this process has just committed.
pub const FRESHNESS_WAIT_MAX: Duration = Duration::from_secs(2);

/// The weight of a half of a hybrid search, or of a signal.
pub const RANKING_WEIGHT_MAX: f64 = 10.0;
/// `k` of reciprocal rank fusion.
pub const FUSION_K_MAX: u32 = 1_000;
/// Candidates that a reranker reads.
pub const RERANK_TOP_MAX: u32 = 100;
/// Days after which a document counts half as new.
pub const HALF_LIFE_DAYS_MIN: f64 = 0.01;
/// The same at most: a hundred years.
pub const HALF_LIFE_DAYS_MAX: f64 = 36_500.0;
/// Near-identical passages that are named with a result.
pub const DUPLICATES_MAX: usize = 20;
/// How long a search waits for a reranker before it goes on without.
pub const RERANK_WAIT_MAX: Duration = Duration::from_secs(10);
/// Bytes of answers to searches that a process remembers.
pub const RESULT_CACHE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How long an answer is remembered, as long as its collection does not change.
pub const RESULT_CACHE_AGE_MAX: Duration = Duration::from_secs(60);

/// Search nodes of one collection.
pub const PLACEMENT_NODES_MAX: usize = 16;
/// Parts into which a collection is split over search nodes.
pub const PLACEMENT_SPLIT_MAX: u32 = 64;
/// How long a search waits for search nodes. What has not answered by then is reported as failed.
pub const NODES_WAIT_MAX: Duration = Duration::from_secs(2);
/// Connections of a process to each database of a search node.
pub const NODE_CONNECTIONS_MAX: u32 = 8;
