use std::sync::Arc;

use plasma_identity::{NewUser, UserChange};
use plasma_kernel::{Code, Ctx, PageRequest, Permission, Role, UserId};
use plasma_testkit::on_each_database;

use crate::support::{PASSWORD, World, only, page, reason, refused, secret};

fn role(role: Role) -> UserChange {
    UserChange { role: Some(role), ..UserChange::default() }
}

fn disabled() -> UserChange {
    UserChange { disabled: Some(true), ..UserChange::default() }
}

on_each_database! {
    async fn users_are_listed_newest_first_by_page(test: TestStore) {
        let world = World::new(test.store()).await;
        for number in 0..5 {
            world.clock.advance(std::time::Duration::from_millis(2));
            world.add(&format!("user{number}"), Role::Viewer).await;
        }
        let mut names = Vec::new();
        let mut request = PageRequest { limit: 2, cursor: None };
        loop {
            let page = world.identity.users(&world.owner, &request).await.unwrap();
            names.extend(page.data.into_iter().map(|user| user.name));
            if !page.has_more {
                break;
            }
            request.cursor = page.next_cursor;
        }
        assert_eq!(names, ["user4", "user3", "user2", "user1", "user0", "Owner"]);
    }

    async fn a_user_is_changed_and_deleted(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Viewer).await;
        let (token, ctx) = world.enter("ada").await;
        let renamed = UserChange { name: Some(" Ada L. ".to_owned()), ..UserChange::default() };
        let changed = world.identity.update_user(&world.owner, ada.id, renamed.clone()).await.unwrap();
        assert_eq!((changed.name.as_str(), changed.role), ("Ada L.", Role::Viewer));
        assert_eq!(world.identity.user(&world.owner, ada.id).await.unwrap().name, "Ada L.");
        // The same again changes nothing and tells nothing.
        world.identity.update_user(&world.owner, ada.id, renamed).await.unwrap();
        assert_eq!(world.count_events(&world.owner, "identity.user.updated", ada.id).await, 1);
        assert_eq!(world.identity.rename_me(&ctx, Some("Ada")).await.unwrap().name, "Ada");

        world.identity.delete_user(&world.owner, ada.id).await.unwrap();
        assert!(!world.is_valid(&token).await);
        assert_eq!(reason(world.identity.user(&world.owner, ada.id).await), "user_not_found");
        assert_eq!(reason(world.identity.delete_user(&world.owner, ada.id).await), "user_not_found");
        assert_eq!(reason(world.login("ada@example.org", PASSWORD).await), "login_failed");
        // Nothing of the person is left, so the e-mail is free.
        assert!(!world.everything_stored().await.contains("ada@example.org"));
        world.add("ada", Role::Viewer).await;
    }

    async fn wrong_input_is_refused_with_its_field(test: TestStore) {
        let world = World::new(test.store()).await;
        let field = async |email: &str, name: &str, password: &str| {
            let new = NewUser { email: email.into(), name: name.into(), role: Role::Viewer, password: secret(password) };
            refused(world.identity.create_user(&world.owner, new).await).field_name().unwrap().to_owned()
        };
        assert_eq!(field("ada", "Ada", PASSWORD).await, "email");
        assert_eq!(field("ada@example.org", " ", PASSWORD).await, "name");
        assert_eq!(field("ada@example.org", "Ada", "short").await, "password");
        assert_eq!(field("ada@example.org", "Ada", "ADA@example.org").await, "password");
        // Taken, whatever the case.
        assert_eq!(field("Owner@Example.org", "Ada", PASSWORD).await, "email");
    }

    async fn one_of_many_gets_an_email(test: TestStore) {
        let world = Arc::new(World::new(test.store()).await);
        let tries: Vec<_> = (0..4)
            .map(|_| {
                let world = Arc::clone(&world);
                tokio::spawn(async move { world.add_by(&world.owner, "ada", Role::Viewer).await })
            })
            .collect();
        let mut made = 0;
        for attempt in tries {
            match attempt.await.unwrap() {
                Ok(_) => made += 1,
                Err(error) => assert_eq!(error.reason(), "email_taken"),
            }
        }
        assert_eq!(made, 1);
    }

    async fn only_owners_touch_owners(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Admin).await;
        let carl = world.add("carl", Role::Owner).await;
        let vera = world.add("vera", Role::Viewer).await;
        let (_, admin) = world.enter("ada").await;
        let (_, owner) = world.enter("carl").await;
        assert_eq!(reason(world.add_by(&admin, "new", Role::Owner).await), "forbidden");
        assert_eq!(reason(world.identity.update_user(&admin, vera.id, role(Role::Owner)).await), "forbidden");
        assert_eq!(reason(world.identity.update_user(&admin, carl.id, role(Role::Viewer)).await), "forbidden");
        assert_eq!(reason(world.identity.update_user(&admin, carl.id, disabled()).await), "forbidden");
        assert_eq!(reason(world.identity.delete_user(&admin, carl.id).await), "forbidden");
        world.identity.update_user(&admin, vera.id, role(Role::Admin)).await.unwrap();
        world.identity.update_user(&owner, vera.id, role(Role::Owner)).await.unwrap();
        // An owner who does not operate the installation cannot lock out the one who does.
        assert_eq!(reason(world.identity.delete_user(&owner, world.owner_id()).await), "forbidden");
        world.identity.delete_user(&world.owner, carl.id).await.unwrap();
    }

    async fn each_verb_needs_its_permission(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Editor).await;
        let (_, editor) = world.enter("ada").await;
        assert_eq!(reason(world.identity.users(&editor, &page()).await), "forbidden");
        assert_eq!(reason(world.identity.user(&editor, ada.id).await), "forbidden");
        assert_eq!(reason(world.add_by(&editor, "new", Role::Viewer).await), "forbidden");
        assert_eq!(reason(world.identity.update_user(&editor, ada.id, role(Role::Viewer)).await), "forbidden");
        assert_eq!(reason(world.identity.delete_user(&editor, ada.id).await), "forbidden");
        assert_eq!(reason(world.identity.api_keys(&editor, &page()).await), "forbidden");
        assert_eq!(reason(world.identity.create_api_key(&editor, only(Role::Viewer, &[Permission::SearchQuery])).await), "forbidden");
        assert_eq!(reason(world.identity.tenants(&editor, &page()).await), "forbidden");
        // Reading does not mean writing.
        let reader = only(Role::Admin, &[Permission::UsersRead]);
        let reader = world.identity.create_api_key(&world.owner, reader).await.unwrap().key;
        let reader = world.identity.authenticate(reader.expose()).await.unwrap().ctx;
        world.identity.users(&reader, &page()).await.unwrap();
        assert_eq!(reason(world.identity.delete_user(&reader, ada.id).await), "forbidden");
    }

    async fn the_last_enabled_owner_stays(test: TestStore) {
        let world = World::new(test.store()).await;
        let owner = world.owner_id();
        assert_eq!(reason(world.identity.update_user(&world.owner, owner, role(Role::Admin)).await), "last_owner");
        assert_eq!(reason(world.identity.update_user(&world.owner, owner, disabled()).await), "last_owner");
        assert_eq!(refused(world.identity.delete_user(&world.owner, owner).await).code(), Code::Conflict);
        // A disabled owner does not count.
        let ada = world.add("ada", Role::Owner).await;
        world.identity.update_user(&world.owner, ada.id, disabled()).await.unwrap();
        assert_eq!(reason(world.identity.delete_user(&world.owner, owner).await), "last_owner");
        world.identity.delete_user(&world.owner, ada.id).await.unwrap();
    }

    async fn owners_who_remove_each_other_at_once_leave_one(test: TestStore) {
        let world = Arc::new(World::new(test.store()).await);
        for round in 0..8 {
            // Four owners, each removed by another way at the same moment, and the operator as well.
            let mut targets = vec![world.owner_id()];
            for number in 0..3 {
                targets.push(world.add(&format!("owner{round}-{number}"), Role::Owner).await.id);
            }
            let removals: Vec<_> = targets
                .iter()
                .enumerate()
                .map(|(index, target)| {
                    let (world, target) = (Arc::clone(&world), *target);
                    tokio::spawn(async move { remove(&world, &world.owner, target, index).await })
                })
                .collect();
            let mut refusals = 0;
            for removal in removals {
                if let Err(error) = removal.await.unwrap() {
                    assert_eq!(error.reason(), "last_owner");
                    refusals += 1;
                }
            }
            assert_eq!(refusals, 1, "exactly the last one stays");
            restore_operator(&world).await;
        }
    }
}

async fn remove(world: &World, ctx: &Ctx, target: UserId, way: usize) -> plasma_kernel::Result<()> {
    match way {
        0 | 1 => world.identity.update_user(ctx, target, role(Role::Viewer)).await.map(drop),
        2 => world.identity.update_user(ctx, target, disabled()).await.map(drop),
        _ => world.identity.delete_user(ctx, target).await,
    }
}

/// Makes the operator the only owner again.
async fn restore_operator(world: &World) {
    world.identity.update_user(&world.owner, world.owner_id(), role(Role::Owner)).await.unwrap();
    for user in world.identity.users(&world.owner, &page()).await.unwrap().data {
        if user.id != world.owner_id() {
            world.identity.delete_user(&world.owner, user.id).await.unwrap();
        }
    }
}
