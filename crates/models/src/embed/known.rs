//! What the cache has to do with an embedding: which texts are known, who asks for the others, and what is kept.

use std::{collections::HashMap, sync::Arc, time::Duration};

use plasma_kernel::{CallId, Code, Ctx, Error, Result, Timestamp};
use tokio::time::Instant;

use crate::{
    CacheHit, CacheKind, Models, TextHits,
    caches::{
        AnswerKey, CacheWish, Caches, Follow, Followed, Joined, KeptVector, Lead, VectorMaker, VectorOrigin, cost_of,
        tokens_of,
    },
    running_call::{CallError, Finished, RunningCall},
};

/// How long a caller waits for others that ask for the same texts. After that it asks for them itself.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A text's vector, when it is known.
type Known = Option<Arc<KeptVector>>;
/// Texts for which others may wait, by their places.
type Leads = HashMap<usize, Lead<Arc<KeptVector>>>;
/// Texts for which others are asking, with their places.
type Follows = Vec<(usize, Follow<Arc<KeptVector>>)>;

/// The texts of one request, and what is known of them. While it lives, others may wait for the texts that it asks for.
pub(super) struct Lookup {
    /// By what each text is known; `None` where the cache has nothing to do with the request.
    keys: Option<Vec<AnswerKey>>,
    /// The vector of each text.
    known: Vec<Known>,
    /// Bytes of each text.
    lengths: Vec<usize>,
    leads: Leads,
    begun_at: Timestamp,
    /// What is older is not given any more.
    purged_at: Timestamp,
}

impl Models {
    /// Looks texts up and waits, up to 60 s, where others are asking for all that is not known. What is still missing then is to
    /// be asked of the model.
    ///
    /// # Errors
    /// `unavailable` or `internal` from the database, where the cache's settings are not in memory.
    pub(super) async fn look_up_texts(
        &self,
        ctx: &Ctx,
        maker: VectorMaker,
        texts: &[String],
        wish: CacheWish,
    ) -> Result<Lookup> {
        let mut lookup = Lookup::outside_cache(ctx, texts);
        if wish == CacheWish::Refuse {
            return Ok(lookup);
        }
        let state = self.known_cache_state(ctx).await?;
        if !state.settings.embeddings {
            return Ok(lookup);
        }
        let tenant = ctx.tenant()?;
        lookup.purged_at = state.purged_at;
        lookup.keys = Some(texts.iter().map(|text| maker.key(tenant, text)).collect());
        if wish == CacheWish::Use {
            lookup.find_or_wait(&self.inner.caches).await;
        }
        Ok(lookup)
    }

    /// Ends a call well and keeps its vectors: those of all texts, or none where they cannot be read. `waits`: for its record.
    /// Returns what the answer's header says of the cache, too.
    ///
    /// # Errors
    /// As [`RunningCall::succeed`].
    pub(super) async fn finish_embedding(
        &self,
        ctx: &Ctx,
        mut call: RunningCall,
        lookup: Lookup,
        vectors: &[Vec<f32>],
        waits: bool,
    ) -> Result<(Finished, Option<String>), CallError> {
        let call_id = call.id();
        let hit = lookup.hit(ctx.now());
        let line = lookup.line(hit.as_ref());
        if let Some(hit) = hit {
            call.answered_by_cache(hit);
        }
        let finished = if waits {
            call.succeed().await.map_err(|error| CallError { call_id: Some(call_id), error })?
        } else {
            call.succeed_without_waiting()
        };
        lookup.keep(&self.inner.caches, call_id, &finished, vectors);
        Ok((finished, line))
    }
}

impl Lookup {
    /// Nothing is known, and nothing will be kept.
    pub(super) fn outside_cache(ctx: &Ctx, texts: &[String]) -> Self {
        Self {
            keys: None,
            known: vec![None; texts.len()],
            lengths: texts.iter().map(String::len).collect(),
            leads: Leads::new(),
            begun_at: ctx.now(),
            purged_at: 0,
        }
    }

    /// Whether new vectors will be kept.
    pub(super) fn keeps(&self) -> bool {
        self.keys.is_some()
    }

    /// How many texts the model is to be asked for.
    pub(super) fn missing(&self) -> usize {
        self.known.iter().filter(|known| known.is_none()).count()
    }

    /// How many texts are known.
    pub(super) fn found(&self) -> usize {
        self.known.len() - self.missing()
    }

    /// Of the request's texts those that the model is to be asked for.
    pub(super) fn missing_of(&self, texts: Vec<String>) -> Vec<String> {
        texts.into_iter().zip(&self.known).filter(|(_, known)| known.is_none()).map(|(text, _)| text).collect()
    }

    /// Tokens that the known texts took the first time.
    pub(super) fn known_tokens(&self) -> u64 {
        tokens_of(&self.known_vectors())
    }

    fn known_vectors(&self) -> Vec<&KeptVector> {
        self.known.iter().flatten().map(|kept| &**kept).collect()
    }

    fn is_missing(&self, place: usize) -> bool {
        self.known.get(place).is_some_and(Option::is_none)
    }

    fn find(&mut self, caches: &Caches) {
        let Some(keys) = &self.keys else { return };
        for (key, known) in keys.iter().zip(&mut self.known) {
            if known.is_none() {
                *known = caches.vectors.get(key).filter(|kept| kept.origin.begun_at >= self.purged_at);
            }
        }
    }

    async fn find_or_wait(&mut self, caches: &Caches) {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            self.find(caches);
            let (mut leads, follows) = self.join(caches);
            if !leads.is_empty() {
                // Others may have brought some between our look and our lead.
                self.find(caches);
                leads.retain(|place, _| self.is_missing(*place));
                self.leads = leads;
                return;
            }
            // Others are asking for all of the rest: none of them waits for us.
            let mut left_to_us = false;
            for (place, follow) in follows {
                match follow.landed(deadline).await {
                    Followed::Found(kept) if kept.origin.begun_at >= self.purged_at => {
                        if let Some(known) = self.known.get_mut(place) {
                            *known = Some(kept);
                        }
                    }
                    Followed::Found(_) | Followed::Alone => left_to_us = true,
                    Followed::Gone => {}
                }
            }
            if left_to_us || self.missing() == 0 {
                return;
            }
        }
    }

    /// Takes the lead for each missing text for which nobody asks, and names the flights of the others.
    fn join(&self, caches: &Caches) -> (Leads, Follows) {
        let (mut leads, mut follows) = (Leads::new(), Follows::new());
        for (place, key) in self.keys.iter().flatten().enumerate().filter(|(place, _)| self.is_missing(*place)) {
            match caches.vector_flights.join(*key) {
                Joined::Leads(lead) => drop(leads.insert(place, lead)),
                Joined::Follows(follow) => follows.push((place, follow)),
            }
        }
        (leads, follows)
    }

    /// The vectors of all texts, with `new` those that were missing.
    ///
    /// # Errors
    /// `upstream` (`provider_answer_invalid`) where new vectors have another length than the known ones, which are forgotten then.
    pub(super) fn complete(&self, caches: &Caches, new: Vec<Vec<f32>>) -> Result<Vec<Vec<f32>>> {
        if self.found() == 0 {
            return Ok(new);
        }
        let mut rest = new.into_iter();
        let vector_of = |known: &Known| match known {
            Some(kept) => Some(kept.vector.clone()),
            None => rest.next(),
        };
        let vectors: Vec<Vec<f32>> = self.known.iter().filter_map(vector_of).collect();
        let length = vectors.first().map_or(0, Vec::len);
        if vectors.iter().all(|vector| vector.len() == length) {
            return Ok(vectors);
        }
        self.keys.iter().flatten().for_each(|key| caches.vectors.remove(key));
        let message = "the model answered with vectors of another length than it did for other texts before";
        Err(Error::new(Code::Upstream, "provider_answer_invalid", message)
            .remedy("try again: the vectors from before are forgotten. Those that are stored elsewhere fit no more"))
    }

    /// What the record says of the known texts.
    fn hit(&self, now: Timestamp) -> Option<CacheHit> {
        let known = self.known_vectors();
        let oldest = known.iter().map(|kept| &kept.origin).min_by_key(|origin| origin.begun_at)?;
        let kind = if known.len() == self.known.len() { CacheKind::Exact } else { CacheKind::Partial };
        Some(CacheHit {
            kind,
            call_id: oldest.call_id,
            similarity: None,
            age_seconds: now.saturating_sub(oldest.begun_at).max(0).unsigned_abs() / 1_000_000,
            saved: cost_of(&known),
            texts: Some(TextHits { known: known.len() as u64, all: self.known.len() as u64 }),
        })
    }

    /// For the answer's header; `None` where the cache has nothing to do with the request.
    fn line(&self, hit: Option<&CacheHit>) -> Option<String> {
        self.keys.as_ref()?;
        let Some(hit) = hit else { return Some("miss".to_owned()) };
        let age = hit.age_seconds;
        Some(match hit.texts {
            Some(TextHits { known, all }) if known < all => format!("partial; known={known}; texts={all}; age={age}"),
            _ => format!("hit; age={age}"),
        })
    }

    /// Keeps the new ones of the vectors of all texts, and gives them to those who wait. Where there are no vectors, those who wait
    /// ask for themselves.
    fn keep(mut self, caches: &Caches, call_id: CallId, finished: &Finished, vectors: &[Vec<f32>]) {
        let Some(keys) = self.keys.take().filter(|keys| keys.len() == vectors.len()) else {
            self.leads.into_values().for_each(Lead::land_alone);
            return;
        };
        let new: Vec<usize> = (0..keys.len()).filter(|place| self.is_missing(*place)).collect();
        if new.is_empty() {
            return;
        }
        let length = |place: usize| self.lengths.get(place).copied().unwrap_or(0);
        let origin = Arc::new(VectorOrigin {
            call_id,
            begun_at: self.begun_at,
            cost: finished.cost.clone(),
            input_tokens: finished.usage.input_tokens,
            text_bytes: new.iter().map(|place| length(*place)).sum(),
        });
        let mut kept = Vec::with_capacity(new.len());
        let mut landings = Vec::with_capacity(self.leads.len());
        for place in new {
            let (Some(key), Some(vector)) = (keys.get(place), vectors.get(place)) else { continue };
            let vector = Arc::new(KeptVector::new(vector.clone(), length(place), origin.clone()));
            landings.extend(self.leads.remove(&place).map(|lead| (lead, vector.clone())));
            kept.push((*key, vector));
        }
        // Before those who wait are told: who comes then finds them.
        caches.vectors.put(kept);
        landings.into_iter().for_each(|(lead, vector)| lead.land(vector));
    }
}
