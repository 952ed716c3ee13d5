//! Text from passages: questions are answered, and drafts written, by a model that reads what search found.
//!
//! The text is only as good as its sources, so each of its statements is compared with the passages, and what they support is
//! cited with its exact place ([`Citation`]). When the collection has nothing on a question no model is asked.

mod attribution;
mod citer;
mod grounded;
mod marks;
mod prompt;
mod relevance;
mod sentences;
mod types;
mod words;

use futures::{StreamExt as _, stream};
use plasma_kernel::{Ctx, Error, Permission, Result};
use plasma_models::Purpose;
use tokio::time::Instant;

use crate::{Hit, Knowledge, SearchMode, SearchRequest};

pub use marks::without_marks;
pub use sentences::{Sentence, sentences};
pub use types::{
    AskDone, AskEvent, AskPassage, AskProgress, AskRequest, AskStage, AskStream, AskToken, AskUsage, Citation,
    GroundedRequest, Instructions,
};

/// Characters of a question.
pub const QUESTION_CHARS_MAX: usize = 2_000;
/// Passages in a prompt when the caller does not say: what a small model reads within some seconds on two cores.
pub const PASSAGES_DEFAULT: u32 = 3;
/// Passages in a prompt at most.
pub const PASSAGES_MAX: u32 = 8;
/// Tokens of an answer. The instructions ask for a few sentences.
const ANSWER_TOKENS_MAX: u32 = 400;
/// Answers repeat what passages say; invention is not wanted.
const ANSWER_TEMPERATURE: f32 = 0.0;

impl Knowledge {
    /// Answers a question from a collection. What happens comes as events, the last of which is `Done` or `Error`.
    /// Dropping the stream stops the model, and the call is recorded as cancelled.
    ///
    /// When no passage is relevant, no model is called: `Done` says so, with `call_id` `None`.
    ///
    /// # Errors
    /// At once: `forbidden` without `search:query` and `models:invoke`, `invalid` or `too_large` naming the field,
    /// `not_found` for the collection or the model, and what search answers.
    pub async fn ask(&self, ctx: &Ctx, request: AskRequest) -> Result<AskStream> {
        let question = check_question(&request.question)?;
        let search = SearchRequest {
            collection: request.collection,
            query: question.clone(),
            limit: Some(request.limit.unwrap_or(PASSAGES_DEFAULT)),
            filter: request.filter,
            mode: Some(SearchMode::Hybrid),
            // A question is no query: a sign in it is punctuation.
            plain: true,
            ..SearchRequest::default()
        };
        let request = GroundedRequest {
            instructions: Instructions::Answer,
            input: question,
            model: request.model,
            purpose: Purpose::Ask,
            max_tokens: ANSWER_TOKENS_MAX,
            temperature: ANSWER_TEMPERATURE,
        };
        self.grounded(ctx, search, request).await
    }

    /// Lets a model write a text from the relevant ones of the passages that `search` finds: at most its limit, 1 to 8.
    /// This is what questions and drafts share; events and errors are those of [`Knowledge::ask`].
    ///
    /// # Errors
    /// As [`Knowledge::ask`].
    pub async fn grounded(&self, ctx: &Ctx, search: SearchRequest, request: GroundedRequest) -> Result<AskStream> {
        ctx.require(Permission::SearchQuery)?;
        ctx.require(Permission::ModelsInvoke)?;
        let started = Instant::now();
        let (passages, progress) = self.relevant_passages(ctx, search).await?;
        let written = if passages.is_empty() {
            let done = nothing_found(request.instructions, started);
            stream::iter([AskEvent::Done(Box::new(done))]).boxed()
        } else {
            grounded::generate(self.models(), ctx, request, passages.clone(), started).await?
        };
        let found = passages.into_iter().map(AskEvent::Passage).chain([AskEvent::Progress(progress)]);
        Ok(stream::iter(found).chain(written).boxed())
    }

    /// What search finds and the question has to do with, best first, numbered from 1; and how to tell a person of it.
    async fn relevant_passages(&self, ctx: &Ctx, search: SearchRequest) -> Result<(Vec<AskPassage>, AskProgress)> {
        let limit = search.limit.unwrap_or(PASSAGES_DEFAULT);
        if !(1..=PASSAGES_MAX).contains(&limit) {
            return Err(Error::invalid("limit", format!("must be 1 to {PASSAGES_MAX}, got {limit}")));
        }
        let mut relevance = relevance::Relevance::new(&search.query);
        let answer = self.search(ctx, search).await?;
        let passages: Vec<AskPassage> = answer
            .results
            .into_iter()
            .filter(|hit| {
                let similarity = hit.why.vector.as_ref().map(|vector| f64::from(vector.similarity));
                let heading = hit.heading.as_deref().unwrap_or_default();
                relevance.is_relevant(similarity, [hit.title.as_str(), heading, hit.text.as_str()])
            })
            .zip(1..)
            .map(|(hit, number)| passage(hit, number))
            .collect();
        let progress = AskProgress {
            stage: AskStage::Retrieving,
            done: u64::try_from(passages.len()).ok(),
            total: Some(answer.total_passages),
            detail: format!("{} of {} passages fit", passages.len(), answer.total_passages),
        };
        Ok((passages, progress))
    }
}

fn check_question(question: &str) -> Result<String> {
    let question = question.trim();
    let characters = question.chars().count();
    if characters == 0 {
        return Err(Error::invalid("question", "is empty").remedy("write what you want to know"));
    }
    if characters > QUESTION_CHARS_MAX {
        let message = format!("has {characters} characters, the limit is {QUESTION_CHARS_MAX}");
        return Err(Error::too_large("question", message));
    }
    Ok(question.to_owned())
}

fn passage(hit: Hit, number: usize) -> AskPassage {
    AskPassage {
        number,
        passage_id: hit.passage_id,
        document_id: hit.document_id,
        collection_id: hit.collection_id,
        title: hit.title,
        heading: hit.heading,
        text: hit.text,
        start: hit.start,
        end: hit.end,
        score: hit.score,
    }
}

fn nothing_found(instructions: Instructions, started: Instant) -> AskDone {
    let answer = match instructions {
        Instructions::Answer => "This collection has nothing on this question.",
        Instructions::Draft => "This collection has nothing on this brief, so nothing was written.",
    };
    AskDone {
        answer: answer.to_owned(),
        call_id: None,
        model: None,
        usage: AskUsage::default(),
        cost: None,
        first_token_ms: None,
        duration_ms: grounded::elapsed_ms(started),
        finish_reason: "no_match".to_owned(),
        citations: Vec::new(),
    }
}
