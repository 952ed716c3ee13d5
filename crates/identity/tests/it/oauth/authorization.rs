//! What an application may ask, and who is told of mistakes.

use std::time::Duration;

use plasma_identity::oauth::{
    ApplicationChange, ApplicationKind, AuthorizationParameters, AuthorizationStep, COMMAND_LINE, NewApplication,
    Scopes,
};
use plasma_kernel::{Authentication, Ctx, Method, Methods, Permission, Role, SessionId};
use plasma_testkit::on_each_database;

use super::{
    App, CALLBACK, ISSUER, asks, carried, code, confidential, exchange, new_application, public, register, step, told,
};
use crate::support::{World, all_of, reason, refused};

const SCOPE: &str = "openid content:read";

/// The same person, who proved it so long ago.
fn proved(person: &Ctx, ago: Duration) -> Ctx {
    let at = person.now() - i64::try_from(ago.as_micros()).unwrap();
    let methods: Methods = [Method::Password].into_iter().collect();
    person.clone().with_authentication(Authentication { session: SessionId::new(person), at, methods })
}

async fn needs_consent(world: &World, person: &Ctx, parameters: &AuthorizationParameters) -> bool {
    match step(world, person, parameters).await.unwrap() {
        AuthorizationStep::Decide { consent, .. } => consent,
        other => panic!("this must be decided: {other:?}"),
    }
}

on_each_database! {
    async fn a_person_is_asked_once_and_the_answer_goes_where_it_belongs(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = confidential(&world).await;
        let asked = asks(&app, SCOPE);
        match step(&world, &world.owner, &asked).await.unwrap() {
            AuthorizationStep::Decide { application, scopes, consent } => {
                assert_eq!((application.name.as_str(), consent), ("Newsletter builder", true));
                assert_eq!(scopes, Scopes::parse(SCOPE).unwrap());
            }
            other => panic!("{other:?}"),
        }
        let denied = world.identity.decide_authorization(&world.owner, ISSUER, &asked, false).await.unwrap();
        assert_eq!(carried(&denied, "error").as_deref(), Some("access_denied"));
        assert_eq!(carried(&denied, "code"), None);
        assert!(needs_consent(&world, &world.owner, &asked).await, "a refusal is not remembered as consent");

        let allowed = world.identity.decide_authorization(&world.owner, ISSUER, &asked, true).await.unwrap();
        assert!(allowed.starts_with(&format!("{CALLBACK}?")), "{allowed}");
        assert_eq!(carried(&allowed, "state").as_deref(), Some("a state & more"));
        assert_eq!(carried(&allowed, "iss").as_deref(), Some(ISSUER));
        assert!(carried(&allowed, "code").unwrap().starts_with("plo_"));
        assert!(!needs_consent(&world, &world.owner, &asked).await);
        assert!(!needs_consent(&world, &world.owner, &asks(&app, "content:read")).await);
        // More, or a wish to be asked, asks again; and what was allowed before stays allowed.
        assert!(needs_consent(&world, &world.owner, &asks(&app, "content:write")).await);
        let prompt = Some("consent".to_owned());
        assert!(needs_consent(&world, &world.owner, &AuthorizationParameters { prompt, ..asked.clone() }).await);
        code(&world, &world.owner, &app, "content:write").await;
        assert!(!needs_consent(&world, &world.owner, &asks(&app, "content:read content:write")).await);
        // Another person is asked for themselves.
        world.add("ada", Role::Editor).await;
        let (_, ada) = world.enter("ada").await;
        assert!(needs_consent(&world, &ada, &asked).await);
        let id = app.application.id;
        assert_eq!(world.count_events(&world.owner, "identity.application.allowed", id).await, 2);
        assert_eq!(world.count_events(&world.owner, "identity.application.denied", id).await, 1);
    }

    async fn mistakes_about_who_and_where_are_told_to_the_person_only(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = confidential(&world).await;
        let right = asks(&app, SCOPE);
        let client_ids = [None, Some(""), Some("nonsense"), Some("app_00000000000000000000000000"), Some("usr_00000000000000000000000000")];
        for client_id in client_ids {
            let wrong = AuthorizationParameters { client_id: client_id.map(str::to_owned), ..right.clone() };
            assert_eq!(reason(step(&world, &world.owner, &wrong).await), "application_not_found", "{client_id:?}");
            let decided = world.identity.decide_authorization(&world.owner, ISSUER, &wrong, true).await;
            assert_eq!(reason(decided), "application_not_found", "{client_id:?}");
        }
        for redirect_uri in [
            None,
            Some(""),
            Some("https://evil.example/callback"),
            Some("https://app.example/callback/"),
            Some("https://app.example/callback?next=https://evil.example"),
            Some("https://app.example/callback#x"),
            Some("https://app.example.evil.example/callback"),
            Some("https://app.example@evil.example/callback"),
            Some("https://app.example/callback\r\nLocation: https://evil.example"),
            Some("javascript:alert(1)"),
        ] {
            let wrong = AuthorizationParameters { redirect_uri: redirect_uri.map(str::to_owned), ..right.clone() };
            let refusal = refused(step(&world, &world.owner, &wrong).await);
            assert_eq!((refusal.reason(), refusal.field_name()), ("invalid_request", Some("redirect_uri")), "{redirect_uri:?}");
            for allow in [true, false] {
                let decided = world.identity.decide_authorization(&world.owner, ISSUER, &wrong, allow).await;
                assert_eq!(reason(decided), "invalid_request", "{redirect_uri:?}");
            }
        }
        let state = Some("a".repeat(3_000));
        let wrong = AuthorizationParameters { state, ..right.clone() };
        assert_eq!(refused(step(&world, &world.owner, &wrong).await).field_name(), Some("state"));
        // An application of another workspace, or one that is locked out, does not exist.
        let stranger = crate::oauth::grants::stranger(&world).await;
        assert_eq!(reason(step(&world, &stranger, &right).await), "application_not_found");
        let disabled = ApplicationChange { disabled: Some(true), ..ApplicationChange::default() };
        world.identity.update_application(&world.owner, app.application.id, disabled).await.unwrap();
        assert_eq!(reason(step(&world, &world.owner, &right).await), "application_not_found");
    }

    async fn other_mistakes_are_told_to_the_application(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = confidential(&world).await;
        let right = asks(&app, SCOPE);
        let with = |change: &dyn Fn(&mut AuthorizationParameters)| {
            let mut wrong = right.clone();
            change(&mut wrong);
            wrong
        };
        let some = |text: &str| Some(text.to_owned());
        for (error, wrong) in [
            ("unsupported_response_type", with(&|wrong| wrong.response_type = some("token"))),
            ("unsupported_response_type", with(&|wrong| wrong.response_type = some("code id_token"))),
            ("unsupported_response_type", with(&|wrong| wrong.response_type = None)),
            ("invalid_request", with(&|wrong| wrong.code_challenge = None)),
            ("invalid_request", with(&|wrong| wrong.code_challenge = some("short"))),
            ("invalid_request", with(&|wrong| wrong.code_challenge_method = None)),
            ("invalid_request", with(&|wrong| wrong.code_challenge_method = some("plain"))),
            ("invalid_request", with(&|wrong| wrong.response_mode = some("fragment"))),
            ("invalid_request", with(&|wrong| wrong.nonce = Some("n".repeat(501)))),
            ("invalid_request", with(&|wrong| wrong.prompt = some("none login"))),
            ("invalid_request", with(&|wrong| wrong.prompt = some("create"))),
            ("invalid_request", with(&|wrong| wrong.max_age = some("soon"))),
            ("invalid_request", with(&|wrong| wrong.max_age = some("-1"))),
            ("invalid_scope", with(&|wrong| wrong.scope = some("rockets:launch"))),
            ("invalid_scope", with(&|wrong| wrong.scope = some("tenants:delete"))),
            ("invalid_scope", with(&|wrong| wrong.scope = some("installation:manage"))),
            ("request_not_supported", with(&|wrong| wrong.request = some("eyJhbGciOiJub25lIn0.e30."))),
            ("request_uri_not_supported", with(&|wrong| wrong.request_uri = some("https://evil.example/"))),
            ("consent_required", with(&|wrong| wrong.prompt = some("none"))),
        ] {
            assert_eq!(told(&world, &world.owner, &wrong).await, error, "{wrong:?}");
        }
        // Whoever decides such a request all the same gets no code either.
        let wrong = with(&|wrong| wrong.code_challenge_method = some("plain"));
        let decided = world.identity.decide_authorization(&world.owner, ISSUER, &wrong, true).await.unwrap();
        assert_eq!((carried(&decided, "error").as_deref(), carried(&decided, "code")), (Some("invalid_request"), None));
        assert_eq!(crate::oauth::rows(&world, "SELECT COUNT(*) AS number FROM oauth_codes").await, 0);
        // Without a scope it is all that the application is registered for.
        let AuthorizationStep::Decide { scopes, .. } = step(&world, &world.owner, &with(&|all| all.scope = None)).await.unwrap() else {
            panic!("this must be decided")
        };
        assert_eq!(scopes, Scopes::of(app.application.scopes));
    }

    async fn nobody_signed_in_is_sent_to_sign_in_or_told_so(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = confidential(&world).await;
        let asked = asks(&app, SCOPE);
        let of_nobody = async |asked: &AuthorizationParameters| {
            world.identity.authorization_step(&world.system(), None, ISSUER, asked).await
        };
        assert!(matches!(of_nobody(&asked).await, Ok(AuthorizationStep::Login { again: false })));
        let silent = AuthorizationParameters { prompt: Some("none".to_owned()), ..asked.clone() };
        let Ok(AuthorizationStep::Redirect(redirect)) = of_nobody(&silent).await else { panic!("it must be told") };
        assert_eq!(carried(&redirect, "error").as_deref(), Some("login_required"));
        let wrong = AuthorizationParameters { redirect_uri: Some("https://evil.example/".to_owned()), ..silent.clone() };
        assert_eq!(reason(of_nobody(&wrong).await), "invalid_request");
        // Once allowed, a silent request is decided without a question.
        code(&world, &world.owner, &app, SCOPE).await;
        assert!(!needs_consent(&world, &world.owner, &silent).await);
    }

    async fn an_old_login_is_not_good_enough_for_who_asks_for_a_new_one(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = confidential(&world).await;
        let asked = asks(&app, SCOPE);
        let of_age = AuthorizationParameters { max_age: Some("300".to_owned()), ..asked.clone() };
        let login = AuthorizationParameters { prompt: Some("login".to_owned()), ..asked.clone() };
        let (now, lately, long_ago) = (Duration::ZERO, Duration::from_secs(200), Duration::from_secs(3_600));
        for (ago, parameters, is_fine) in
            [(now, &login, true), (lately, &login, false), (lately, &of_age, true), (long_ago, &of_age, false), (long_ago, &asked, true)]
        {
            let person = proved(&world.owner, ago);
            let step = step(&world, &person, parameters).await.unwrap();
            assert_eq!(matches!(step, AuthorizationStep::Decide { .. }), is_fine, "{ago:?} {parameters:?}");
            assert_eq!(matches!(step, AuthorizationStep::Login { again: true }), !is_fine, "{ago:?} {parameters:?}");
        }
        let person = proved(&world.owner, long_ago);
        let decided = world.identity.decide_authorization(&person, ISSUER, &of_age, true).await;
        assert_eq!(reason(decided), "login_too_old");
        let silent = AuthorizationParameters { prompt: Some("none".to_owned()), ..of_age };
        assert_eq!(told(&world, &person, &silent).await, "login_required");
    }

    async fn only_a_person_decides(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = confidential(&world).await;
        let asked = asks(&app, SCOPE);
        let key = world.identity.create_api_key(&world.owner, all_of(Role::Owner)).await.unwrap().key;
        let key = world.identity.authenticate(key.expose()).await.unwrap().ctx;
        let answer = crate::oauth::authorized(&world, &world.owner, &app, SCOPE).await;
        let application = crate::oauth::ctx_of(&world, &answer).await;
        for nobody in [&key, &application] {
            assert_eq!(reason(step(&world, nobody, &asked).await), "forbidden");
            assert_eq!(reason(world.identity.decide_authorization(nobody, ISSUER, &asked, true).await), "forbidden");
        }
    }

    async fn a_new_address_is_asked_about_again_and_a_shared_one_always(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = public(&world).await;
        let asked = asks(&app, SCOPE);
        code(&world, &world.owner, &app, SCOPE).await;
        assert!(!needs_consent(&world, &world.owner, &asked).await);
        world.clock.advance(Duration::from_secs(1));
        let scheme = "com.example.app:/callback";
        let redirect_uris = Some(vec![CALLBACK.to_owned(), scheme.to_owned(), "http://127.0.0.1/callback".to_owned()]);
        let change = ApplicationChange { redirect_uris, ..ApplicationChange::default() };
        world.identity.update_application(&world.owner, app.application.id, change).await.unwrap();
        assert!(needs_consent(&world, &world.owner, &asked).await, "codes may go to a new place now");
        code(&world, &world.owner, &app, SCOPE).await;
        assert!(!needs_consent(&world, &world.owner, &asked).await);
        // Another program of the device could be the one that asks.
        for redirect_uri in [scheme, "http://127.0.0.1:51004/callback"] {
            let asked = AuthorizationParameters { redirect_uri: Some(redirect_uri.to_owned()), ..asked.clone() };
            assert!(needs_consent(&world, &world.owner, &asked).await, "{redirect_uri}");
        }
    }

    async fn a_token_may_do_what_its_person_may_now_and_no_more(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Editor).await;
        let (_, person) = world.enter("ada").await;
        let app = confidential(&world).await;
        let answer = crate::oauth::authorized(&world, &person, &app, "openid content:read content:write users:read").await;
        let ctx = crate::oauth::ctx_of(&world, &answer).await;
        assert_eq!((ctx.user(), ctx.person()), (None, Some(ada.id)));
        let may = |ctx: &Ctx| ctx.permissions().iter().map(Permission::as_str).collect::<Vec<_>>().join(" ");
        // An editor does not see users, whatever they allowed.
        assert_eq!(may(&ctx), "content:read content:write");
        let me = world.identity.me(&ctx).await.unwrap();
        assert_eq!((me.name.as_str(), me.role, me.user.unwrap().id), ("Newsletter builder", Role::Editor, ada.id));
        let role = async |role: Role| {
            let change = plasma_identity::UserChange { role: Some(role), ..plasma_identity::UserChange::default() };
            world.identity.update_user(&world.owner, ada.id, change).await.unwrap();
        };
        role(Role::Admin).await;
        assert_eq!(may(&crate::oauth::ctx_of(&world, &answer).await), "content:read content:write users:read");
        role(Role::Viewer).await;
        assert_eq!(may(&crate::oauth::ctx_of(&world, &answer).await), "content:read");
        role(Role::Admin).await;
        let change = ApplicationChange { scopes: Some(vec![Permission::UsersRead]), ..ApplicationChange::default() };
        world.identity.update_application(&world.owner, app.application.id, change).await.unwrap();
        assert_eq!(may(&crate::oauth::ctx_of(&world, &answer).await), "users:read");
        // It is no session: what only a person may do stays closed.
        let ctx = crate::oauth::ctx_of(&world, &answer).await;
        assert_eq!(reason(world.identity.rename_me(&ctx, Some("Eve")).await), "forbidden");
        assert_eq!(reason(world.identity.my_grants(&ctx, &crate::support::page()).await), "forbidden");
    }

    async fn the_command_line_is_known_in_every_workspace(test: TestStore) {
        let world = World::new(test.store()).await;
        let stranger = crate::oauth::grants::stranger(&world).await;
        for person in [&world.owner, &stranger] {
            let asked = AuthorizationParameters {
                client_id: Some(COMMAND_LINE.to_string()),
                redirect_uri: Some("http://127.0.0.1:40000/callback".to_owned()),
                scope: None,
                ..asks(&confidential(&world).await, "")
            };
            let AuthorizationStep::Decide { application, scopes, consent } = step(&world, person, &asked).await.unwrap() else {
                panic!("this must be decided")
            };
            assert!(application.is_built_in() && consent && scopes == Scopes::everything());
            let redirect = world.identity.decide_authorization(person, ISSUER, &asked, true).await.unwrap();
            let code = carried(&redirect, "code").unwrap();
            let mut app = public(&world).await;
            app.credentials.id = Some(COMMAND_LINE.to_string());
            let answer = exchange(&world, &app, &code).await.unwrap();
            let ctx = crate::oauth::ctx_of(&world, &answer).await;
            assert_eq!((ctx.tenant().unwrap(), ctx.permissions()), (person.tenant().unwrap(), person.permissions()));
            assert_eq!(world.identity.me(&ctx).await.unwrap().name, "Plasma command line");
        }
    }

    async fn an_application_without_addresses_gets_no_codes(test: TestStore) {
        let world = World::new(test.store()).await;
        let new = NewApplication { redirect_uris: Vec::new(), ..new_application(ApplicationKind::Confidential) };
        let app: App = register(&world, new).await;
        assert_eq!(reason(step(&world, &world.owner, &asks(&app, SCOPE)).await), "invalid_request");
        assert_eq!(reason(exchange(&world, &app, "plo_x").await), "unauthorized_client");
    }
}
