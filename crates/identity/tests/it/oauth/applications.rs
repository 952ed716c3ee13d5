use std::time::Duration;

use plasma_identity::oauth::{ApplicationChange, ApplicationKind, ClientCredentials, NewApplication};
use plasma_kernel::{Permission, Permissions, Role};
use plasma_testkit::on_each_database;

use super::{App, confidential, new_application, public, register, token};
use crate::support::{OWNER, PASSWORD, World, page, reason, refused};

const OWN: &[(&str, &str)] = &[("grant_type", "client_credentials")];

fn for_itself() -> NewApplication {
    let own_permissions = vec![Permission::SearchQuery, Permission::ContentRead];
    NewApplication { own_permissions, ..new_application(ApplicationKind::Confidential) }
}

on_each_database! {
    async fn an_application_is_registered_changed_and_deleted(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = confidential(&world).await;
        let id = app.application.id;
        assert_eq!(app.application.created_by, Some(world.owner_id()));
        let secret = app.credentials.secret.as_ref().unwrap().expose();
        assert!(secret.starts_with("plc_"));
        assert_eq!(app.application.secrets[0].prefix, secret[..12]);
        assert_eq!(world.identity.application(&world.owner, id).await.unwrap(), app.application);
        assert_eq!(world.identity.applications(&world.owner, &page()).await.unwrap().data, std::slice::from_ref(&app.application));

        let change = ApplicationChange {
            name: Some(" Letters ".to_owned()),
            homepage: Some(String::new()),
            disabled: Some(true),
            ..ApplicationChange::default()
        };
        let changed = world.identity.update_application(&world.owner, id, change.clone()).await.unwrap();
        assert_eq!((changed.name.as_str(), changed.homepage.as_ref()), ("Letters", None));
        assert_eq!(changed.disabled_at, Some(world.clock.now()));
        assert_eq!(world.identity.application(&world.owner, id).await.unwrap(), changed);
        // The same again changes nothing and tells nothing.
        world.identity.update_application(&world.owner, id, change).await.unwrap();
        assert_eq!(world.count_events(&world.owner, "identity.application.updated", id).await, 1);

        world.identity.delete_application(&world.owner, id).await.unwrap();
        assert_eq!(reason(world.identity.application(&world.owner, id).await), "application_not_found");
        assert_eq!(reason(world.identity.delete_application(&world.owner, id).await), "application_not_found");
        for kind in ["identity.application.created", "identity.application.deleted"] {
            assert_eq!(world.count_events(&world.owner, kind, id).await, 1, "{kind}");
        }
    }

    async fn what_is_entered_is_checked(test: TestStore) {
        let world = World::new(test.store()).await;
        let field = async |new: NewApplication| {
            let error = refused(world.identity.create_application(&world.owner, new).await);
            error.field_name().unwrap().to_owned()
        };
        let public = || new_application(ApplicationKind::Public);
        assert_eq!(field(NewApplication { name: " ".to_owned(), ..public() }).await, "name");
        let homepage = Some("javascript:alert(1)".to_owned());
        assert_eq!(field(NewApplication { homepage, ..public() }).await, "homepage");
        let redirect_uris = vec!["https://a.example/".to_owned(), "http://a.example/".to_owned()];
        assert_eq!(field(NewApplication { redirect_uris, ..public() }).await, "redirect_uris[1]");
        let redirect_uris = vec!["https://a.example/".to_owned(); 2];
        assert_eq!(field(NewApplication { redirect_uris, ..public() }).await, "redirect_uris[1]");
        let redirect_uris = (0..21).map(|number| format!("https://a.example/{number}")).collect();
        assert_eq!(field(NewApplication { redirect_uris, ..public() }).await, "redirect_uris");
        let own_permissions = vec![Permission::SearchQuery];
        assert_eq!(field(NewApplication { own_permissions, ..public() }).await, "own_permissions");
        let own_permissions = vec![Permission::InstallationRead];
        let confidential = new_application(ApplicationKind::Confidential);
        assert_eq!(field(NewApplication { own_permissions, ..confidential }).await, "own_permissions");
    }

    async fn nobody_registers_what_does_more_than_they_may(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Admin).await;
        world.add("eve", Role::Editor).await;
        let (_, admin) = world.enter("ada").await;
        let (_, editor) = world.enter("eve").await;
        assert_eq!(reason(world.identity.create_application(&editor, for_itself()).await), "forbidden");
        assert_eq!(reason(world.identity.applications(&editor, &page()).await), "forbidden");
        let above = NewApplication { own_permissions: vec![Permission::SecurityWrite], ..for_itself() };
        assert_eq!(reason(world.identity.create_application(&admin, above.clone()).await), "forbidden");
        // An owner's may not be touched by those who hold less: its secret would lend them what they lack.
        let id = register(&world, above).await.application.id;
        let rename = ApplicationChange { name: Some("Mine".to_owned()), ..ApplicationChange::default() };
        assert_eq!(reason(world.identity.update_application(&admin, id, rename).await), "forbidden");
        assert_eq!(reason(world.identity.rotate_application_secret(&admin, id, 0).await), "forbidden");
        assert_eq!(reason(world.identity.delete_application(&admin, id).await), "forbidden");
        // What it may ask people for gives nothing by itself.
        let asks_for_much = NewApplication { scopes: vec![Permission::SecurityWrite], ..for_itself() };
        world.identity.create_application(&admin, asks_for_much).await.unwrap();
    }

    async fn an_application_acts_for_itself(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = register(&world, for_itself()).await;
        let answer = token(&world, &app, OWN).await.unwrap();
        assert!(answer.access_token.expose().starts_with("pla_"));
        assert!(answer.refresh_token.is_none() && answer.id_token.is_none());
        let ctx = crate::oauth::ctx_of(&world, &answer).await;
        let expected: Permissions = [Permission::SearchQuery, Permission::ContentRead].into_iter().collect();
        assert_eq!((*ctx.permissions(), ctx.person()), (expected, None));
        let me = world.identity.me(&ctx).await.unwrap();
        assert_eq!((me.name.as_str(), me.role, me.user), ("Newsletter builder", Role::Service, None));

        let narrow = token(&world, &app, &[OWN[0], ("scope", "content:read")]).await.unwrap();
        assert_eq!(narrow.scopes.to_text(), "content:read");
        for scope in ["content:write", "openid", "content:read content:write"] {
            assert_eq!(reason(token(&world, &app, &[OWN[0], ("scope", scope)]).await), "invalid_scope", "{scope}");
        }
        // Narrowing it binds the tokens that it has.
        let change = ApplicationChange {
            own_permissions: Some(vec![Permission::ContentRead]),
            ..ApplicationChange::default()
        };
        world.identity.update_application(&world.owner, app.application.id, change).await.unwrap();
        let ctx = crate::oauth::ctx_of(&world, &answer).await;
        assert_eq!(*ctx.permissions(), Permissions::none().with(Permission::ContentRead));
        // One without own permissions cannot.
        let other = confidential(&world).await;
        assert_eq!(reason(token(&world, &other, OWN).await), "unauthorized_client");
        let other = public(&world).await;
        assert_eq!(reason(token(&world, &other, OWN).await), "unauthorized_client");
        world.clock.advance(Duration::from_secs(3_600));
        assert_eq!(reason(world.identity.authenticate(answer.access_token.expose()).await), "access_token_expired");
    }

    async fn secrets_overlap_when_they_are_rotated(test: TestStore) {
        let world = World::new(test.store()).await;
        let old = register(&world, for_itself()).await;
        let id = old.application.id;
        let public_id = public(&world).await.application.id;
        let made = world.identity.rotate_application_secret(&world.owner, id, 3_600).await.unwrap();
        assert_eq!(made.application.secrets.len(), 2);
        assert_eq!(made.application.secrets.iter().filter(|secret| secret.expires_at.is_some()).count(), 1);
        let new = App {
            application: made.application,
            credentials: ClientCredentials { id: old.credentials.id.clone(), secret: made.secret },
        };
        for app in [&old, &new] {
            token(&world, app, OWN).await.unwrap();
        }
        world.clock.advance(Duration::from_secs(3_600));
        assert_eq!(reason(token(&world, &old, OWN).await), "invalid_client");
        token(&world, &new, OWN).await.unwrap();
        // Whoever logged in an hour ago proves again who they are.
        assert_eq!(reason(world.identity.rotate_application_secret(&world.owner, id, 0).await), "step_up_required");
        let session = world.login(OWNER, PASSWORD).await.unwrap().token;
        let owner = world.identity.authenticate(session.expose()).await.unwrap().ctx;
        // Without an overlap the others end at once.
        world.identity.rotate_application_secret(&owner, id, 0).await.unwrap();
        assert_eq!(reason(token(&world, &new, OWN).await), "invalid_client");
        for _ in 0..4 {
            world.identity.rotate_application_secret(&owner, id, 3_600).await.unwrap();
        }
        let many = world.identity.rotate_application_secret(&owner, id, 3_600).await;
        assert_eq!(reason(many), "too_many_secrets");
        world.identity.rotate_application_secret(&owner, id, 0).await.unwrap();
        let long = world.identity.rotate_application_secret(&owner, id, 31 * 24 * 3_600).await;
        assert_eq!(refused(long).field_name(), Some("overlap_seconds"));
        assert_eq!(reason(world.identity.rotate_application_secret(&owner, public_id, 0).await), "invalid");
    }

    async fn a_client_must_prove_who_it_is(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = register(&world, for_itself()).await;
        let other = register(&world, for_itself()).await;
        let public = public(&world).await;
        let client = |id: &App, secret: Option<&App>| App {
            application: id.application.clone(),
            credentials: ClientCredentials {
                id: id.credentials.id.clone(),
                secret: secret.and_then(|app| app.credentials.secret.clone()),
            },
        };
        for wrong in [client(&app, None), client(&app, Some(&other)), client(&public, Some(&app))] {
            assert_eq!(reason(token(&world, &wrong, OWN).await), "invalid_client");
        }
        for id in [None, Some(String::new()), Some("app_00000000000000000000000000".to_owned()), Some("' OR 1=1".to_owned())] {
            let mut wrong = client(&app, Some(&app));
            wrong.credentials.id = id;
            assert_eq!(reason(token(&world, &wrong, OWN).await), "invalid_client");
        }
        token(&world, &app, OWN).await.unwrap();
        let disabled = ApplicationChange { disabled: Some(true), ..ApplicationChange::default() };
        world.identity.update_application(&world.owner, app.application.id, disabled).await.unwrap();
        assert_eq!(reason(token(&world, &app, OWN).await), "invalid_client");
    }

    async fn a_disabled_or_deleted_application_is_out_at_once(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = register(&world, for_itself()).await;
        let own = token(&world, &app, OWN).await.unwrap();
        let of_person = crate::oauth::authorized(&world, &world.owner, &app, "content:read offline_access").await;
        let id = app.application.id;
        let set = async |disabled: bool| {
            let change = ApplicationChange { disabled: Some(disabled), ..ApplicationChange::default() };
            world.identity.update_application(&world.owner, id, change).await.unwrap();
        };
        for answer in [&own, &of_person] {
            assert!(world.is_valid(answer.access_token.expose()).await);
        }
        set(true).await;
        for answer in [&own, &of_person] {
            assert!(!world.is_valid(answer.access_token.expose()).await);
        }
        set(false).await;
        assert!(world.is_valid(of_person.access_token.expose()).await);
        world.identity.delete_application(&world.owner, id).await.unwrap();
        for answer in [&own, &of_person] {
            assert!(!world.is_valid(answer.access_token.expose()).await);
        }
        assert_eq!(crate::oauth::families(&world).await, 0);
        assert_eq!(crate::oauth::rows(&world, "SELECT COUNT(*) AS number FROM oauth_access_tokens").await, 0);
    }

    async fn applications_of_other_workspaces_do_not_exist(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = confidential(&world).await;
        let stranger = crate::oauth::grants::stranger(&world).await;
        let id = app.application.id;
        assert_eq!(reason(world.identity.application(&stranger, id).await), "application_not_found");
        assert!(world.identity.applications(&stranger, &page()).await.unwrap().data.is_empty());
        let change = ApplicationChange { disabled: Some(true), ..ApplicationChange::default() };
        assert_eq!(reason(world.identity.update_application(&stranger, id, change).await), "application_not_found");
        assert_eq!(reason(world.identity.rotate_application_secret(&stranger, id, 0).await), "application_not_found");
        assert_eq!(reason(world.identity.delete_application(&stranger, id).await), "application_not_found");
        assert_eq!(world.identity.application(&world.owner, id).await.unwrap(), app.application);
    }
}
