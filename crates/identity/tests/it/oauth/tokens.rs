//! What applications ask about tokens, and give back; and what strangers may not.

use std::{net::IpAddr, time::Duration};

use plasma_identity::{
    UserChange,
    oauth::{ApplicationKind, Introspection, NewApplication},
};
use plasma_kernel::{Permission, Result, Role};
use plasma_testkit::on_each_database;

use super::{
    App, ISSUER, authorized, confidential, families, form, new_application, public, refresh, refresh_token, register,
    token,
};
use crate::support::{World, reason, refused};

const SCOPE: &str = "offline_access content:read";

async fn introspect(world: &World, app: &App, token: &str) -> Result<Option<Introspection>> {
    world.identity.introspect_token(&world.system(), &app.credentials, &form(&[("token", token)]), None).await
}

async fn revoke(world: &World, app: &App, token: &str) -> Result<()> {
    world.identity.revoke_tokens(&world.system(), &app.credentials, &form(&[("token", token)]), None).await
}

on_each_database! {
    async fn an_application_asks_about_its_own_tokens(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Editor).await;
        let (_, person) = world.enter("ada").await;
        let (app, other) = (confidential(&world).await, confidential(&world).await);
        let answer = authorized(&world, &person, &app, SCOPE).await;
        let access_token = answer.access_token.expose();
        let known = introspect(&world, &app, access_token).await.unwrap().unwrap();
        assert_eq!((known.user, known.application, known.is_access_token), (Some(ada.id), app.application.id, true));
        assert_eq!((known.scopes.to_text().as_str(), known.expires_at), (SCOPE, answer.expires_at));
        let known = introspect(&world, &app, refresh_token(&answer)).await.unwrap().unwrap();
        assert!(!known.is_access_token);
        // Of what is not its own it learns nothing.
        for token in [access_token, refresh_token(&answer)] {
            assert!(introspect(&world, &other, token).await.unwrap().is_none());
        }
        for token in ["pla_unknown", "plr_unknown", "nonsense", "\u{0}"] {
            assert!(introspect(&world, &app, token).await.unwrap().is_none());
        }
        // A public application could be anybody.
        let public = public(&world).await;
        let own = authorized(&world, &person, &public, SCOPE).await;
        assert_eq!(reason(introspect(&world, &public, own.access_token.expose()).await), "invalid_client");
        assert_eq!(reason(introspect(&world, &app, "").await), "invalid_request");
        // A used refresh token and an expired access token are good for nothing.
        refresh(&world, &app, refresh_token(&answer)).await.unwrap();
        assert!(introspect(&world, &app, refresh_token(&answer)).await.unwrap().is_none());
        world.clock.advance(Duration::from_secs(3_600));
        assert!(introspect(&world, &app, access_token).await.unwrap().is_none());
        let fresh = authorized(&world, &person, &app, SCOPE).await;
        let disabled = UserChange { disabled: Some(true), ..UserChange::default() };
        world.identity.update_user(&world.owner, ada.id, disabled).await.unwrap();
        assert!(introspect(&world, &app, fresh.access_token.expose()).await.unwrap().is_none());
    }

    async fn an_application_gives_tokens_back(test: TestStore) {
        let world = World::new(test.store()).await;
        let (app, other) = (public(&world).await, confidential(&world).await);
        let answer = authorized(&world, &world.owner, &app, SCOPE).await;
        let second = authorized(&world, &world.owner, &app, SCOPE).await;
        for token in [answer.access_token.expose(), refresh_token(&answer)] {
            assert_eq!(reason(revoke(&world, &other, token).await), "unauthorized_client");
        }
        assert!(world.is_valid(answer.access_token.expose()).await);
        // An access token goes alone.
        revoke(&world, &app, answer.access_token.expose()).await.unwrap();
        assert!(!world.is_valid(answer.access_token.expose()).await);
        let next = refresh(&world, &app, refresh_token(&answer)).await.unwrap();
        // A refresh token takes all with it that came from the same authorization, and nothing else.
        revoke(&world, &app, refresh_token(&next)).await.unwrap();
        assert!(!world.is_valid(next.access_token.expose()).await);
        assert_eq!(reason(refresh(&world, &app, refresh_token(&next)).await), "invalid_grant");
        assert!(world.is_valid(second.access_token.expose()).await);
        assert_eq!(families(&world).await, 1);
        let id = app.application.id;
        assert_eq!(world.count_events(&world.owner, "identity.application.tokens_revoked", id).await, 1);
        // What is unknown is as good as given back.
        for token in [refresh_token(&next), "pla_unknown", "nonsense"] {
            revoke(&world, &app, token).await.unwrap();
        }
        assert_eq!(reason(revoke(&world, &app, "").await), "invalid_request");
    }

    async fn questions_that_make_no_sense_are_refused(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = public(&world).await;
        for grant_type in ["password", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer", "AUTHORIZATION_CODE"] {
            assert_eq!(reason(token(&world, &app, &[("grant_type", grant_type)]).await), "unsupported_grant_type");
        }
        assert_eq!(reason(token(&world, &app, &[]).await), "invalid_request");
        assert_eq!(reason(token(&world, &app, &[("grant_type", "refresh_token")]).await), "invalid_request");
        assert_eq!(reason(token(&world, &app, &[("grant_type", "authorization_code"), ("code", "x")]).await), "invalid_request");
    }

    async fn an_address_that_fails_too_often_has_to_wait(test: TestStore) {
        let world = World::new(test.store()).await;
        let own_permissions = vec![Permission::ContentRead];
        let new = NewApplication { own_permissions, ..new_application(ApplicationKind::Confidential) };
        let app = register(&world, new).await;
        let other = confidential(&world).await;
        let mut thief = register(&world, new_application(ApplicationKind::Confidential)).await;
        thief.credentials.id = app.credentials.id.clone();
        thief.credentials.secret = other.credentials.secret.clone();
        let ask = async |app: &App, address: IpAddr| {
            let form = form(&[("grant_type", "client_credentials")]);
            world.identity.issue_tokens(&world.system(), ISSUER, &app.credentials, &form, Some(address)).await
        };
        let (here, there): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        for _ in 0..120 {
            assert_eq!(reason(ask(&thief, here).await), "invalid_client");
        }
        let refusal = refused(ask(&thief, here).await);
        assert_eq!((refusal.reason(), refusal.retry_after()), ("temporarily_unavailable", Some(2_500)));
        // The application itself is not kept out by it.
        ask(&app, there).await.unwrap();
        world.clock.advance(Duration::from_secs(5));
        ask(&app, here).await.unwrap();
    }
}
