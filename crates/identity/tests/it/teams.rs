use std::{sync::Arc, time::Duration};

use plasma_identity::{NewApiKey, NewTeam, Team, TeamChange, TeamMember};
use plasma_kernel::{Code, Ctx, PageRequest, Permission, Role, TeamId, UserId};
use plasma_testkit::on_each_database;

use crate::{
    isolation::second_tenant,
    support::{World, all_of, only, page, reason, refused},
};

fn named(name: &str) -> NewTeam {
    NewTeam { name: name.to_owned(), description: String::new() }
}

async fn make(world: &World, name: &str) -> Team {
    // Those who join later are told apart by the clock.
    world.clock.advance(Duration::from_millis(2));
    world.identity.create_team(&world.owner, named(name)).await.unwrap()
}

async fn put(world: &World, team: TeamId, user: UserId, is_default: Option<bool>) -> TeamMember {
    world.clock.advance(Duration::from_millis(2));
    world.identity.put_team_member(&world.owner, team, user, is_default).await.unwrap()
}

/// The team to which a call with this token is counted.
async fn team_of(world: &World, token: &str) -> Option<TeamId> {
    world.identity.authenticate(token).await.unwrap().ctx.team()
}

async fn members(world: &World, team: TeamId) -> Vec<TeamMember> {
    world.identity.team_members(&world.owner, team, &page()).await.unwrap().data
}

/// A key of Ada's.
async fn key(world: &World, ctx: &Ctx, team: Option<TeamId>) -> String {
    let new = NewApiKey { team, ..all_of(Role::Viewer) };
    world.identity.create_api_key(ctx, new).await.unwrap().key.expose().to_owned()
}

on_each_database! {
    async fn teams_are_made_renamed_listed_and_deleted(test: TestStore) {
        let world = World::new(test.store()).await;
        let new = NewTeam { name: "  Marketing ".to_owned(), description: " Writes.\nEdits. ".to_owned() };
        let team = world.identity.create_team(&world.owner, new).await.unwrap();
        assert_eq!((team.name.as_str(), team.description.as_str(), team.member_count), ("Marketing", "Writes.\nEdits.", 0));
        assert_eq!(world.identity.team(&world.owner, team.id).await.unwrap(), team);
        let others = [make(&world, "Ärzte").await.id, make(&world, "Sales").await.id];

        // A name is taken whatever its case, also beyond ASCII.
        for taken in ["MARKETING", "ärzte"] {
            let error = refused(world.identity.create_team(&world.owner, named(taken)).await);
            assert_eq!((error.code(), error.reason(), error.field_name()), (Code::Conflict, "team_name_taken", Some("name")));
            assert!(error.remedy_text().is_some());
        }
        let rename = |name: &str| TeamChange { name: Some(name.to_owned()), description: None };
        assert_eq!(reason(world.identity.update_team(&world.owner, team.id, rename("sales")).await), "team_name_taken");
        world.clock.advance(Duration::from_secs(1));
        let changed = world.identity.update_team(&world.owner, team.id, rename("MarKeting")).await.unwrap();
        assert_eq!((changed.name.as_str(), changed.description.as_str()), ("MarKeting", "Writes.\nEdits."));
        assert_eq!((changed.created_at, changed.updated_at), (team.created_at, world.clock.now()));
        // The same again changes nothing and tells nothing.
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(world.identity.update_team(&world.owner, team.id, rename("MarKeting")).await.unwrap(), changed);
        let empty = TeamChange { name: None, description: Some(String::new()) };
        assert_eq!(world.identity.update_team(&world.owner, team.id, empty).await.unwrap().description, "");

        let mut listed = Vec::new();
        let mut request = PageRequest { limit: 2, cursor: None };
        loop {
            let page = world.identity.teams(&world.owner, &request).await.unwrap();
            listed.extend(page.data.into_iter().map(|team| team.id));
            if !page.has_more {
                break;
            }
            request.cursor = page.next_cursor;
        }
        assert_eq!(listed, [others[1], others[0], team.id]);

        world.identity.delete_team(&world.owner, team.id).await.unwrap();
        assert_eq!(reason(world.identity.team(&world.owner, team.id).await), "team_not_found");
        assert_eq!(reason(world.identity.delete_team(&world.owner, team.id).await), "team_not_found");
        make(&world, "Marketing").await;
        for (kind, times) in [("created", 1), ("updated", 2), ("deleted", 1)] {
            assert_eq!(world.count_events(&world.owner, &format!("identity.team.{kind}"), team.id).await, times, "{kind}");
        }
    }

    async fn a_call_is_counted_to_one_team_and_changes_bind_at_once(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Admin).await.id;
        let (session, ctx) = world.enter("ada").await;
        let (blue, red) = (make(&world, "Blue").await.id, make(&world, "Red").await.id);
        let own = key(&world, &ctx, None).await;
        let reds = key(&world, &ctx, Some(red)).await;
        let all = async || [team_of(&world, &session).await, team_of(&world, &own).await, team_of(&world, &reds).await];
        assert_eq!(all().await, [None, None, Some(red)]);

        // The first team is the default, a further one is not.
        assert!(put(&world, blue, ada, None).await.is_default);
        assert_eq!(all().await, [Some(blue), Some(blue), Some(red)]);
        assert!(!put(&world, red, ada, None).await.is_default);
        assert_eq!(all().await, [Some(blue), Some(blue), Some(red)]);
        assert!(put(&world, red, ada, Some(true)).await.is_default);
        assert_eq!(all().await, [Some(red), Some(red), Some(red)]);
        assert!(!members(&world, blue).await[0].is_default);
        // Again is fine and tells nothing new.
        put(&world, red, ada, Some(true)).await;
        put(&world, red, ada, None).await;
        assert_eq!(world.count_events(&world.owner, "identity.team.default_changed", red).await, 1);
        assert_eq!(world.count_events(&world.owner, "identity.team.member_added", red).await, 1);
        // Nobody is left without a default.
        let error = refused(world.identity.put_team_member(&world.owner, red, ada, Some(false)).await);
        assert_eq!((error.code(), error.reason()), (Code::Conflict, "default_team_needed"));
        assert!(!put(&world, blue, ada, Some(false)).await.is_default);

        world.identity.remove_team_member(&world.owner, red, ada).await.unwrap();
        assert_eq!(all().await, [Some(blue), Some(blue), Some(red)]);
        assert_eq!(reason(world.identity.remove_team_member(&world.owner, red, ada).await), "team_member_not_found");
        world.identity.delete_team(&world.owner, red).await.unwrap();
        assert_eq!(all().await, [Some(blue), Some(blue), Some(blue)]);
        world.identity.delete_team(&world.owner, blue).await.unwrap();
        assert_eq!(all().await, [None, None, None]);
        let keys = world.identity.api_keys(&world.owner, &page()).await.unwrap().data;
        assert!(keys.iter().all(|key| key.team.is_none() && key.revoked_at.is_none()), "{keys:?}");
    }

    async fn a_token_acts_with_the_access_of_its_person(test: TestStore) {
        let world = World::new(test.store()).await;
        let (one, two) = (make(&world, "One").await.id, make(&world, "Two").await.id);
        let owner = world.owner.user().unwrap();
        let token = key(&world, &world.owner, Some(two)).await;
        let access = async || {
            let ctx = world.identity.authenticate(&token).await.unwrap().ctx;
            (ctx.person(), ctx.teams().to_vec())
        };
        // The team to which calls are counted opens nothing.
        assert_eq!(access().await, (Some(owner), vec![]));
        put(&world, two, owner, None).await;
        put(&world, one, owner, None).await;
        let mut teams = vec![one, two];
        teams.sort_unstable();
        assert_eq!(access().await, (Some(owner), teams.clone()));
        let (permissions, known) = world.identity.access_of(&world.owner, owner).await.unwrap();
        assert!(permissions.contains_all(Role::Owner.permissions()));
        assert_eq!(known.to_vec(), teams);
        world.identity.remove_team_member(&world.owner, two, owner).await.unwrap();
        assert_eq!(access().await, (Some(owner), vec![one]));
        assert_eq!(reason(world.identity.access_of(&world.owner, UserId::from_bits(1)).await), "user_not_found");
    }

    async fn the_team_that_was_joined_first_takes_the_place_of_a_lost_default(test: TestStore) {
        let world = World::new(test.store()).await;
        let (ada, carl) = (world.add("ada", Role::Viewer).await.id, world.add("carl", Role::Viewer).await.id);
        let mut teams = Vec::new();
        for name in ["Late", "Early", "Lost"] {
            teams.push(make(&world, name).await.id);
        }
        let [late, early, lost] = teams[..] else { panic!("{teams:?}") };
        for team in [lost, early, late] {
            put(&world, team, ada, None).await;
        }
        put(&world, early, carl, None).await;
        put(&world, lost, carl, Some(true)).await;
        world.identity.delete_team(&world.owner, lost).await.unwrap();
        let defaults = async |team| {
            let members = members(&world, team).await;
            let of = |user| members.iter().find(|member| member.user == user).map(|member| member.is_default);
            [of(ada), of(carl)]
        };
        assert_eq!([defaults(early).await, defaults(late).await], [[Some(true), Some(true)], [Some(false), None]]);
        assert_eq!(world.count_events(&world.owner, "identity.team.default_changed", early).await, 2);

        // Whoever leaves the workspace leaves its teams.
        world.identity.delete_user(&world.owner, ada).await.unwrap();
        assert_eq!([defaults(early).await, defaults(late).await], [[None, Some(true)], [None, None]]);
        assert_eq!(world.identity.team(&world.owner, early).await.unwrap().member_count, 1);
        assert_eq!(world.count_events(&world.owner, "identity.team.member_removed", late).await, 1);
    }

    async fn of_many_who_choose_a_default_at_once_one_wins(test: TestStore) {
        let world = Arc::new(World::new(test.store()).await);
        let ada = world.add("ada", Role::Viewer).await.id;
        let mut teams = Vec::new();
        for number in 0..4 {
            teams.push(make(&world, &format!("team {number}")).await.id);
        }
        for _ in 0..4 {
            let tries: Vec<_> = teams
                .iter()
                .map(|team| {
                    let (world, team) = (Arc::clone(&world), *team);
                    tokio::spawn(async move { world.identity.put_team_member(&world.owner, team, ada, Some(true)).await })
                })
                .collect();
            for attempt in tries {
                assert!(attempt.await.unwrap().unwrap().is_default);
            }
            let mut defaults = 0;
            for team in &teams {
                defaults += members(&world, *team).await.iter().filter(|member| member.is_default).count();
            }
            assert_eq!(defaults, 1);
        }
    }

    async fn members_are_listed_by_page_and_named_for_those_who_may_see_people(test: TestStore) {
        let world = World::new(test.store()).await;
        let team = make(&world, "Blue").await.id;
        for name in ["ada", "bob", "cleo"] {
            let user = world.add(name, Role::Viewer).await.id;
            put(&world, team, user, None).await;
        }
        assert_eq!(world.identity.team(&world.owner, team).await.unwrap().member_count, 3);
        let first = world.identity.team_members(&world.owner, team, &PageRequest { limit: 2, cursor: None }).await.unwrap();
        let rest = PageRequest { limit: 2, cursor: first.next_cursor.clone() };
        let rest = world.identity.team_members(&world.owner, team, &rest).await.unwrap();
        let names: Vec<_> = first.data.iter().chain(&rest.data).map(|member| member.name.as_deref().unwrap()).collect();
        assert_eq!((names.as_slice(), first.has_more, rest.has_more), (&["cleo", "bob", "ada"][..], true, false));
        assert_eq!(first.data[0].email.as_deref(), Some("cleo@example.org"));

        let reader = only(Role::Admin, &[Permission::TeamsRead]);
        let reader = world.identity.create_api_key(&world.owner, reader).await.unwrap().key;
        let reader = world.identity.authenticate(reader.expose()).await.unwrap().ctx;
        let seen = world.identity.team_members(&reader, team, &page()).await.unwrap().data;
        assert!(seen.len() == 3 && seen.iter().all(|member| member.name.is_none() && member.email.is_none()));
        assert_eq!(reason(world.identity.delete_team(&reader, team).await), "forbidden");
    }

    async fn each_verb_of_teams_needs_its_permission(test: TestStore) {
        let world = World::new(test.store()).await;
        let team = make(&world, "Blue").await.id;
        let ada = world.add("ada", Role::Editor).await.id;
        let (_, editor) = world.enter("ada").await;
        let identity = &world.identity;
        assert_eq!(reason(identity.teams(&editor, &page()).await), "forbidden");
        assert_eq!(reason(identity.team(&editor, team).await), "forbidden");
        assert_eq!(reason(identity.create_team(&editor, named("Red")).await), "forbidden");
        assert_eq!(reason(identity.update_team(&editor, team, TeamChange::default()).await), "forbidden");
        assert_eq!(reason(identity.delete_team(&editor, team).await), "forbidden");
        assert_eq!(reason(identity.team_members(&editor, team, &page()).await), "forbidden");
        assert_eq!(reason(identity.put_team_member(&editor, team, ada, None).await), "forbidden");
        assert_eq!(reason(identity.remove_team_member(&editor, team, ada).await), "forbidden");
        world.add("carl", Role::Admin).await;
        let (_, admin) = world.enter("carl").await;
        identity.put_team_member(&admin, team, ada, None).await.unwrap();
    }

    async fn wrong_teams_are_refused_with_their_field(test: TestStore) {
        let world = World::new(test.store()).await;
        let long = "a".repeat(201);
        for name in ["", "  ", "a\nb", "a\0b", &long] {
            let error = refused(world.identity.create_team(&world.owner, named(name)).await);
            assert_eq!((error.code(), error.field_name()), (Code::Invalid, Some("name")), "{name:?}");
        }
        for description in ["a\0b".to_owned(), "a".repeat(1_001)] {
            let new = NewTeam { description, ..named("Blue") };
            assert_eq!(refused(world.identity.create_team(&world.owner, new).await).field_name(), Some("description"));
        }
        let (none, team) = (TeamId::from_bits(1), make(&world, "Blue").await.id);
        assert_eq!(reason(world.identity.put_team_member(&world.owner, none, world.owner_id(), None).await), "team_not_found");
        assert_eq!(reason(world.identity.put_team_member(&world.owner, team, UserId::from_bits(1), None).await), "user_not_found");
        // Who is in no other team cannot be in one that is not their default.
        let error = refused(world.identity.put_team_member(&world.owner, team, world.owner_id(), Some(false)).await);
        assert_eq!((error.reason(), error.field_name()), ("default_team_needed", Some("is_default")));
        assert!(members(&world, team).await.is_empty());
        let new = NewApiKey { team: Some(none), ..all_of(Role::Viewer) };
        let error = refused(world.identity.create_api_key(&world.owner, new).await);
        assert_eq!((error.reason(), error.field_name()), ("team_not_found", Some("team")));
    }

    async fn another_tenants_teams_do_not_exist(test: TestStore) {
        let world = World::new(test.store()).await;
        let team = make(&world, "Blue").await.id;
        let ada = world.add("ada", Role::Viewer).await.id;
        put(&world, team, ada, None).await;
        let b = second_tenant(&world).await;
        let identity = &world.identity;
        assert!(identity.teams(&b, &page()).await.unwrap().data.is_empty());
        assert_eq!(reason(identity.team(&b, team).await), "team_not_found");
        assert_eq!(reason(identity.update_team(&b, team, TeamChange::default()).await), "team_not_found");
        assert_eq!(reason(identity.delete_team(&b, team).await), "team_not_found");
        assert_eq!(reason(identity.team_members(&b, team, &page()).await), "team_not_found");
        assert_eq!(reason(identity.put_team_member(&b, team, b.user().unwrap(), None).await), "team_not_found");
        assert_eq!(reason(identity.remove_team_member(&b, team, ada).await), "team_not_found");
        let new = NewApiKey { team: Some(team), ..all_of(Role::Viewer) };
        assert_eq!(reason(identity.create_api_key(&b, new).await), "team_not_found");
        // The same name is free there, and people of one tenant are in no team of another.
        let own = identity.create_team(&b, named("Blue")).await.unwrap().id;
        assert_eq!(reason(identity.put_team_member(&b, own, ada, None).await), "user_not_found");
        assert_eq!(members(&world, team).await.len(), 1);
    }

    async fn a_workspace_has_at_most_a_thousand_teams(test: TestStore) {
        let world = World::new(test.store()).await;
        let mut tx = world.store.begin(&world.owner).await.unwrap();
        for _ in 0..999 {
            let id = TeamId::new(&world.owner);
            tx.execute(
                "INSERT INTO teams (tenant_id, id, name, name_key, description, created_at, updated_at) VALUES ($1, $2, $2, $2, '', 0, 0)",
                [world.owner.tenant().unwrap().into(), id.into()],
            )
            .await
            .unwrap();
        }
        tx.commit().await.unwrap();
        make(&world, "Blue").await;
        assert_eq!(reason(world.identity.create_team(&world.owner, named("Red")).await), "too_many_teams");
    }
}
