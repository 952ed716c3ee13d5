#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{net::IpAddr, sync::Arc};

use plasma_kernel::{ApiKeyId, ApplicationId, Role, Subject, TeamId, UserId};
use proptest::prelude::*;

use super::*;
use crate::policy::{ActorKey, Facts, Moment, Question, Who};

const NOON: i64 = 12 * 3_600 * 1_000_000;

fn compiled(texts: &[&str]) -> Compiled {
    let sources = texts.iter().enumerate().map(|(number, text)| Source {
        id: PolicyId::from_bits(number as u128),
        name: format!("policy {number}"),
        text: (*text).to_owned(),
    });
    Compiled::of(sources.collect()).unwrap()
}

fn user(role: Role) -> Who {
    let subject = Subject { role: role.to_string(), email_domain: "example.org".to_owned(), ..Subject::default() };
    Who {
        actor: ActorKey::User(UserId::from_bits(1)),
        person: Some(UserId::from_bits(1)),
        teams: [TeamId::from_bits(5)].into(),
        subject: Arc::new(subject),
        multi_factor: false,
    }
}

fn key_of_the_user(role: Role) -> Who {
    Who { actor: ActorKey::ApiKey(ApiKeyId::from_bits(2)), ..user(role) }
}

struct Asked<'a> {
    who: &'a Who,
    id: Option<&'a str>,
    within: &'a [String],
    address: &'a str,
    at: i64,
}

fn by(who: &Who) -> Asked<'_> {
    Asked { who, id: None, within: &[], address: "192.0.2.1", at: NOON }
}

fn decide(compiled: &Compiled, asked: &Asked<'_>, granted: Permissions, action: Permission) -> Decision {
    let address: IpAddr = asked.address.parse().unwrap();
    let moment = Moment::new(Some(address), asked.at, "GET");
    let question = Question { who: asked.who, id: asked.id, within: asked.within, path: "/api/v1/things", moment };
    let facts = Facts::new();
    let mut scene = facts.scene(&question).unwrap();
    let more = asked.who.may_get_more();
    let decision = compiled.decide(action, granted, more, &mut scene).unwrap();
    // The other way to ask says the same.
    let allowed = compiled.allowed(granted, more, &mut facts.scene(&question).unwrap()).unwrap();
    assert_eq!(allowed.contains(action), decision.is_allowed(), "{action}: {decision:?}");
    decision
}

#[test]
fn without_a_statement_the_role_decides() {
    let (compiled, viewer) = (compiled(&[]), user(Role::Viewer));
    let granted = Role::Viewer.permissions();
    assert_eq!(decide(&compiled, &by(&viewer), granted, Permission::SearchQuery), Decision::Role);
    assert_eq!(decide(&compiled, &by(&viewer), granted, Permission::UsersWrite), Decision::Missing);
}

#[test]
fn a_forbid_takes_and_a_permit_gives_to_people_only() {
    let compiled = compiled(&[
        "forbid (principal, action == Action::\"search:query\", resource) when { context.hour < 8 };",
        "permit (principal in Team::\"team_00000000000000000000000005\", action == Action::\"users:read\", resource);",
    ]);
    let (viewer, key) = (user(Role::Viewer), key_of_the_user(Role::Viewer));
    let granted = Role::Viewer.permissions();
    let early = Asked { at: 7 * 3_600 * 1_000_000, ..by(&viewer) };
    assert_eq!(decide(&compiled, &early, granted, Permission::SearchQuery), Decision::Forbidden(vec![0]));
    assert_eq!(decide(&compiled, &by(&viewer), granted, Permission::SearchQuery), Decision::Role);
    assert_eq!(decide(&compiled, &by(&viewer), granted, Permission::UsersRead), Decision::Permitted(vec![1]));
    assert_eq!(decide(&compiled, &by(&key), granted, Permission::UsersRead), Decision::Missing);
    assert_eq!(compiled.name_of(&[1]), "policy 1");
    assert_eq!(compiled.matches(&[0])[0].effect, PolicyEffect::Forbid);
}

#[test]
fn a_forbid_is_stronger_than_any_permit() {
    let compiled = compiled(&["permit (principal, action == Action::\"users:read\", resource);
         forbid (principal, action == Action::\"users:read\", resource) unless { principal.multi_factor };"]);
    let once = user(Role::Viewer);
    let twice = Who { multi_factor: true, ..user(Role::Viewer) };
    let granted = Role::Viewer.permissions();
    assert_eq!(decide(&compiled, &by(&once), granted, Permission::UsersRead), Decision::Forbidden(vec![1]));
    assert_eq!(decide(&compiled, &by(&twice), granted, Permission::UsersRead), Decision::Permitted(vec![0]));
}

#[test]
fn resources_are_in_what_is_around_them_and_keys_in_their_person() {
    let compiled = compiled(&[
        "forbid (principal in User::\"usr_00000000000000000000000001\", action, resource in Resource::\"col_1\")
           when { resource.kind == \"documents\" || resource.id == \"kdoc_1\" };",
    ]);
    let (person, key) = (user(Role::Admin), key_of_the_user(Role::Admin));
    let other =
        Who { actor: ActorKey::User(UserId::from_bits(9)), person: Some(UserId::from_bits(9)), ..user(Role::Admin) };
    let within = ["col_1".to_owned()];
    let granted = Role::Admin.permissions();
    for who in [&person, &key] {
        let inside = Asked { id: Some("kdoc_1"), within: &within, ..by(who) };
        assert_eq!(decide(&compiled, &inside, granted, Permission::CollectionsRead), Decision::Forbidden(vec![0]));
        let another = Asked { id: Some("kdoc_2"), within: &within, ..by(who) };
        assert_eq!(decide(&compiled, &another, granted, Permission::CollectionsRead), Decision::Role);
        // The kind is that of the permission that is asked for.
        assert_eq!(decide(&compiled, &another, granted, Permission::DocumentsWrite), Decision::Forbidden(vec![0]));
        let elsewhere = Asked { id: Some("kdoc_1"), ..by(who) };
        assert_eq!(decide(&compiled, &elsewhere, granted, Permission::CollectionsRead), Decision::Role);
    }
    let inside = Asked { id: Some("kdoc_1"), within: &within, ..by(&other) };
    assert_eq!(decide(&compiled, &inside, granted, Permission::CollectionsRead), Decision::Role);
}

#[test]
fn networks_and_roles_can_be_asked_for() {
    let compiled = compiled(&["forbid (principal in Role::\"editor\", action, resource)
           unless { context.address.isInRange(ip(\"10.0.0.0/8\")) || context.network == \"loopback\" };"]);
    let (editor, admin) = (user(Role::Editor), user(Role::Admin));
    let granted = Role::Editor.permissions();
    for (who, address, allowed) in [
        (&editor, "10.9.8.7", true),
        (&editor, "::ffff:10.9.8.7", true),
        (&editor, "127.0.0.1", true),
        (&editor, "192.0.2.1", false),
        (&editor, "0.0.0.0", false),
        (&admin, "192.0.2.1", true),
    ] {
        let asked = Asked { address, ..by(who) };
        assert_eq!(decide(&compiled, &asked, granted, Permission::ContentWrite).is_allowed(), allowed, "{address}");
    }
}

#[test]
fn a_statement_that_fails_forbids_and_does_not_permit() {
    // The sum is too large to be a number.
    let overflow = "9223372036854775807 + context.hour > 0";
    let forbid = format!("forbid (principal, action, resource) when {{ {overflow} }};");
    let permit = format!("permit (principal, action == Action::\"users:read\", resource) when {{ {overflow} }};");
    let viewer = user(Role::Viewer);
    let granted = Role::Viewer.permissions();
    let decision = decide(&compiled(&[forbid.as_str()]), &by(&viewer), granted, Permission::SearchQuery);
    assert_eq!(decision, Decision::Forbidden(vec![0]));
    assert_eq!(decide(&compiled(&[permit.as_str()]), &by(&viewer), granted, Permission::UsersRead), Decision::Missing);
}

#[test]
fn a_policy_that_cannot_be_read_leaves_only_its_mending() {
    let compiled = compiled(&["permit (principal, action, resource);", "forbid everything"]);
    let owner = user(Role::Owner);
    let granted = Role::Owner.permissions();
    assert_eq!(decide(&compiled, &by(&owner), granted, Permission::PoliciesWrite), Decision::Role);
    assert_eq!(decide(&compiled, &by(&owner), granted, Permission::SearchQuery), Decision::Forbidden(vec![1]));
}

#[test]
fn permissions_of_which_the_same_is_said_are_decided_together() {
    let same = compiled(&["forbid (principal, action, resource) when { context.hour < 8 };"]);
    assert_eq!(same.classes.len(), 1);
    let two = compiled(&["forbid (principal, action, resource) when { context.hour < 8 };
         permit (principal, action in [Action::\"users:read\", Action::\"teams:read\"], resource);"]);
    assert_eq!(two.classes.len(), 2);
    let by_action = compiled(&["forbid (principal, action, resource) when { action == Action::\"users:read\" };"]);
    assert_eq!(by_action.classes.len(), Permission::ALL.len());
    let owner = user(Role::Owner);
    let granted = Role::Owner.permissions();
    assert_eq!(decide(&by_action, &by(&owner), granted, Permission::UsersRead), Decision::Forbidden(vec![0]));
    assert_eq!(decide(&by_action, &by(&owner), granted, Permission::TeamsRead), Decision::Role);
}

#[test]
fn scopes_are_matched_as_cedar_matches_them() {
    let person = user(Role::Editor);
    let key = key_of_the_user(Role::Editor);
    let application = Who { actor: ActorKey::Application(ApplicationId::from_bits(3), None), ..user(Role::Viewer) };
    let nobody = Who { person: None, teams: Arc::default(), ..application.clone() };
    let usr = "User::\"usr_00000000000000000000000001\"";
    let team = "Team::\"team_00000000000000000000000005\"";
    let whose: Vec<String> = [
        "principal".to_owned(),
        "principal is User".to_owned(),
        "principal is ApiKey".to_owned(),
        "principal is Application".to_owned(),
        format!("principal == {usr}"),
        format!("principal in {usr}"),
        format!("principal is ApiKey in {usr}"),
        format!("principal in {team}"),
        format!("principal is User in {team}"),
        "principal in Role::\"editor\"".to_owned(),
        "principal in Team::\"editor\"".to_owned(),
        "principal == Application::\"app_00000000000000000000000003\"".to_owned(),
    ]
    .into();
    let what = [
        "resource",
        "resource is Resource",
        "resource == Resource::\"kdoc_1\"",
        "resource in Resource::\"kdoc_1\"",
        "resource in Resource::\"col_1\"",
        "resource is Resource in Resource::\"col_1\"",
        "resource == Resource::\"/api/v1/things\"",
        "resource == Resource::\"col_1\"",
    ];
    let within = ["col_1".to_owned()];
    let places: [(Option<&str>, &[String]); 4] =
        [(Some("kdoc_1"), &within), (Some("kdoc_2"), &[]), (None, &within), (None, &[])];
    let facts = Facts::new();
    let (mut about, mut asked) = (0, 0);
    for (whose, what) in whose.iter().flat_map(|whose| what.iter().map(move |what| (whose, what))) {
        let text = format!("forbid ({whose}, action, {what});");
        let (ours, theirs) = (compiled(&[text.as_str()]), text.parse::<cedar::PolicySet>().unwrap());
        for who in [&person, &key, &application, &nobody] {
            for (id, within) in places {
                let moment = Moment::new(None, NOON, "GET");
                let question = Question { who, id, within, path: "/api/v1/things", moment };
                let mut scene = facts.scene(&question).unwrap();
                let decision = ours.decide(Permission::SearchQuery, Permissions::all(), false, &mut scene).unwrap();
                let (request, entities) = scene.request(Permission::SearchQuery, false).unwrap();
                let response = cedar::Authorizer::new().is_authorized(request, &theirs, entities);
                let expected = response.diagnostics().reason().next().is_some();
                assert_eq!(!decision.is_allowed(), expected, "{text} {who:?} {id:?}");
                about += usize::from(expected);
                asked += 1;
            }
        }
    }
    assert!(about > 100 && about < asked / 2, "{about} of {asked}");
}

/// Any set of permissions.
fn permissions() -> impl Strategy<Value = Permissions> {
    proptest::collection::vec(any::<bool>(), Permission::ALL.len()).prop_map(|chosen| {
        Permission::ALL.iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(permission, _)| *permission).collect()
    })
}

/// A statement with its effect and the permissions of its scope.
fn any_statement() -> impl Strategy<Value = (bool, Permissions, String)> {
    let conditions = prop_oneof![
        Just("true"),
        Just("context.hour < 12"),
        Just("principal.kind == \"user\""),
        Just("principal.multi_factor"),
        Just("resource.kind == \"users\""),
        Just("action == Action::\"content:read\""),
        Just("resource.path like \"/api/*\""),
    ];
    (any::<bool>(), permissions(), conditions).prop_map(|(permit, actions, condition)| {
        let effect = if permit { "permit" } else { "forbid" };
        let scope: Vec<String> = actions.iter().map(|action| format!("Action::\"{action}\"")).collect();
        let text = format!("{effect} (principal, action in [{}], resource) when {{ {condition} }};", scope.join(", "));
        (permit, actions, text)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn policies_never_give_more_than_their_permits_name_and_nothing_of_the_installation(
        statements in proptest::collection::vec(any_statement(), 0..6),
        granted in permissions(),
        is_key: bool,
    ) {
        let texts: Vec<&str> = statements.iter().map(|(_, _, text)| text.as_str()).collect();
        let compiled = compiled(&texts);
        let who = if is_key { key_of_the_user(Role::Viewer) } else { user(Role::Viewer) };
        let installation: Permissions = INSTALLATION.into_iter().collect();
        let named = statements.iter().filter(|(permit, ..)| *permit);
        let named = named.fold(Permissions::none(), |all, (_, actions, _)| all.union(*actions)).without(installation);
        let moment = Moment::new(None, NOON, "GET");
        let question = Question { who: &who, id: None, within: &[], path: "/api/v1/users", moment };
        let facts = Facts::new();
        let more = who.may_get_more();
        let allowed = compiled.allowed(granted, more, &mut facts.scene(&question).unwrap()).unwrap();
        let most = if is_key { granted } else { granted.union(named) };
        prop_assert!(most.contains_all(allowed));
        // Asked one by one, the answers are the same.
        for action in Permission::ALL {
            let decision = compiled.decide(*action, granted, more, &mut facts.scene(&question).unwrap()).unwrap();
            prop_assert_eq!(allowed.contains(*action), decision.is_allowed(), "{}", action);
        }
    }
}
