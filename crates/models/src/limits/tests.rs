//! Limits against real databases.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::{path::Path, time::Duration};

use futures::FutureExt as _;
use plasma_kernel::{Actor, ApiKeyId, Clock, Code, Ctx, Error, Permissions, Random, TeamId};
use plasma_store::Store;
use plasma_testkit::{TestStore, on_each_database, system, tenant};

use super::*;
use crate::{LocalModels, LocalSettings, Manifest, ModelsConfig, NewProvider, ProviderKind};

fn open(store: Store) -> Models {
    let local =
        LocalModels::new(&Manifest::builtin().unwrap(), Path::new("/nonexistent/models"), &LocalSettings::default());
    Models::new(&system(), store, local, ModelsConfig::default()).unwrap()
}

/// A program of the same tenant.
fn program(ctx: &Ctx) -> Ctx {
    let actor = Actor::ApiKey { id: ApiKeyId::new(ctx) };
    Ctx::new(ctx.tenant().unwrap(), actor, Permissions::all(), Clock::system(), Random::system())
}

fn key(ctx: &Ctx) -> LimitSubject {
    match ctx.actor() {
        Actor::ApiKey { id } => LimitSubject::ApiKey { id: *id },
        other => panic!("{other:?}"),
    }
}

async fn set(
    models: &Models,
    ctx: &Ctx,
    subject: LimitSubject,
    (requests_per_minute, tokens_per_minute, concurrency): (Option<u32>, Option<u32>, Option<u32>),
) -> Limit {
    models.create_limit(ctx, NewLimit { subject, requests_per_minute, tokens_per_minute, concurrency }).await.unwrap()
}

async fn refused(models: &Models, ctx: &Ctx, tokens: u64) -> Error {
    let error = models.admit(ctx, tokens).await.err().expect("the limit is reached");
    assert_eq!((error.code(), error.reason()), (Code::RateLimited, "model_limit_reached"), "{error}");
    error
}

async fn until_waiting(models: &Models, calls: usize) {
    while models.inner.limits.waiting() < calls {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

on_each_database! {
    async fn rates_refuse_at_once_and_say_when_to_come_back(test: TestStore) {
        let models = open(test.store());
        let ctx = tenant();
        let (first, second) = (program(&ctx), program(&ctx));
        drop(models.admit(&first, u64::MAX).await.unwrap());
        let limit = set(&models, &ctx, key(&first), (Some(3), None, None)).await;
        for _ in 0..3 {
            drop(models.admit(&first, u64::MAX).await.unwrap());
        }
        let error = refused(&models, &first, 1).await;
        let expected = format!("the limit of the API key {} ({}) of 3 calls a minute is reached", match first.actor() {
            Actor::ApiKey { id } => *id,
            _ => unreachable!(),
        }, limit.id);
        assert_eq!(error.message(), expected);
        let retry_after = error.retry_after().unwrap();
        assert!((15_000..=20_000).contains(&retry_after), "{retry_after}");
        // Others are not held up, and a changed limit counts at once.
        drop(models.admit(&second, 1).await.unwrap());
        models.change_limit(&ctx, limit.id, LimitChange { requests_per_minute: Some(Some(6_000)), ..LimitChange::default() }).await.unwrap();
        drop(models.admit(&first, 1).await.unwrap());
        models.delete_limit(&ctx, limit.id).await.unwrap();
        drop(models.admit(&first, 1).await.unwrap());
    }

    async fn tokens_are_estimated_first_and_corrected_afterwards(test: TestStore) {
        let models = open(test.store());
        let ctx = tenant();
        let caller = program(&ctx);
        set(&models, &ctx, LimitSubject::Tenant {}, (None, Some(1_000), None)).await;
        let mut admission = models.admit(&caller, 900).await.unwrap();
        refused(&models, &caller, 200).await;
        admission.used_tokens(100);
        drop(admission);
        drop(models.admit(&caller, 850).await.unwrap());
        let error = refused(&models, &caller, 200).await;
        assert!((7_000..=10_000).contains(&error.retry_after().unwrap()), "{error:?}");
        // What never fits says so and takes nothing.
        let error = refused(&models, &caller, 1_001).await;
        assert_eq!(error.retry_after(), None);
        assert!(error.message().starts_with("this call may use 1001 tokens"), "{error}");
        // Used more than estimated: the next call pays for it.
        let other = tenant();
        set(&models, &other, LimitSubject::Tenant {}, (None, Some(1_000), None)).await;
        models.admit(&other, 1).await.unwrap().used_tokens(2_000);
        let retry_after = refused(&models, &other, 1).await.retry_after().unwrap();
        assert!((58_000..=60_100).contains(&retry_after), "{retry_after}");
    }

    async fn who_is_refused_by_one_limit_uses_up_no_other(test: TestStore) {
        let models = open(test.store());
        let ctx = tenant();
        let (first, second) = (program(&ctx), program(&ctx));
        set(&models, &ctx, key(&first), (Some(10), None, None)).await;
        set(&models, &ctx, LimitSubject::Tenant {}, (Some(2), None, None)).await;
        drop(models.admit(&first, 0).await.unwrap());
        drop(models.admit(&second, 0).await.unwrap());
        for _ in 0..20 {
            assert!(refused(&models, &first, 0).await.message().contains("this workspace"));
        }
        // Its own limit has nine left.
        let tenants = models.limits(&ctx, &PageRequest::default()).await.unwrap().data;
        let whole = tenants.iter().find(|limit| limit.subject == LimitSubject::Tenant {}).unwrap();
        models.delete_limit(&ctx, whole.id).await.unwrap();
        for _ in 0..9 {
            drop(models.admit(&first, 0).await.unwrap());
        }
        refused(&models, &first, 0).await;
    }

    async fn a_team_has_a_limit_of_its_own(test: TestStore) {
        let models = open(test.store());
        let ctx = tenant();
        let (blue, red) = (TeamId::from_bits(1), TeamId::from_bits(2));
        let limit = set(&models, &ctx, LimitSubject::Team { id: blue }, (Some(3), Some(1_000), None)).await;
        // A person and two programs share it, and who is in no team or another one is not held up.
        let (person, first, second) = (ctx.clone().with_team(Some(blue)), program(&ctx).with_team(Some(blue)), program(&ctx).with_team(Some(blue)));
        let mut admission = models.admit(&person, 900).await.unwrap();
        assert!(refused(&models, &first, 200).await.message().contains("the team team_"));
        admission.used_tokens(100);
        drop(admission);
        drop(models.admit(&first, 10).await.unwrap());
        drop(models.admit(&second, 10).await.unwrap());
        let error = refused(&models, &second, 10).await;
        assert_eq!(error.message(), format!("the limit of the team {blue} ({}) of 3 calls a minute is reached", limit.id));
        for other in [ctx.clone(), program(&ctx), program(&ctx).with_team(Some(red))] {
            for _ in 0..10 {
                drop(models.admit(&other, 2_000).await.unwrap());
            }
        }
        // Places too; the caller's own limit comes first.
        let change = LimitChange { requests_per_minute: Some(None), tokens_per_minute: Some(None), concurrency: Some(Some(1)) };
        models.change_limit(&ctx, limit.id, change).await.unwrap();
        let running = models.admit(&first, 1).await.unwrap();
        let mut waiting = Box::pin(models.admit(&second, 1));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(models.admit(&ctx, 1).await.unwrap());
        drop(running);
        drop(waiting.await.unwrap());
        set(&models, &ctx, key(&first), (Some(1), None, None)).await;
        drop(models.admit(&first, 1).await.unwrap());
        assert!(refused(&models, &first, 1).await.message().contains("the API key"));
        drop(models.admit(&second, 1).await.unwrap());
    }

    async fn places_are_waited_for_and_one_key_does_not_starve_another(test: TestStore) {
        let models = open(test.store());
        let ctx = tenant();
        let (greedy, modest) = (program(&ctx), program(&ctx));
        // One place, so that the order in which it was given is the order that is seen.
        set(&models, &ctx, LimitSubject::Tenant {}, (None, None, Some(1))).await;
        let running = models.admit(&greedy, 1).await.unwrap();
        let (order, mut served) = tokio::sync::mpsc::unbounded_channel();
        let wait = |ctx: &Ctx, name: &'static str| {
            let (models, ctx, order) = (models.clone(), ctx.clone(), order.clone());
            tokio::spawn(async move {
                let admission = models.admit(&ctx, 1).await.unwrap();
                order.send(name).unwrap();
                drop(admission);
            })
        };
        let mut tasks = Vec::new();
        for _ in 0..50 {
            tasks.push(wait(&greedy, "greedy"));
        }
        until_waiting(&models, 50).await;
        tasks.push(wait(&modest, "modest"));
        until_waiting(&models, 51).await;
        assert!(served.try_recv().is_err(), "none has a place yet");
        drop(running);
        futures::future::join_all(tasks).await;
        let order: Vec<&str> = std::iter::from_fn(|| served.try_recv().ok()).collect();
        assert_eq!(order.len(), 51);
        let place = order.iter().position(|name| *name == "modest").unwrap();
        assert!(place < 2, "the modest key came {place} after fifty calls of the greedy one");
    }

    async fn who_goes_away_while_waiting_uses_nothing_up(test: TestStore) {
        let models = open(test.store());
        let ctx = tenant();
        let caller = program(&ctx);
        set(&models, &ctx, key(&caller), (Some(3), None, Some(1))).await;
        let running = models.admit(&caller, 1).await.unwrap();
        for _ in 0..10 {
            assert!(tokio::time::timeout(Duration::from_millis(5), models.admit(&caller, 1)).await.is_err());
        }
        drop(running);
        drop(models.admit(&caller, 1).await.unwrap());
        drop(models.admit(&caller, 1).await.unwrap());
        refused(&models, &caller, 1).await;
    }

    async fn a_provider_has_a_limit_of_its_own(test: TestStore) {
        let models = open(test.store());
        let ctx = tenant();
        let missing = LimitSubject::Provider { id: ProviderId::new(&ctx) };
        let new = NewLimit { subject: missing, requests_per_minute: Some(1), tokens_per_minute: None, concurrency: None };
        let error = models.create_limit(&ctx, new).await.unwrap_err();
        assert_eq!((error.reason(), error.field_name()), ("provider_not_found", Some("subject.id")));
        let add = async |name: &str| {
            let new = NewProvider {
                name: name.to_owned(),
                kind: ProviderKind::Openai,
                base_url: "https://models.example/v1".to_owned(),
                api_key: None,
                options: crate::ProviderOptions::default(),
            };
            models.create_provider(&ctx, new).await.unwrap().id
        };
        let (narrow, wide) = (add("narrow").await, add("wide").await);
        set(&models, &ctx, LimitSubject::Provider { id: narrow }, (None, None, Some(1))).await;
        let running = models.admit_provider(&ctx, narrow, 1).await.unwrap();
        drop(models.admit_provider(&ctx, wide, 1).await.unwrap());
        drop(models.admit(&ctx, 1).await.unwrap());
        let mut waiting = Box::pin(models.admit_provider(&ctx, narrow, 1));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(running);
        drop(waiting.await.unwrap());
    }
}

/// Without limits a call costs a look into memory: no SQL, whatever it asks for.
#[tokio::test]
async fn without_a_limit_nothing_is_asked() {
    let test = TestStore::sqlite().await;
    let models = open(test.store());
    let ctx = tenant();
    drop(models.admit(&ctx, 1).await.unwrap());
    test.close().await;
    for _ in 0..1_000 {
        drop(models.admit(&ctx, 1_000_000).await.unwrap());
        drop(models.admit_provider(&ctx, ProviderId::from_bits(1), 1).await.unwrap());
    }
}
