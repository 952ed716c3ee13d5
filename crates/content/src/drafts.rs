use futures::{StreamExt as _, stream::BoxStream};
use plasma_kernel::{Ctx, Error, Permission, Result};
use plasma_knowledge::{
    SearchMode, SearchRequest,
    ask::{AskDone, AskEvent, AskPassage, AskStream, GroundedRequest, Instructions},
};
use plasma_models::Purpose;

use crate::{
    Content, Document, DraftRequest, RevisionKind, Text,
    documents::FirstRevision,
    draft_text,
    limits::{check_brief, check_text, check_title},
};

/// Passages that a draft is based on.
const PASSAGES: u32 = 4;
/// Tokens of a draft: about 650 words, half a minute to a minute on two cores.
const DRAFT_TOKENS_MAX: u32 = 900;
/// A little freedom in the wording.
const DRAFT_TEMPERATURE: f32 = 0.3;
/// Characters of title and brief that search gets: an embedding model reads no more.
const QUERY_CHARS_MAX: usize = 1_000;

/// What happens while a draft is written.
#[derive(Debug)]
pub enum DraftEvent {
    /// As for a question. `Done` or `Error` is the last.
    Writing(AskEvent),
    /// The document has been stored. `Done` follows.
    Document(Box<Document>),
}

/// The events of one draft. Dropping it before the document is stored stops the model and stores nothing.
pub type DraftStream = BoxStream<'static, DraftEvent>;

impl Content {
    /// Lets a model write a document for a brief from a collection's passages. When the text is complete the document is
    /// stored with its citations and the model call, in one transaction.
    ///
    /// When no passage is relevant no model is called and nothing is stored: `Done` says so.
    ///
    /// # Errors
    /// At once: `forbidden` without `content:write`, `search:query` and `models:invoke`; `invalid` or `too_large` naming
    /// the field; `not_found` for the collection or the model. What goes wrong later is the last event.
    pub async fn draft(&self, ctx: &Ctx, request: DraftRequest) -> Result<DraftStream> {
        ctx.require(Permission::ContentWrite)?;
        ctx.require(Permission::SearchQuery)?;
        ctx.require(Permission::ModelsInvoke)?;
        let brief = check_brief(&request.brief)?;
        let title = request.title.as_deref().map(check_title).transpose()?;
        let query = [title.as_deref().unwrap_or_default(), &brief].join(" ");
        let search = SearchRequest {
            collection: request.collection,
            query: query.trim().chars().take(QUERY_CHARS_MAX).collect(),
            limit: Some(PASSAGES),
            mode: Some(SearchMode::Hybrid),
            // A brief is no query: a sign in it is punctuation.
            plain: true,
            ..SearchRequest::default()
        };
        let text = GroundedRequest {
            instructions: Instructions::Draft,
            input: brief.clone(),
            model: request.model,
            purpose: Purpose::Draft,
            max_tokens: DRAFT_TOKENS_MAX,
            temperature: DRAFT_TEMPERATURE,
        };
        let drafting = Drafting {
            events: self.knowledge.grounded(ctx, search, text).await?,
            content: self.clone(),
            ctx: ctx.clone(),
            brief,
            title,
            passages: Vec::new(),
            done: None,
        };
        let events = futures::stream::unfold(drafting, |mut drafting| async move {
            let event = drafting.next().await?;
            Some((event, drafting))
        });
        Ok(events.boxed())
    }
}

/// A draft that is being written.
struct Drafting {
    events: AskStream,
    content: Content,
    ctx: Ctx,
    brief: String,
    title: Option<String>,
    passages: Vec<AskPassage>,
    /// Told after the document.
    done: Option<Box<AskDone>>,
}

impl Drafting {
    async fn next(&mut self) -> Option<DraftEvent> {
        if let Some(done) = self.done.take() {
            return Some(DraftEvent::Writing(AskEvent::Done(done)));
        }
        let event = match self.events.next().await? {
            AskEvent::Done(done) if done.call_id.is_some() => match self.store(&done).await {
                Ok(document) => {
                    self.done = Some(done);
                    return Some(DraftEvent::Document(Box::new(document)));
                }
                Err(error) => AskEvent::Error(error),
            },
            AskEvent::Passage(passage) => {
                self.passages.push(passage.clone());
                AskEvent::Passage(passage)
            }
            event => event,
        };
        Some(DraftEvent::Writing(event))
    }

    async fn store(&mut self, done: &AskDone) -> Result<Document> {
        let draft = draft_text::split(&done.answer, self.title.clone(), &self.brief);
        if draft.body.is_empty() {
            return Err(Error::unavailable("model_wrote_nothing", "the model wrote no text for this brief")
                .remedy("say more in the brief, or choose another model"));
        }
        let citations = draft_text::body_citations(&draft, &done.citations, &self.passages);
        let first = FirstRevision {
            text: check_text(Text { title: draft.title, body: draft.body })?,
            kind: RevisionKind::Generated,
            brief: Some(self.brief.clone()),
            collection: self.passages.first().map(|passage| passage.collection_id),
            call: done.call_id,
            citations,
        };
        self.content.insert(&self.ctx, first).await
    }
}
