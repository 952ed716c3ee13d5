//! Made documents: written straight into the tables, for embedding thousands would take minutes.

use plasma_kernel::{ChunkId, KnowledgeDocumentId};
use plasma_knowledge::{Collection, events};
use plasma_models::{EmbedRequest, Priority, Purpose};
use plasma_store::NewEvent;
use serde_json::json;

use crate::support::{Setup, long_text};

/// Vectors that lie as those of texts do: mixtures of real ones.
pub struct Mixer {
    real: Vec<Vec<f32>>,
    state: u64,
}

impl Mixer {
    pub async fn new(setup: &Setup, collection: &Collection) -> Self {
        let text = long_text(48);
        let inputs = text.split("# ").filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let model = Some(collection.embedding_model.clone());
        let request = EmbedRequest { model, inputs, purpose: Purpose::Ingest, priority: Priority::Ordinary };
        Self { real: setup.models.embed(&setup.ctx, request).await.unwrap().vectors, state: 88_172_645_463_325_252 }
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    fn vector(&mut self) -> Vec<f32> {
        let length = self.real.len() as u64;
        let (one, other) = ((self.next() % length) as usize, (self.next() % length) as usize);
        let share = (self.next() % 1_000) as f32 / 1_000.0;
        let mut mixed = Vec::new();
        for at in 0..self.real[one].len() {
            let noise = (self.next() % 1_000) as f32 / 1_000.0 - 0.5;
            mixed.push(share * self.real[one][at] + (1.0 - share) * self.real[other][at] + 0.03 * noise);
        }
        let length = mixed.iter().map(|number| number * number).sum::<f32>().sqrt();
        mixed.iter().map(|number| number / length).collect()
    }
}

/// Writes documents of ten passages each.
pub async fn fill(
    setup: &Setup,
    collection: &Collection,
    mixer: &mut Mixer,
    documents: usize,
) -> Vec<KnowledgeDocumentId> {
    let (id, ctx) = (collection.id, &setup.ctx);
    let tenant = ctx.tenant().unwrap();
    let mut written = Vec::new();
    for number in 0..documents {
        let document = KnowledgeDocumentId::new(ctx);
        let mut tx = setup.test.begin(ctx).await.unwrap();
        tx.execute(
            "INSERT INTO knowledge_documents (tenant_id, id, collection_id, version, live_version, state, passage_count,
                                              queued_at, created_at, updated_at)
             VALUES ($1, $2, $3, 1, 1, 'ready', 10, 0, 0, 0)",
            [tenant.into(), document.into(), id.into()],
        )
        .await
        .unwrap();
        let metadata = json!({"parity": if number % 2 == 0 { "even" } else { "odd" }}).to_string();
        tx.execute(
            "INSERT INTO knowledge_versions (tenant_id, document_id, version, collection_id, blob, title, title_is_guessed, media_type,
                                             size_bytes, metadata, created_at)
             VALUES ($1, $2, 1, $3, $4, 'made', 0, 'text/plain', 10, $5, 0)",
            [tenant.into(), document.into(), id.into(), document.to_string().into(), metadata.into()],
        )
        .await
        .unwrap();
        for ordinal in 0..10_i64 {
            let vector: Vec<u8> = mixer.vector().iter().flat_map(|number| number.to_le_bytes()).collect();
            let passage = ChunkId::new(ctx);
            tx.execute(
                "INSERT INTO passages (tenant_id, document_id, version, ordinal, id, start_offset, end_offset, word_count, token_count, text,
                                       embedding)
                 VALUES ($1, $2, 1, $3, $4, 0, 4, 2, 2, 'made passage', $5)",
                [tenant.into(), document.into(), ordinal.into(), passage.into(), vector.into()],
            )
            .await
            .unwrap();
        }
        tx.execute(
            "UPDATE collections SET document_count = document_count + 1, ready_count = ready_count + 1, passage_count = passage_count + 10
             WHERE tenant_id = $1 AND id = $2",
            [tenant.into(), id.into()],
        )
        .await
        .unwrap();
        let data = json!({"collection_id": id, "title": "made", "version": 1, "passages": 10});
        tx.emit(NewEvent::new(events::DOCUMENT_READY, document, data)).await.unwrap();
        tx.commit().await.unwrap();
        written.push(document);
    }
    written
}
