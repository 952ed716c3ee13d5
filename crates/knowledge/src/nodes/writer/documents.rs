//! Documents: read from SQL as they are now, and written to every shard of this node that they belong to.

use std::collections::{BTreeMap, BTreeSet};

use plasma_kernel::{CollectionId, KnowledgeDocumentId, Result, TenantId};
use plasma_store::{
    Event, Tx,
    search_node::{CopiedPage, NodeDocument, NodePassage, ShardState, ShardTable, UNINDEXED_PASSAGES_MAX},
};

use super::Session;
use crate::{
    events,
    index::low_bits,
    nodes::placement::{PlacedCollection, shard_of},
    store::{
        passages::{self, PassageVector},
        placements, versions,
    },
};

/// Vectors read at once: some megabytes.
const VECTORS_PAGE: u32 = 1_000;
/// Passages that are gathered before they are written.
const GATHERED_MAX: usize = 2_000;

/// Documents for shards.
type Gathered = BTreeMap<ShardTable, Vec<NodeDocument>>;

impl Session {
    /// Brings the node to the state behind these events.
    pub(super) async fn apply(&mut self, events: &[Event]) -> Result<()> {
        let Some(last) = events.last().map(|event| event.position) else { return Ok(()) };
        let mut changed: BTreeSet<(TenantId, CollectionId, KnowledgeDocumentId)> = BTreeSet::new();
        for event in events {
            let Some(tenant) = event.tenant.filter(|_| event.kind.starts_with("knowledge.")) else { continue };
            // Placements, dimensions and what was deleted are looked at anew.
            self.is_stale |= matches!(event.kind.as_str(), events::COLLECTION_PLACED | events::COLLECTION_DELETED);
            if !matches!(event.kind.as_str(), events::DOCUMENT_READY | events::DOCUMENT_DELETED) {
                continue;
            }
            let collection = event.data.get("collection_id").and_then(|id| id.as_str()).and_then(|id| id.parse().ok());
            let Some((collection, document)) = collection.zip(event.subject.parse().ok()) else { continue };
            changed.insert((tenant, collection, document));
        }
        let mut gathered = Gathered::new();
        let mut passages = 0;
        for (tenant, collection, document) in changed {
            let tables = self.tables_of(collection, document);
            let Some((last_table, others)) = tables.split_last() else { continue };
            let dimensions = self.placed.get(&collection).and_then(|placed| placed.dimensions);
            let node_document = self.read_document(tenant, collection, document, dimensions).await?;
            passages += node_document.passages.len();
            for table in others {
                gathered.entry(*table).or_default().push(node_document.clone());
            }
            gathered.entry(*last_table).or_default().push(node_document);
            if passages >= GATHERED_MAX {
                self.write_gathered(std::mem::take(&mut gathered), None).await?;
                passages = 0;
            }
        }
        self.write_gathered(gathered, Some(last)).await?;
        self.position = last;
        Ok(())
    }

    /// The shards of this node that a document belongs to. A shard that should be there and is not lets placements be looked at.
    fn tables_of(&mut self, collection: CollectionId, document: KnowledgeDocumentId) -> Vec<ShardTable> {
        let Some(placed) = self.placed.get(&collection) else { return Vec::new() };
        let name = self.node.database.name();
        let mut tables = Vec::new();
        for place in placed.placement.places() {
            let number = shard_of(low_bits(document), place.split);
            let is_here = place.shards().any(|(shard, node)| shard == number && node == name);
            if !is_here {
                continue;
            }
            let table = ShardTable::new(collection, place.generation, number);
            match self.shards.get(&table).map(|row| row.state) {
                Some(ShardState::Failed) => {}
                Some(_) => tables.push(table),
                // Its vectors' length was not known before the first document.
                None => self.is_stale = true,
            }
        }
        tables
    }

    async fn write_gathered(
        &mut self,
        gathered: Gathered,
        position: Option<plasma_store::EventPosition>,
    ) -> Result<()> {
        let changes: Vec<(ShardTable, Vec<NodeDocument>)> = gathered.into_iter().collect();
        let failed = self.writer.write(&changes, position, self.ctx.now()).await?;
        for (table, reason) in failed {
            tracing::warn!(shard = %table, node = self.node.database.name(), reason, "writing to a shard failed; it will be made anew");
            if let Some(row) = self.shards.get_mut(&table) {
                row.state = ShardState::Failed;
            }
            self.is_stale = true;
        }
        Ok(())
    }

    async fn read_document(
        &mut self,
        tenant: TenantId,
        collection: CollectionId,
        document: KnowledgeDocumentId,
        dimensions: Option<usize>,
    ) -> Result<NodeDocument> {
        let ctx = self.ctx.for_tenant(tenant, "knowledge.nodes");
        let mut tx = self.store.read(&ctx).await?;
        let mut live = versions::live(&mut tx, collection, document).await?;
        while let Some(version) = live {
            let vectors = read_vectors(&mut tx, document, version.version).await?;
            live = versions::live(&mut tx, collection, document).await?;
            // Passages of a version are only removed after it was replaced: they are complete if it still is the one.
            if live.as_ref().is_some_and(|live| live.version == version.version) {
                return Ok(NodeDocument {
                    low: low_bits(document),
                    version: Some(version.version),
                    passages: vectors.into_iter().map(|vector| node_passage(vector, dimensions)).collect(),
                });
            }
        }
        Ok(NodeDocument { low: low_bits(document), version: None, passages: Vec::new() })
    }

    /// Copies a page of a collection to all of its shards here that are at the same place of their copies; `false` when nothing is to be
    /// copied.
    pub(super) async fn copy_page(&mut self) -> Result<bool> {
        let Some(first) = self.shards.values().find(|row| self.is_copied(row)).cloned() else { return Ok(false) };
        let (collection, generation) = (first.table.collection, first.table.generation);
        let Some(placed) = self.placed.get(&collection).cloned() else { return Ok(false) };
        let group: Vec<ShardTable> = self
            .shards
            .values()
            .filter(|row| self.is_copied(row) && row.copied_after == first.copied_after)
            .map(|row| row.table)
            .filter(|table| table.collection == collection && table.generation == generation)
            .collect();
        let after = first.copied_after.and_then(|(document, ordinal)| Some((document.parse().ok()?, ordinal)));
        let ctx = self.ctx.for_tenant(first.tenant, "knowledge.nodes");
        let mut tx = self.store.read(&ctx).await?;
        let page = passages::vectors_of_collection(&mut tx, collection, after, VECTORS_PAGE).await?;
        drop(tx);
        match page.last() {
            Some(last) => {
                let last = (last.document.to_string(), last.ordinal);
                let page = copied_page(&placed, &group, page, last);
                self.writer.copy(&page).await?;
            }
            None => self.end_copy(&group).await?,
        }
        self.read_shards().await?;
        Ok(true)
    }

    fn is_copied(&self, row: &plasma_store::search_node::ShardRow) -> bool {
        row.state == ShardState::Copying && self.placed.contains_key(&row.table.collection)
    }

    async fn end_copy(&mut self, group: &[ShardTable]) -> Result<()> {
        for table in group {
            let passages = self.shards.get(table).map_or(0, |row| row.passages);
            let state = if passages > UNINDEXED_PASSAGES_MAX { ShardState::Indexing } else { ShardState::Ready };
            self.writer.set_state(*table, state, None).await?;
            tracing::info!(shard = %table, node = self.node.database.name(), passages, "a shard has all passages");
        }
        Ok(())
    }
}

async fn read_vectors(tx: &mut Tx, document: KnowledgeDocumentId, version: u32) -> Result<Vec<PassageVector>> {
    let mut all = Vec::new();
    loop {
        let from = u32::try_from(all.len()).unwrap_or(u32::MAX);
        let page = placements::vectors_of_version(tx, document, version, from, VECTORS_PAGE).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

/// What belongs into each shard of the group.
fn copied_page(
    placed: &PlacedCollection,
    group: &[ShardTable],
    page: Vec<PassageVector>,
    last: (String, u32),
) -> CopiedPage {
    let read = page.len() as u64;
    // A shard of which nothing is on the page still has to know how far its copy is.
    let mut shards: Gathered = group.iter().map(|table| (*table, Vec::new())).collect();
    let generation = group.first().map(|table| table.generation);
    let place = placed.placement.places().find(|place| Some(place.generation) == generation);
    let split = place.map_or(1, |place| place.split);
    for passage in page {
        let number = shard_of(low_bits(passage.document), split);
        let Some((_, documents)) = shards.iter_mut().find(|(table, _)| table.number == number) else { continue };
        let (low, version) = (low_bits(passage.document), Some(passage.version));
        let passage = node_passage(passage, placed.dimensions);
        match documents.last_mut() {
            Some(document) if document.low == low && document.version == version => document.passages.push(passage),
            _ => documents.push(NodeDocument { low, version, passages: vec![passage] }),
        }
    }
    CopiedPage { last, read, shards: shards.into_iter().collect() }
}

/// A vector that is all zeros, or that is not like the others, is near to nothing: it is only counted.
fn node_passage(passage: PassageVector, dimensions: Option<usize>) -> NodePassage {
    let vector = passage.embedding;
    let is_searchable = dimensions == Some(vector.len()) && vector.iter().all(|number| number.is_finite());
    NodePassage { ordinal: passage.ordinal, vector: if is_searchable { vector } else { Vec::new() } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nodes::placement::{Place, Placement};

    #[test]
    fn a_page_is_dealt_to_the_shards_that_are_copied() {
        let collection = CollectionId::from_bits(9);
        let mut placement = Placement::in_process();
        placement.serving = Place { generation: 3, nodes: vec!["a".to_owned(), "b".to_owned()], split: 2 };
        let placed = PlacedCollection {
            tenant: TenantId::from_bits(1),
            collection,
            dimensions: Some(2),
            vectors: 0,
            recall_target: 0.99,
            placement,
        };
        let passage = |document: u128, ordinal: u32, embedding: Vec<f32>| PassageVector {
            document: KnowledgeDocumentId::from_bits(document),
            version: 1,
            ordinal,
            embedding,
        };
        let page = vec![
            passage(1, 0, vec![1.0, 0.0]),
            passage(1, 1, vec![1.0]),
            passage(2, 0, vec![0.0, 1.0]),
            passage(3, 0, vec![f32::NAN, 1.0]),
        ];
        let ours = ShardTable::new(collection, 3, 1);
        let copied = copied_page(&placed, &[ours], page, ("kdoc_x".to_owned(), 0));
        assert_eq!((copied.read, copied.shards.len()), (4, 1));
        let (table, documents) = &copied.shards[0];
        assert_eq!((*table, documents.len()), (ours, 2));
        let lengths: Vec<Vec<usize>> = documents
            .iter()
            .map(|document| document.passages.iter().map(|passage| passage.vector.len()).collect())
            .collect();
        assert_eq!(lengths, [vec![2, 0], vec![0]]);
    }
}
