//! Codes are used once, by whom they were given to.

use std::time::Duration;

use plasma_identity::UserChange;
use plasma_kernel::Role;
use plasma_testkit::on_each_database;

use super::{CALLBACK, VERIFIER, code, confidential, exchange, families, public, refresh, refresh_token, token};
use crate::support::{World, reason};

const SCOPE: &str = "openid offline_access content:read";

on_each_database! {
    async fn a_code_becomes_tokens_once(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = confidential(&world).await;
        let code = code(&world, &world.owner, &app, SCOPE).await;
        let answer = exchange(&world, &app, &code).await.unwrap();
        assert_eq!(answer.expires_at, world.clock.now() + 3_600 * 1_000_000);
        assert_eq!(answer.scopes.to_text(), SCOPE);
        assert!(refresh_token(&answer).starts_with("plr_") && answer.id_token.is_some());
        assert!(world.is_valid(answer.access_token.expose()).await);
        // A second time it is stolen, or the first time it was: what it gave ends.
        assert_eq!(reason(exchange(&world, &app, &code).await), "invalid_grant");
        assert!(!world.is_valid(answer.access_token.expose()).await);
        assert_eq!(reason(refresh(&world, &app, refresh_token(&answer)).await), "invalid_grant");
        assert_eq!(families(&world).await, 0);
        let id = app.application.id;
        assert_eq!(world.count_events(&world.owner, "identity.application.token_reused", id).await, 1);
        assert_eq!(reason(exchange(&world, &app, &code).await), "invalid_grant");
        assert_eq!(world.count_events(&world.owner, "identity.application.token_reused", id).await, 1);
    }

    async fn many_exchanges_of_one_code_at_once_leave_nothing(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = std::sync::Arc::new(confidential(&world).await);
        let code = code(&world, &world.owner, &app, SCOPE).await;
        let world = std::sync::Arc::new(world);
        let tries: Vec<_> = (0..20)
            .map(|_| {
                let (world, app, code) = (world.clone(), app.clone(), code.clone());
                tokio::spawn(async move { exchange(&world, &app, &code).await.is_ok() })
            })
            .collect();
        let mut succeeded = 0;
        for attempt in tries {
            succeeded += usize::from(attempt.await.unwrap());
        }
        assert_eq!((succeeded, families(&world).await), (1, 0));
    }

    async fn a_code_that_is_presented_wrongly_is_worth_nothing_any_more(test: TestStore) {
        let world = World::new(test.store()).await;
        let (app, other) = (confidential(&world).await, confidential(&world).await);
        let public = public(&world).await;
        let grant = ("grant_type", "authorization_code");
        let verifier = ("code_verifier", VERIFIER);
        let wrong_verifier = "another-verifier-that-is-long-enough-for-the-specification";
        for (thief, pairs) in [
            // A code that was injected into another session has another verifier.
            (&app, vec![grant, ("code_verifier", wrong_verifier)]),
            (&app, vec![grant, verifier, ("redirect_uri", "https://app.example/other")]),
            // Another application, however well it proves who it is.
            (&other, vec![grant, verifier]),
            (&public, vec![grant, verifier]),
        ] {
            let code = code(&world, &world.owner, &app, SCOPE).await;
            let mut stolen = pairs.clone();
            stolen.push(("code", code.as_str()));
            assert_eq!(reason(token(&world, thief, &stolen).await), "invalid_grant", "{pairs:?}");
            assert_eq!(reason(exchange(&world, &app, &code).await), "invalid_grant", "{pairs:?}");
        }
        assert_eq!(families(&world).await, 0);
        // Without any proof nothing is looked at.
        let code = code(&world, &world.owner, &app, SCOPE).await;
        assert_eq!(reason(token(&world, &app, &[grant, ("code", code.as_str())]).await), "invalid_request");
        assert_eq!(reason(token(&world, &app, &[grant, verifier]).await), "invalid_request");
        let right = [grant, verifier, ("code", code.as_str()), ("redirect_uri", CALLBACK)];
        token(&world, &app, &right).await.unwrap();
        for unknown in ["plo_unknown", "", "\u{0}"] {
            let pairs = [grant, verifier, ("code", unknown)];
            assert!(["invalid_grant", "invalid_request"].contains(&reason(token(&world, &app, &pairs).await)));
        }
    }

    async fn a_code_ends_after_a_minute(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = confidential(&world).await;
        let (first, second) =
            (code(&world, &world.owner, &app, SCOPE).await, code(&world, &world.owner, &app, SCOPE).await);
        world.clock.advance(Duration::from_secs(59));
        exchange(&world, &app, &first).await.unwrap();
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(reason(exchange(&world, &app, &second).await), "invalid_grant");
    }

    async fn a_person_who_is_locked_out_or_left_gets_nothing(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Editor).await;
        let app = confidential(&world).await;
        let disable = async |disabled: bool| {
            let change = UserChange { disabled: Some(disabled), ..UserChange::default() };
            world.identity.update_user(&world.owner, ada.id, change).await.unwrap();
        };
        let (_, person) = world.enter("ada").await;
        let answer = crate::oauth::authorized(&world, &person, &app, SCOPE).await;
        let late = code(&world, &person, &app, SCOPE).await;
        disable(true).await;
        assert!(!world.is_valid(answer.access_token.expose()).await);
        assert_eq!(reason(refresh(&world, &app, refresh_token(&answer)).await), "invalid_grant");
        assert_eq!(reason(exchange(&world, &app, &late).await), "invalid_grant");
        disable(false).await;
        assert!(!world.is_valid(answer.access_token.expose()).await, "what has ended stays ended");
        assert_eq!(reason(refresh(&world, &app, refresh_token(&answer)).await), "invalid_grant");

        let (_, person) = world.enter("ada").await;
        let answer = crate::oauth::authorized(&world, &person, &app, SCOPE).await;
        let late = code(&world, &person, &app, SCOPE).await;
        world.identity.delete_user(&world.owner, ada.id).await.unwrap();
        assert!(!world.is_valid(answer.access_token.expose()).await);
        assert_eq!(reason(refresh(&world, &app, refresh_token(&answer)).await), "invalid_grant");
        assert_eq!(reason(exchange(&world, &app, &late).await), "invalid_grant");
        assert_eq!(crate::oauth::rows(&world, "SELECT COUNT(*) AS number FROM oauth_grants").await, 0);
    }

    async fn a_suspended_workspace_gets_nothing(test: TestStore) {
        let world = World::new(test.store()).await;
        let own_permissions = vec![plasma_kernel::Permission::ContentRead];
        let new = plasma_identity::oauth::NewApplication {
            own_permissions,
            ..crate::oauth::new_application(plasma_identity::oauth::ApplicationKind::Confidential)
        };
        let app = crate::oauth::register(&world, new).await;
        let answer = crate::oauth::authorized(&world, &world.owner, &app, SCOPE).await;
        let late = code(&world, &world.owner, &app, SCOPE).await;
        let set = async |state: &str| {
            let mut tx = world.store.begin(&world.system()).await.unwrap();
            tx.execute("UPDATE tenants SET state = $1", [state.into()]).await.unwrap();
            tx.commit().await.unwrap();
        };
        let own = [("grant_type", "client_credentials")];
        for state in ["suspended", "deleting"] {
            set(state).await;
            assert_eq!(reason(exchange(&world, &app, &late).await), "invalid_grant", "{state}");
            assert_eq!(reason(refresh(&world, &app, refresh_token(&answer)).await), "invalid_grant", "{state}");
            assert_eq!(reason(token(&world, &app, &own).await), "unauthorized_client", "{state}");
        }
        // Nothing was lost by it.
        set("active").await;
        refresh(&world, &app, refresh_token(&answer)).await.unwrap();
        exchange(&world, &app, &late).await.unwrap();
        token(&world, &app, &own).await.unwrap();
    }

    async fn without_offline_access_there_is_no_refresh_token(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = public(&world).await;
        let answer = crate::oauth::authorized(&world, &world.owner, &app, "content:read").await;
        assert!(answer.refresh_token.is_none() && answer.id_token.is_none());
    }
}
