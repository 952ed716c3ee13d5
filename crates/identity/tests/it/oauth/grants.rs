//! What people allowed, for themselves to see and to take back.

use plasma_identity::NewTenant;
use plasma_kernel::{Ctx, Role};
use plasma_testkit::on_each_database;

use super::{authorized, confidential, exchange, families, public, refresh, refresh_token};
use crate::support::{PASSWORD, World, page, reason, secret};

const SCOPE: &str = "offline_access content:read";

/// The owner of a second workspace.
pub async fn stranger(world: &World) -> Ctx {
    let new = NewTenant {
        name: "Strangers".to_owned(),
        owner_email: "stranger@example.org".to_owned(),
        owner_name: "Stranger".to_owned(),
        owner_password: secret(PASSWORD),
    };
    world.identity.create_tenant(&world.owner, new).await.unwrap();
    world.enter("stranger").await.1
}

on_each_database! {
    async fn a_person_sees_what_they_allowed_and_takes_it_back(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let (_, ada) = world.enter("ada").await;
        let (app, other) = (confidential(&world).await, public(&world).await);
        assert!(world.identity.my_grants(&ada, &page()).await.unwrap().data.is_empty());
        let first = authorized(&world, &ada, &app, SCOPE).await;
        let second = authorized(&world, &ada, &app, SCOPE).await;
        let elsewhere = authorized(&world, &ada, &other, SCOPE).await;
        let of_owner = authorized(&world, &world.owner, &app, SCOPE).await;

        let grants = world.identity.my_grants(&ada, &page()).await.unwrap().data;
        assert_eq!(grants.len(), 2);
        let grant = grants.iter().find(|grant| grant.application == app.application.id).unwrap();
        assert_eq!((grant.application_name.as_str(), grant.authorizations), ("Newsletter builder", 2));
        assert_eq!(grant.scopes.to_text(), SCOPE);
        assert_eq!(grant.last_used_at, Some(world.clock.now()));

        // Nobody else takes it back, and nobody else's goes with it.
        assert_eq!(reason(world.identity.revoke_my_grant(&world.owner, grant.id).await), "grant_not_found");
        let stranger = stranger(&world).await;
        assert_eq!(reason(world.identity.revoke_my_grant(&stranger, grant.id).await), "grant_not_found");
        world.identity.revoke_my_grant(&ada, grant.id).await.unwrap();
        for answer in [&first, &second] {
            assert!(!world.is_valid(answer.access_token.expose()).await);
            assert_eq!(reason(refresh(&world, &app, refresh_token(answer)).await), "invalid_grant");
        }
        for answer in [&elsewhere, &of_owner] {
            assert!(world.is_valid(answer.access_token.expose()).await);
        }
        assert_eq!(world.identity.my_grants(&ada, &page()).await.unwrap().data.len(), 1);
        assert_eq!(reason(world.identity.revoke_my_grant(&ada, grant.id).await), "grant_not_found");
        assert_eq!(world.count_events(&world.owner, "identity.grant.revoked", grant.id).await, 1);
        // And the application has to ask again.
        let step = crate::oauth::step(&world, &ada, &crate::oauth::asks(&app, SCOPE)).await.unwrap();
        let asked_again = matches!(step, plasma_identity::oauth::AuthorizationStep::Decide { consent: true, .. });
        assert!(asked_again, "{step:?}");
    }

    async fn a_code_on_its_way_ends_with_the_grant(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = confidential(&world).await;
        let code = crate::oauth::code(&world, &world.owner, &app, SCOPE).await;
        let grant = world.identity.my_grants(&world.owner, &page()).await.unwrap().data.remove(0);
        assert_eq!(grant.authorizations, 0);
        world.identity.revoke_my_grant(&world.owner, grant.id).await.unwrap();
        assert_eq!(reason(exchange(&world, &app, &code).await), "invalid_grant");
        assert_eq!(families(&world).await, 0);
    }

    async fn what_is_stored_gives_no_token_away(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = confidential(&world).await;
        let code = crate::oauth::code(&world, &world.owner, &app, "openid offline_access").await;
        let answer = exchange(&world, &app, &code).await.unwrap();
        let next = refresh(&world, &app, refresh_token(&answer)).await.unwrap();
        let mut tx = world.store.read(&world.system()).await.unwrap();
        let mut stored = String::new();
        for (sql, column) in [
            ("SELECT secret_hash AS bytes FROM application_secrets", "bytes"),
            ("SELECT code_hash AS bytes FROM oauth_codes", "bytes"),
            ("SELECT token_hash AS bytes FROM oauth_access_tokens", "bytes"),
            ("SELECT token_hash AS bytes FROM oauth_refresh_tokens", "bytes"),
            ("SELECT successor_sealed AS bytes FROM oauth_refresh_tokens WHERE successor_sealed IS NOT NULL", "bytes"),
            ("SELECT private_key_sealed AS bytes FROM oauth_signing_keys", "bytes"),
        ] {
            let rows = tx.fetch_all(sql, []).await.unwrap();
            assert!(!rows.is_empty(), "{sql}");
            for row in rows {
                stored.push_str(&String::from_utf8_lossy(&row.get::<Vec<u8>>(column).unwrap()));
            }
        }
        stored.push_str(&world.everything_stored().await);
        let secrets = [
            app.credentials.secret.as_ref().unwrap().expose(),
            code.as_str(),
            answer.access_token.expose(),
            refresh_token(&answer),
            next.access_token.expose(),
            refresh_token(&next),
        ];
        for secret in secrets {
            assert!(!stored.contains(secret) && !stored.contains(&secret[4..]), "{secret} is stored");
        }
    }
}
