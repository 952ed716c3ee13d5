#![doc = include_str!("../README.md")]

mod access;
mod add_document;
pub mod ask;
mod caches;
pub mod chunk;
mod collection_index;
mod collections;
mod documents;
mod embedding;
mod erase;
pub mod events;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
mod index;
mod ingest;
mod knowledge;
mod known_vectors;
pub mod limits;
mod metadata;
pub mod nodes;
pub mod parse;
mod people;
mod progress;
mod purge;
mod reembed;
mod search;
mod steps;
mod store;
mod synonyms;
mod types;
mod waiting;

pub use access::Access;
pub use collection_index::{CollectionIndex, CollectionIndexState, IndexBuild, IndexEffort, IndexRecall, RecallSource};
pub use http::routes;
pub use knowledge::Knowledge;
pub use metadata::{
    FieldDeclaration, FieldDeclarations, FieldType, GeoPoint, ListItem, Metadata, MetadataTime, MetadataValue,
};
pub use people::{People, Person};
pub use search::{
    Boosts, CandidateCounts, ComponentSource, Correction, Duplicate, Explanation, Facet, FacetValue, FieldScores,
    FilterExplanation, Fusion, FusionMethod, FusionSettings, Highlight, Hit, PopularitySettings, RankingSettings,
    RecencySettings, RerankReason, RerankSettings, ScoreComponent, SearchAnswer, SearchExplanation, SearchMode,
    SearchRequest, TermScore, TextReason, Took, TypoTolerance, VectorReason, Why,
};
pub use synonyms::{CollectionSynonyms, OneWaySynonyms, SynonymSets};
pub use types::{
    Collection, CollectionChange, Document, DocumentError, DocumentFile, DocumentProgress, DocumentState, DocumentText,
    IndexStatus, IngestProgress, KnowledgeCounts, NewCollection, NewContent, NewDocument, NewReembedding, PassageRange,
    Reembedding, ReembeddingState,
};
