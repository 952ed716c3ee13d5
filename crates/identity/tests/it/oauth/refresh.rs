//! Refresh tokens rotate, forgive races, and notice theft.

use std::{collections::HashSet, sync::Arc, time::Duration};

use plasma_identity::oauth::TokenAnswer;
use plasma_kernel::Ctx;
use plasma_testkit::on_each_database;

use super::{App, authorized, confidential, families, public, refresh, refresh_token, rows, token, token_of};
use crate::support::{DAY, World, reason};

const SCOPE: &str = "openid offline_access content:read content:write";

fn pair(answer: &TokenAnswer) -> (String, String) {
    (answer.access_token.expose().to_owned(), refresh_token(answer).to_owned())
}

async fn begun(world: &World) -> (App, TokenAnswer) {
    let app = public(world).await;
    let answer = authorized(world, &world.owner, &app, SCOPE).await;
    (app, answer)
}

on_each_database! {
    async fn tokens_follow_each_other(test: TestStore) {
        let world = World::new(test.store()).await;
        let (app, mut answer) = begun(&world).await;
        let mut seen = HashSet::new();
        for _ in 0..10 {
            assert!(seen.insert(pair(&answer)));
            world.clock.advance(Duration::from_secs(3_000));
            let next = refresh(&world, &app, refresh_token(&answer)).await.unwrap();
            assert_eq!(next.scopes.to_text(), SCOPE);
            assert!(next.id_token.is_some());
            // The old access token stays good until it expires.
            assert!(world.is_valid(answer.access_token.expose()).await);
            assert!(world.is_valid(next.access_token.expose()).await);
            answer = next;
        }
        assert_eq!(families(&world).await, 1);
        // Access tokens that have expired are not kept.
        assert!(rows(&world, "SELECT COUNT(*) AS number FROM oauth_access_tokens").await <= 3);
    }

    async fn a_second_try_within_the_grace_gets_the_same_pair(test: TestStore) {
        let world = World::new(test.store()).await;
        let (app, answer) = begun(&world).await;
        let first = refresh(&world, &app, refresh_token(&answer)).await.unwrap();
        world.clock.advance(Duration::from_secs(29));
        let second = refresh(&world, &app, refresh_token(&answer)).await.unwrap();
        assert_eq!(first, second);
        // Also when the successor was used meanwhile: the one whose answer was lost goes on from there.
        let third = refresh(&world, &app, refresh_token(&first)).await.unwrap();
        assert_eq!(refresh(&world, &app, refresh_token(&answer)).await.unwrap(), first);
        assert_eq!(refresh(&world, &app, refresh_token(&second)).await.unwrap(), third);
        assert_eq!(families(&world).await, 1);
        assert!(world.is_valid(third.access_token.expose()).await);
    }

    async fn reuse_after_the_grace_ends_the_family(test: TestStore) {
        let world = World::new(test.store()).await;
        let (app, answer) = begun(&world).await;
        let other = authorized(&world, &world.owner, &app, SCOPE).await;
        let next = refresh(&world, &app, refresh_token(&answer)).await.unwrap();
        world.clock.advance(Duration::from_secs(30));
        assert_eq!(reason(refresh(&world, &app, refresh_token(&answer)).await), "invalid_grant");
        for dead in [&answer, &next] {
            assert!(!world.is_valid(dead.access_token.expose()).await);
            assert_eq!(reason(refresh(&world, &app, refresh_token(dead)).await), "invalid_grant");
        }
        let id = app.application.id;
        assert_eq!(world.count_events(&world.owner, "identity.application.token_reused", id).await, 1);
        // The person's other authorization of the same application goes on.
        assert!(world.is_valid(other.access_token.expose()).await);
        refresh(&world, &app, refresh_token(&other)).await.unwrap();
        assert_eq!(families(&world).await, 1);
    }

    async fn a_thousand_at_once_leave_one_family_and_log_nobody_out(test: TestStore) {
        let world = Arc::new(World::new(test.store()).await);
        let (app, answer) = begun(&world).await;
        // Two processes of one installation.
        let elsewhere = world.other_process(test.open_again().await);
        let app = Arc::new(app);
        let tries: Vec<_> = (0..1_000)
            .map(|number| {
                let (world, app, token) = (world.clone(), app.clone(), refresh_token(&answer).to_owned());
                let identity = if number % 2 == 0 { world.identity.clone() } else { elsewhere.clone() };
                tokio::spawn(async move {
                    let pairs = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
                    token_of(&identity, &world, &app, &pairs).await.map(|answer| pair(&answer))
                })
            })
            .collect();
        let mut pairs = HashSet::new();
        for attempt in tries {
            pairs.insert(attempt.await.unwrap().unwrap());
        }
        assert_eq!(pairs.len(), 1, "everybody got the same pair");
        assert_eq!(families(&world).await, 1);
        assert_eq!(rows(&world, "SELECT COUNT(*) AS number FROM oauth_refresh_tokens WHERE used_at IS NULL").await, 1);
        let (access_token, refresh_token) = pairs.into_iter().next().unwrap();
        assert!(world.is_valid(&access_token).await);
        // Everybody goes on, again at the same moment, and later.
        for _ in 0..3 {
            refresh(&world, &app, &refresh_token).await.unwrap();
        }
        assert_eq!(world.count_events(&world.owner, "identity.application.token_reused", app.application.id).await, 0);
    }

    async fn an_access_token_may_be_narrowed_and_never_widened(test: TestStore) {
        let world = World::new(test.store()).await;
        let (app, answer) = begun(&world).await;
        let grant = ("grant_type", "refresh_token");
        let wider = [grant, ("refresh_token", refresh_token(&answer)), ("scope", "content:read users:read")];
        assert_eq!(reason(token(&world, &app, &wider).await), "invalid_scope");
        let narrower = [grant, ("refresh_token", refresh_token(&answer)), ("scope", "content:read")];
        let narrow = token(&world, &app, &narrower).await.unwrap();
        assert_eq!(narrow.scopes.to_text(), "content:read");
        assert!(narrow.id_token.is_none());
        let ctx: Ctx = crate::oauth::ctx_of(&world, &narrow).await;
        assert!(ctx.require(plasma_kernel::Permission::ContentWrite).is_err());
        // The next one may be for everything again.
        assert_eq!(refresh(&world, &app, refresh_token(&narrow)).await.unwrap().scopes.to_text(), SCOPE);
    }

    async fn only_the_application_itself_renews(test: TestStore) {
        let world = World::new(test.store()).await;
        let (app, answer) = begun(&world).await;
        let (other, confidential) = (public(&world).await, confidential(&world).await);
        for thief in [&other, &confidential] {
            assert_eq!(reason(refresh(&world, thief, refresh_token(&answer)).await), "invalid_grant");
        }
        // Not even within the grace.
        let next = refresh(&world, &app, refresh_token(&answer)).await.unwrap();
        assert_eq!(reason(refresh(&world, &other, refresh_token(&answer)).await), "invalid_grant");
        for wrong in [answer.access_token.expose(), "plr_unknown", "nonsense", "plr_\u{0}"] {
            assert_eq!(reason(refresh(&world, &app, wrong).await), "invalid_grant");
        }
        refresh(&world, &app, refresh_token(&next)).await.unwrap();
        // A refresh token opens nothing by itself.
        assert!(!world.is_valid(refresh_token(&next)).await);
    }

    async fn a_family_ends_without_use_and_after_a_year(test: TestStore) {
        let world = World::new(test.store()).await;
        let (app, answer) = begun(&world).await;
        world.clock.advance(DAY * 29);
        let answer = refresh(&world, &app, refresh_token(&answer)).await.unwrap();
        world.clock.advance(DAY * 30);
        assert_eq!(reason(refresh(&world, &app, refresh_token(&answer)).await), "invalid_grant");
        let mut answer = authorized(&world, &world.owner, &app, SCOPE).await;
        for _ in 0..12 {
            world.clock.advance(DAY * 29);
            answer = refresh(&world, &app, refresh_token(&answer)).await.unwrap();
        }
        world.clock.advance(DAY * 17);
        assert_eq!(reason(refresh(&world, &app, refresh_token(&answer)).await), "invalid_grant");
        world.identity.maintain_oauth(&world.system()).await.unwrap();
        assert_eq!(rows(&world, "SELECT COUNT(*) AS number FROM oauth_refresh_tokens").await, 0);
    }

    async fn sealed_pairs_are_forgotten_after_the_grace(test: TestStore) {
        let world = World::new(test.store()).await;
        let (app, answer) = begun(&world).await;
        refresh(&world, &app, refresh_token(&answer)).await.unwrap();
        let sealed = "SELECT COUNT(*) AS number FROM oauth_refresh_tokens WHERE successor_sealed IS NOT NULL";
        world.identity.maintain_oauth(&world.system()).await.unwrap();
        assert_eq!(rows(&world, sealed).await, 1);
        world.clock.advance(Duration::from_secs(31));
        world.identity.maintain_oauth(&world.system()).await.unwrap();
        assert_eq!(rows(&world, sealed).await, 0);
        // That it was used is still known.
        assert_eq!(reason(refresh(&world, &app, refresh_token(&answer)).await), "invalid_grant");
        assert_eq!(families(&world).await, 0);
    }
}
