use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use plasma_identity::{
    AccessQuestion, AccessRequest, AccessResource, Circumstances, DecidedBy, NewApiKey, NewPolicy, Policy,
    PolicyChange, PolicyDraft, PolicyEffect,
};
use plasma_kernel::{Code, Ctx, Error, Origin, PageRequest, Permission, Result, Role};
use plasma_testkit::on_each_database;

use crate::{
    isolation::second_tenant,
    roles::enter_as,
    support::{World, all_of, only, page, reason, refused},
};

fn policy(name: &str, text: &str) -> NewPolicy {
    NewPolicy { name: name.to_owned(), description: String::new(), text: text.to_owned(), enabled: true }
}

fn asks(action: Permission, path: &str) -> AccessRequest<'_> {
    AccessRequest { action: Some(action), id: None, within: &[], path, method: "GET" }
}

/// The same caller at an address.
fn at(ctx: &Ctx, address: &str) -> Ctx {
    let address: IpAddr = address.parse().unwrap();
    ctx.clone().with_origin(Arc::new(Origin { address: Some(address), user_agent: None }))
}

/// What the caller may do now, as the edge asks.
async fn may(world: &World, token: &str, action: Permission) -> Result<Ctx> {
    let ctx = world.identity.authenticate(token).await?.ctx;
    world.identity.authorize(at(&ctx, "192.0.2.1"), &asks(action, "/api/v1/things")).await
}

fn change(policy: &Policy) -> PolicyChange {
    PolicyChange { expected_version: policy.version, ..PolicyChange::default() }
}

fn draft(text: &str) -> PolicyDraft {
    PolicyDraft { id: None, text: text.to_owned(), enabled: true }
}

fn about(principal: impl ToString, action: Permission) -> AccessQuestion {
    AccessQuestion {
        principal: Some(principal.to_string()),
        action,
        resource: AccessResource::default(),
        circumstances: Circumstances::default(),
    }
}

const NO_EDITORS: &str = "forbid (principal in Role::\"editor\", action == Action::\"content:write\", resource);";

on_each_database! {
    async fn a_policy_holds_from_the_next_request_on(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let (token, _) = world.enter("ada").await;
        assert!(may(&world, &token, Permission::ContentWrite).await.is_ok());
        let policy = world.identity.create_policy(&world.owner, policy("Freeze", NO_EDITORS)).await.unwrap();
        assert_eq!((policy.version, policy.statements, policy.enabled), (1, 1, true));
        let error = refused(may(&world, &token, Permission::ContentWrite).await);
        assert_eq!((error.code(), error.reason()), (Code::Forbidden, "forbidden_by_policy"));
        assert!(error.message().contains("Freeze") && error.message().contains("content:write"), "{error}");
        // It takes the permission out of the context too, so that a verb that asks for it as its second is bound.
        let ctx = may(&world, &token, Permission::ContentRead).await.unwrap();
        assert!(!ctx.permissions().contains(Permission::ContentWrite));
        assert!(ctx.permissions().contains(Permission::SearchQuery));

        let off = PolicyChange { enabled: Some(false), ..change(&policy) };
        let policy = world.identity.update_policy(&world.owner, policy.id, off).await.unwrap();
        assert!(may(&world, &token, Permission::ContentWrite).await.is_ok());
        let on = PolicyChange { enabled: Some(true), ..change(&policy) };
        world.identity.update_policy(&world.owner, policy.id, on).await.unwrap();
        assert!(may(&world, &token, Permission::ContentWrite).await.is_err());
        world.identity.delete_policy(&world.owner, policy.id).await.unwrap();
        assert!(may(&world, &token, Permission::ContentWrite).await.is_ok());
        for (kind, times) in [("created", 1), ("updated", 2), ("deleted", 1)] {
            assert_eq!(world.count_events(&world.owner, &format!("identity.policy.{kind}"), policy.id).await, times);
        }
    }

    async fn another_process_follows_within_five_seconds(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let (token, _) = world.enter("ada").await;
        let other = world.other_process(test.open_again().await);
        let asked = async || {
            let ctx = other.authenticate(&token).await.unwrap().ctx;
            other.decide(&ctx, &asks(Permission::ContentWrite, "/api/v1/content/documents")).await
        };
        assert!(asked().await.is_ok());
        world.identity.create_policy(&world.owner, policy("Freeze", NO_EDITORS)).await.unwrap();
        let made = Instant::now();
        while asked().await.is_ok() {
            assert!(made.elapsed() < Duration::from_millis(5_500), "still allowed after {:?}", made.elapsed());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn a_permit_gives_people_more_but_not_keys_and_nobody_hands_it_on(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Viewer).await;
        let (token, ctx) = world.enter("ada").await;
        let key = world.identity.create_api_key(&world.owner, all_of(Role::Viewer)).await.unwrap();
        let text = "permit (principal, action in [Action::\"users:read\", Action::\"roles:write\"], resource);
                    permit (principal, action == Action::\"installation:manage\", resource);";
        world.identity.create_policy(&world.owner, policy("Help", text)).await.unwrap();
        assert_eq!(reason(world.identity.users(&ctx, &page()).await), "forbidden");
        let ctx = may(&world, &token, Permission::UsersRead).await.unwrap();
        world.identity.users(&ctx, &page()).await.unwrap();
        assert_eq!(reason(may(&world, &token, Permission::InstallationManage).await), "forbidden");
        assert_eq!(reason(may(&world, key.key.expose(), Permission::UsersRead).await), "forbidden");
        // She may make roles now, but only of what is hers to give.
        let lent = crate::roles::role_of("Lent", &[Permission::UsersRead]);
        assert_eq!(reason(world.identity.create_role(&ctx, lent).await), "forbidden");
        world.identity.create_role(&ctx, crate::roles::role_of("Own", &[Permission::SearchQuery])).await.unwrap();
    }

    async fn nobody_permits_more_than_they_may_do(test: TestStore) {
        let world = World::new(test.store()).await;
        let held = [Permission::PoliciesRead, Permission::PoliciesWrite, Permission::UsersRead];
        let (_, ctx) = enter_as(&world, "ada", &held).await;
        let wide = "permit (principal, action == Action::\"users:write\", resource);";
        assert_eq!(reason(world.identity.create_policy(&ctx, policy("Wide", wide)).await), "forbidden");
        let all = "permit (principal, action, resource);";
        assert_eq!(reason(world.identity.create_policy(&ctx, policy("All", all)).await), "forbidden");
        let own = "permit (principal, action == Action::\"users:read\", resource);";
        let own = world.identity.create_policy(&ctx, policy("Own", own)).await.unwrap();
        let wider = PolicyChange { text: Some(wide.to_owned()), ..change(&own) };
        assert_eq!(reason(world.identity.update_policy(&ctx, own.id, wider).await), "forbidden");
        // Written down it may be, put into force only by somebody who may do it.
        let later = NewPolicy { enabled: false, ..policy("Later", wide) };
        let later = world.identity.create_policy(&ctx, later).await.unwrap();
        let on = PolicyChange { enabled: Some(true), ..change(&later) };
        assert_eq!(reason(world.identity.update_policy(&ctx, later.id, on.clone()).await), "forbidden");
        world.identity.update_policy(&world.owner, later.id, on).await.unwrap();
    }

    async fn a_policy_that_shuts_everybody_out_is_refused(test: TestStore) {
        let world = World::new(test.store()).await;
        let owner = at(&world.owner, "192.0.2.1");
        let make = async |text: &str| world.identity.create_policy(&owner, policy("Test", text)).await;
        for text in [
            "forbid (principal, action, resource);",
            "forbid (principal, action == Action::\"policies:write\", resource);",
            "forbid (principal in Role::\"owner\", action, resource);",
            "forbid (principal, action, resource) unless { context.address.isInRange(ip(\"10.0.0.0/8\")) };",
            "forbid (principal, action, resource) unless { principal.multi_factor };",
        ] {
            let error = refused(make(text).await);
            assert_eq!((error.code(), error.reason()), (Code::Conflict, "policy_locks_out"), "{text}");
        }
        assert!(world.identity.policies(&world.owner, &page()).await.unwrap().data.is_empty());
        // From where she is, and for everybody but owners, it is fine.
        let office = "forbid (principal, action, resource) unless { context.address.isInRange(ip(\"192.0.2.0/24\")) };";
        world.identity.create_policy(&owner, policy("Office", office)).await.unwrap();
        let text = "forbid (principal, action == Action::\"policies:write\", resource) unless { principal in Role::\"owner\" };";
        world.identity.create_policy(&owner, policy("Owners", text)).await.unwrap();

        // A key asks, so it is the owners who must be able to take it back.
        let key = world.identity.create_api_key(&world.owner, only(Role::Owner, &[Permission::PoliciesRead, Permission::PoliciesWrite])).await.unwrap();
        let key = at(&world.identity.authenticate(key.key.expose()).await.unwrap().ctx, "192.0.2.1");
        let no_keys = "forbid (principal is ApiKey, action, resource);";
        world.identity.create_policy(&key, policy("No keys", no_keys)).await.unwrap();
        let no_owners = "forbid (principal in Role::\"owner\", action, resource);";
        assert_eq!(reason(world.identity.create_policy(&key, policy("No owners", no_owners)).await), "policy_locks_out");
    }

    async fn edits_are_versions_with_who_made_them(test: TestStore) {
        let world = World::new(test.store()).await;
        let first = world.identity.create_policy(&world.owner, policy("Freeze", NO_EDITORS)).await.unwrap();
        world.add("carl", Role::Owner).await;
        let (_, carl) = world.enter("carl").await;
        world.clock.advance(Duration::from_secs(5));
        let text = NO_EDITORS.replace("editor", "viewer");
        let edit = PolicyChange { name: Some("Thaw".to_owned()), text: Some(text.clone()), ..change(&first) };
        let second = world.identity.update_policy(&carl, first.id, edit).await.unwrap();
        assert_eq!((second.version, second.updated_by.clone()), (2, carl.actor().clone()));
        let late = PolicyChange { enabled: Some(false), ..change(&first) };
        assert_eq!(reason(world.identity.update_policy(&world.owner, first.id, late).await), "policy_changed");
        // The same again is no version.
        assert_eq!(world.identity.update_policy(&carl, first.id, change(&second)).await.unwrap(), second);

        let versions = world.identity.policy_versions(&world.owner, first.id, &page()).await.unwrap().data;
        let told: Vec<_> = versions.iter().map(|version| (version.version, version.name.as_str(), version.text.as_str())).collect();
        assert_eq!(told, [(2, "Thaw", text.as_str()), (1, "Freeze", NO_EDITORS)]);
        assert_eq!((&versions[0].changed_by, &versions[1].changed_by), (carl.actor(), world.owner.actor()));
        assert_eq!(versions[0].changed_at - versions[1].changed_at, 5_000_000);
        let one = PageRequest { limit: 1, cursor: None };
        let newest = world.identity.policy_versions(&world.owner, first.id, &one).await.unwrap();
        let next = PageRequest { limit: 1, cursor: newest.next_cursor };
        assert_eq!(world.identity.policy_versions(&world.owner, first.id, &next).await.unwrap().data[0].version, 1);
        let wrong = PageRequest { limit: 1, cursor: Some("x".to_owned()) };
        assert_eq!(refused(world.identity.policy_versions(&world.owner, first.id, &wrong).await).field_name(), Some("cursor"));
    }

    async fn wrong_policies_are_refused_with_their_place(test: TestStore) {
        let world = World::new(test.store()).await;
        let make = async |name: &str, text: &str| refused(world.identity.create_policy(&world.owner, policy(name, text)).await);
        let told = |error: &Error| (error.reason(), error.field_name().map(str::to_owned));
        assert_eq!(told(&make("", NO_EDITORS).await), ("invalid", Some("name".to_owned())));
        let wrong = make("A", "forbid (principal, action, resource)\nwhen { principal.colour == \"red\" };").await;
        assert_eq!(told(&wrong), ("invalid", Some("text".to_owned())));
        assert!(wrong.message().starts_with("line 2, column "), "{wrong}");
        assert_eq!(told(&make("A", &"x".repeat(20_000)).await), ("too_large", Some("text".to_owned())));
        world.identity.create_policy(&world.owner, policy("Freeze", NO_EDITORS)).await.unwrap();
        assert_eq!(told(&make("FREEZE", NO_EDITORS).await), ("policy_name_taken", Some("name".to_owned())));
    }

    async fn each_verb_needs_its_permission(test: TestStore) {
        let world = World::new(test.store()).await;
        let kept = world.identity.create_policy(&world.owner, policy("Freeze", NO_EDITORS)).await.unwrap();
        world.add("ada", Role::Admin).await;
        let (_, admin) = world.enter("ada").await;
        assert_eq!(world.identity.policies(&admin, &page()).await.unwrap().data.len(), 1);
        assert!(world.identity.policy_schema(&admin).unwrap().contains("content:write"));
        assert_eq!(reason(world.identity.create_policy(&admin, policy("Mine", NO_EDITORS)).await), "forbidden");
        assert_eq!(reason(world.identity.update_policy(&admin, kept.id, change(&kept)).await), "forbidden");
        assert_eq!(reason(world.identity.delete_policy(&admin, kept.id).await), "forbidden");
        assert_eq!(reason(world.identity.test_policy(&admin, draft(NO_EDITORS)).await), "forbidden");
        world.add("vera", Role::Viewer).await;
        let (_, viewer) = world.enter("vera").await;
        assert_eq!(reason(world.identity.policies(&viewer, &page()).await), "forbidden");
        assert_eq!(reason(world.identity.policy(&viewer, kept.id).await), "forbidden");
        assert_eq!(reason(world.identity.policy_versions(&viewer, kept.id, &page()).await), "forbidden");
        assert_eq!(reason(world.identity.explain_access(&viewer, about(world.owner_id(), Permission::ContentRead)).await), "forbidden");
        let b = second_tenant(&world).await;
        assert_eq!(reason(world.identity.policy(&b, kept.id).await), "policy_not_found");
        assert_eq!(reason(world.identity.update_policy(&b, kept.id, change(&kept)).await), "policy_not_found");
        assert_eq!(reason(world.identity.delete_policy(&b, kept.id).await), "policy_not_found");
        let draft = PolicyDraft { id: Some(kept.id), ..draft(NO_EDITORS) };
        assert_eq!(reason(world.identity.test_policy(&b, draft).await), "policy_not_found");
        assert_eq!(reason(world.identity.explain_access(&b, about(world.owner_id(), Permission::ContentRead)).await), "user_not_found");
        // Nor does it bind the other workspace.
        assert!(world.identity.authorize(b, &asks(Permission::ContentWrite, "/x")).await.is_ok());
    }

    async fn a_dry_run_shows_what_would_change(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let (token, _) = world.enter("ada").await;
        let key = world.identity.create_api_key(&world.owner, NewApiKey { name: "Site".to_owned(), ..all_of(Role::Editor) }).await.unwrap();
        for _ in 0..3 {
            may(&world, &token, Permission::ContentWrite).await.unwrap();
        }
        may(&world, key.key.expose(), Permission::ContentWrite).await.unwrap();
        may(&world, &token, Permission::ContentRead).await.unwrap();
        refused(may(&world, &token, Permission::UsersRead).await);

        let test = world.identity.test_policy(&world.owner, draft(NO_EDITORS)).await.unwrap();
        assert_eq!((test.examined, test.newly_refused, test.newly_allowed), (4, 2, 0));
        assert_eq!((test.refusal, test.since), (None, Some(world.clock.now())));
        let told: Vec<_> = test.changes.iter().map(|request| (request.name.as_deref(), request.count, request.allowed)).collect();
        assert!(told.contains(&(Some("ada"), 3, false)) && told.contains(&(Some("Site"), 1, false)), "{told:?}");
        let first = &test.changes[0];
        assert_eq!((first.action, first.path.as_str()), (Permission::ContentWrite, "/api/v1/things"));
        assert_eq!((first.policies[0].name.as_str(), first.policies[0].effect), ("this policy", PolicyEffect::Forbid));

        let more = "permit (principal in Role::\"editor\", action == Action::\"users:read\", resource);";
        let test = world.identity.test_policy(&world.owner, draft(more)).await.unwrap();
        assert_eq!((test.newly_refused, test.newly_allowed), (0, 1));
        let wrong = world.identity.test_policy(&world.owner, draft("forbid (principal, action);")).await.unwrap();
        assert!(wrong.problems.iter().any(|problem| problem.is_error) && wrong.examined == 0);
        let shut = world.identity.test_policy(&world.owner, draft("forbid (principal, action, resource);")).await.unwrap();
        assert!(shut.refusal.is_some_and(|why| why.contains("policies")));
        // Nothing was kept, and nothing holds.
        assert!(may(&world, &token, Permission::ContentWrite).await.is_ok());

        // Without a policy that is in force, what it forbade would be allowed.
        let kept = world.identity.create_policy(&world.owner, policy("Freeze", NO_EDITORS)).await.unwrap();
        let gone = PolicyDraft { id: Some(kept.id), text: NO_EDITORS.to_owned(), enabled: false };
        let test = world.identity.test_policy(&world.owner, gone).await.unwrap();
        assert_eq!((test.newly_refused, test.newly_allowed), (0, 2));
    }

    async fn decisions_are_explained_in_words(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Editor).await;
        let (_, ctx) = world.enter("ada").await;
        let explain = async |asked: AccessQuestion| world.identity.explain_access(&world.owner, asked).await.unwrap();
        let by_role = explain(about(ada.id, Permission::ContentWrite)).await;
        assert_eq!((by_role.allowed, by_role.decided_by), (true, DecidedBy::Role));
        assert_eq!(by_role.text, "ada may do `content:write`: the role editor allows it, and no policy forbids it.");
        let missing = explain(about(ada.id, Permission::UsersRead)).await;
        assert_eq!((missing.allowed, missing.decided_by, missing.missing), (false, DecidedBy::MissingPermission, Some(Permission::UsersRead)));
        assert_eq!(missing.roles_with_it, ["owner", "admin"]);
        assert!(missing.text.contains("neither the role editor nor a policy"), "{}", missing.text);

        let text = "permit (principal, action == Action::\"users:read\", resource);
                    forbid (principal in Role::\"editor\", action == Action::\"content:write\", resource in Resource::\"doc_1\")
                      unless { context.hour < 6 };";
        world.identity.create_policy(&world.owner, policy("Care", text)).await.unwrap();
        let permitted = explain(about(ada.id, Permission::UsersRead)).await;
        assert_eq!((permitted.allowed, permitted.decided_by), (true, DecidedBy::Policy));
        assert_eq!((permitted.policies[0].name.as_str(), permitted.policies[0].statement), ("Care", 1));
        let mut asked = about(ada.id, Permission::ContentWrite);
        asked.resource.id = Some("doc_1".to_owned());
        asked.circumstances.at = Some(12 * 3_600 * 1_000_000);
        let forbidden = explain(asked.clone()).await;
        assert_eq!((forbidden.allowed, forbidden.decided_by, forbidden.policies[0].statement), (false, DecidedBy::Policy, 2));
        assert!(forbidden.policies[0].text.contains("doc_1"));
        assert!(forbidden.text.contains("the policy `Care` (statement 2) forbids it, though the role editor allows it"), "{}", forbidden.text);
        asked.circumstances.at = Some(5 * 3_600 * 1_000_000);
        assert!(explain(asked.clone()).await.allowed);
        // About herself she may ask, without seeing what policies say.
        asked.circumstances.at = Some(12 * 3_600 * 1_000_000);
        asked.principal = None;
        let own = world.identity.explain_access(&ctx, asked).await.unwrap();
        assert_eq!((own.allowed, own.policies[0].name.as_str(), own.policies[0].text.as_str()), (false, "Care", ""));
        assert_eq!(refused(world.identity.explain_access(&world.owner, about("somebody", Permission::ContentRead)).await).field_name(), Some("principal"));
    }

    async fn what_bounds_a_key_is_explained(test: TestStore) {
        let world = World::new(test.store()).await;
        let explain = async |id: plasma_kernel::ApiKeyId, action: Permission, address: &str| {
            let mut asked = about(id, action);
            asked.circumstances.address = Some(address.parse().unwrap());
            let told = world.identity.explain_access(&world.owner, asked).await.unwrap();
            (told.allowed, told.decided_by, told.text)
        };
        let new = NewApiKey { addresses: vec!["192.0.2.0/24".to_owned()], ..only(Role::Editor, &[Permission::SearchQuery]) };
        let key = world.identity.create_api_key(&world.owner, new).await.unwrap().api_key;
        assert_eq!(explain(key.id, Permission::SearchQuery, "192.0.2.1").await.1, DecidedBy::Role);
        assert_eq!(explain(key.id, Permission::ContentWrite, "192.0.2.1").await.1, DecidedBy::Scopes);
        assert_eq!(explain(key.id, Permission::UsersRead, "192.0.2.1").await.1, DecidedBy::MissingPermission);
        let elsewhere = explain(key.id, Permission::SearchQuery, "198.51.100.1").await;
        assert_eq!((elsewhere.0, elsewhere.1), (false, DecidedBy::NotUsable));
        assert!(elsewhere.2.contains("may not be used from this address"), "{}", elsewhere.2);

        let ada = world.add("ada", Role::Admin).await;
        let (_, ctx) = world.enter("ada").await;
        let of_ada = world.identity.create_api_key(&ctx, all_of(Role::Admin)).await.unwrap().api_key;
        world.identity.assign_role(&world.owner, ada.id, Role::Viewer.into()).await.unwrap();
        assert_eq!(explain(of_ada.id, Permission::UsersRead, "192.0.2.1").await.1, DecidedBy::Creator);
        world.identity.revoke_api_key(&world.owner, of_ada.id).await.unwrap();
        assert_eq!(explain(of_ada.id, Permission::SearchQuery, "192.0.2.1").await.1, DecidedBy::NotUsable);
    }
}
