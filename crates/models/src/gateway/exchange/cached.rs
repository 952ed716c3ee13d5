//! What the cache of answers has to do with an exchange: an answer is taken from it, waited for, or put into it.

use std::{sync::Arc, time::Duration};

use plasma_kernel::{Error, Result, Timestamp};
use plasma_protocols::chat::Answer;

use super::{Exchange, Whole};
use crate::{
    CacheHit, CacheKind, CacheMode,
    caches::{
        AnswerKey, Boarding, CachePolicy, CacheWish, CachedAnswer, Compared, Found, Lead, QuestionKey, ScopeKey,
        is_worth_keeping, pieces,
    },
    catalog::Target,
    gateway::attempt::{Opened, Source},
    running_call::Finished,
};

/// How long a caller waits for the answer to the same question of another. After that it asks the model itself.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// What the cache has to do with one exchange. By default nothing.
#[derive(Default)]
pub(super) struct CacheUse {
    /// For the answer's header.
    line: Option<String>,
    filling: Option<Filling>,
}

/// An answer that is to be kept when it is complete.
struct Filling {
    policy: CachePolicy,
    question: QuestionKey,
    begun_at: Timestamp,
    /// Others may be waiting for it.
    lead: Option<Lead>,
    /// Where it is found by similarity, for the candidate that is asked first.
    similar: Option<(ScopeKey, Compared)>,
}

impl Exchange {
    /// `hit`, `semantic` or `miss` with what is to be said of it; `None` where the cache had nothing to do with the answer.
    pub(crate) fn cache_line(&self) -> Option<&str> {
        self.cache.line.as_deref()
    }

    /// The answer of an earlier call or of one under way, where the caller may have it. Else the model is to be asked, and its
    /// answer kept where that is wanted.
    pub(super) async fn take_from_cache(&mut self) -> Result<Option<Opened>> {
        let Some((policy, question)) = self.cache_policy().await? else { return Ok(None) };
        // Boxed: most calls have nothing to do with it and must not carry its weight.
        match Box::pin(self.look_up(policy, question)).await {
            Some(found) => self.give_again(&found).map(Some),
            None => Ok(None),
        }
    }

    async fn look_up(&mut self, policy: CachePolicy, question: QuestionKey) -> Option<Found> {
        let target = self.plan.candidates.first()?;
        if let Target::Remote(remote) = target {
            let route = self.plan.decision.as_ref().map(|decision| decision.route.as_str());
            // A caller whose budget would not cover the question gets no answer, also not one that costs nothing. The usual
            // way says so, or asks a cheaper candidate.
            if self.models.check_covered(&self.ctx, &self.question, remote, route).await.is_err() {
                return None;
            }
        }
        let key = question.to(target);
        let mut filling = Filling { policy, question, begun_at: self.ctx.now(), lead: None, similar: None };
        if self.question.cache == CacheWish::Use {
            if let Some(found) = self.kept(&key, &policy) {
                return Some(found);
            }
            match self.models.inner.caches.flights.board(key, WAIT_MAX).await {
                // The one that led may have asked by another route.
                Boarding::Found(found) if policy.allows(&found, self.ctx.now()) => return Some(found),
                Boarding::Found(_) | Boarding::Alone => {}
                Boarding::Leads(lead) => {
                    // Another may have brought the answer between our look and our lead.
                    if let Some(found) = self.kept(&key, &policy) {
                        return Some(found);
                    }
                    filling.similar = self.last_message(&filling).await;
                    if let Some(found) = self.similar(&filling) {
                        lead.land(found.clone());
                        return Some(found);
                    }
                    filling.lead = Some(lead);
                }
            }
        }
        self.cache = CacheUse { line: Some("miss".to_owned()), filling: Some(filling) };
        if let Some(call) = self.call.as_mut() {
            call.keep_answer();
        }
        None
    }

    /// How the cache works for this question, and by what it is known there. `None` where it does not.
    async fn cache_policy(&self) -> Result<Option<(CachePolicy, QuestionKey)>> {
        if self.question.cache == CacheWish::Refuse || self.question.protocol().is_none() {
            return Ok(None);
        }
        let state = match self.plan.policy.cache {
            Some(rule) if rule.mode == CacheMode::Off => return Ok(None),
            _ => self.models.known_cache_state(&self.ctx).await?,
        };
        let rule = self.plan.policy.cache.unwrap_or_else(|| state.settings.for_named_models());
        if rule.mode == CacheMode::Off {
            return Ok(None);
        }
        let answer_bytes_max = state.settings.answer_bytes_max;
        let policy = CachePolicy { rule, answer_bytes_max, purged_at: state.purged_at };
        let question = QuestionKey::of(self.ctx.tenant()?, &self.question, &rule);
        Ok(question.map(|question| (policy, question)))
    }

    /// The answer to the same question.
    fn kept(&self, key: &AnswerKey, policy: &CachePolicy) -> Option<Found> {
        let kept = self.fresh(key, policy)?;
        Some(Found { kept, similarity: None })
    }

    fn fresh(&self, key: &AnswerKey, policy: &CachePolicy) -> Option<Arc<CachedAnswer>> {
        let answers = &self.models.inner.caches.answers;
        let kept = answers.get(key)?;
        if policy.is_fresh(kept.begun_at, self.ctx.now()) {
            return Some(kept);
        }
        // Another route may allow it a longer time, but what one has found too old is not worth its memory.
        answers.remove(key);
        None
    }

    /// The question's last message, ready to be compared, where the route compares them.
    async fn last_message(&self, filling: &Filling) -> Option<(ScopeKey, Compared)> {
        if filling.policy.rule.mode != CacheMode::Semantic {
            return None;
        }
        let (scope, text) = filling.question.scope(self.plan.candidates.first()?)?;
        Some((scope, self.models.message_to_compare(text).await?))
    }

    /// The answer to the most similar question whose answer is still there.
    fn similar(&self, filling: &Filling) -> Option<Found> {
        let (scope, message) = filling.similar.as_ref()?;
        let similar = self.models.inner.caches.similar.find(scope, message, filling.policy.rule.least_similarity());
        similar.into_iter().find_map(|(key, similarity)| {
            let kept = self.fresh(&key, &filling.policy)?;
            Some(Found { kept, similarity: Some(similarity) })
        })
    }

    /// Answers with what was found. The call costs nothing.
    fn give_again(&mut self, found: &Found) -> Result<Opened> {
        let (Some(target), Some(call)) = (self.plan.candidates.first(), self.call.as_mut()) else {
            return Err(Error::internal("an attempt without a candidate"));
        };
        let kept = &found.kept;
        let age_seconds = self.ctx.now().saturating_sub(kept.begun_at).max(0).unsigned_abs() / 1_000_000;
        let (kind, line) = match found.similarity {
            None => (CacheKind::Exact, format!("hit; age={age_seconds}")),
            Some(similarity) => {
                (CacheKind::Semantic, format!("semantic; similarity={similarity:.3}; age={age_seconds}"))
            }
        };
        let start = target.call_start(self.question.purpose, self.question.streamed);
        self.model.clone_from(&start.model);
        call.goes_to(start);
        call.answered_by_cache(CacheHit {
            kind,
            call_id: kept.call_id,
            similarity: found.similarity,
            age_seconds,
            saved: kept.cost.clone(),
            texts: None,
        });
        self.cache = CacheUse { line: Some(line), filling: None };
        let mut answer = kept.answer.clone();
        answer.model.clone_from(&self.model);
        // For the payload, where the workspace keeps answers.
        call.has_whole(&answer);
        if self.question.streamed {
            return Ok(Opened::Source(Source::Cached(pieces(answer).into_iter()), Vec::new()));
        }
        Ok(Opened::Whole(Whole::Translated(answer)))
    }

    /// Keeps an answer whose call is recorded, and gives it to those who wait for it.
    pub(super) fn fill_cache(&mut self, answer: Option<&Answer>, finished: &Finished) {
        let Some(filling) = self.cache.filling.take() else { return };
        let Some(target) = self.plan.candidates.get(self.next_place) else { return };
        let Filling { policy, question, begun_at, lead, similar } = filling;
        let kept = answer
            .filter(|answer| is_worth_keeping(answer, question.limited))
            .map(|answer| CachedAnswer::new(answer.clone(), self.call_id, begun_at, finished.cost.clone()))
            .filter(|kept| kept.bytes() as u64 <= policy.answer_bytes_max);
        let Some(kept) = kept.map(Arc::new) else {
            if let Some(lead) = lead {
                lead.land_alone();
            }
            return;
        };
        let caches = &self.models.inner.caches;
        let key = question.to(target);
        caches.answers.put([(key, kept.clone())]);
        // The scope belongs to the first candidate.
        if let Some((scope, message)) = similar.filter(|_| self.next_place == 0) {
            caches.similar.add(scope, &message, key);
        }
        if let Some(lead) = lead {
            lead.land(Found { kept, similarity: None });
        }
    }
}
