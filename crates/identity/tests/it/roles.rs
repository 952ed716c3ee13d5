use plasma_identity::{NewApiKey, NewRole, RoleChange, RoleDetails, RoleName, UserChange};
use plasma_kernel::{Code, Ctx, Permission, Permissions, Role, RoleId};
use plasma_testkit::on_each_database;

use crate::{
    isolation::second_tenant,
    support::{World, all_of, page, reason, refused},
};

pub fn role_of(name: &str, permissions: &[Permission]) -> NewRole {
    NewRole { name: name.to_owned(), description: String::new(), permissions: permissions.to_vec() }
}

pub fn id_of(role: &RoleDetails) -> RoleId {
    match role.id {
        RoleName::Custom(id) => id,
        RoleName::BuiltIn(role) => panic!("{role} is built in"),
    }
}

pub fn set(permissions: &[Permission]) -> Permissions {
    permissions.iter().copied().collect()
}

/// A person with a role of the tenant's own; their token and context.
pub async fn enter_as(world: &World, name: &str, permissions: &[Permission]) -> (String, Ctx) {
    let role = world.identity.create_role(&world.owner, role_of(name, permissions)).await.unwrap();
    let user = world.add(name, Role::Viewer).await;
    world.identity.assign_role(&world.owner, user.id, role.id).await.unwrap();
    world.enter(name).await
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// About one in `of` of the tenant's permissions, and some of the installation.
    fn permissions(&mut self, of: u64) -> Vec<Permission> {
        let chosen: Vec<Permission> =
            Permission::ALL.iter().copied().filter(|_| self.throw().is_multiple_of(of)).collect();
        if chosen.is_empty() { vec![Permission::SearchQuery] } else { chosen }
    }
}

on_each_database! {
    async fn built_in_roles_are_listed_with_what_they_allow(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        world.identity.create_api_key(&world.owner, all_of(Role::Service)).await.unwrap();
        let roles = world.identity.roles(&world.owner).await.unwrap();
        let names: Vec<String> = roles.iter().map(|role| role.id.to_string()).collect();
        assert_eq!(names, ["owner", "admin", "editor", "viewer", "service"]);
        for role in &roles {
            let RoleName::BuiltIn(built_in) = role.id else { panic!("{role:?}") };
            assert_eq!(role.permissions, built_in.permissions());
        }
        let counts: Vec<(u64, u64)> = roles.iter().map(|role| (role.user_count, role.api_key_count)).collect();
        assert_eq!(counts, [(1, 0), (0, 0), (1, 0), (0, 0), (0, 1)]);
        let editor = world.identity.role(&world.owner, Role::Editor.into()).await.unwrap();
        assert_eq!(editor, roles[2]);
        let refusal = refused(world.identity.update_role(&world.owner, Role::Editor.into(), RoleChange::default()).await);
        assert_eq!(refusal.reason(), "built_in_role");
        assert_eq!(reason(world.identity.delete_role(&world.owner, Role::Editor.into(), None).await), "built_in_role");
    }

    async fn a_role_of_ones_own_holds_at_once_for_whoever_has_it(test: TestStore) {
        let world = World::new(test.store()).await;
        let permissions = [Permission::ContentRead, Permission::ContentWrite, Permission::UsersRead];
        let role = world.identity.create_role(&world.owner, role_of("Publisher", &permissions)).await.unwrap();
        let ada = world.add("ada", Role::Viewer).await;
        let (token, ctx) = world.enter("ada").await;
        assert_eq!(*ctx.permissions(), Role::Viewer.permissions());

        let user = world.identity.assign_role(&world.owner, ada.id, role.id).await.unwrap();
        assert_eq!(user.role, Role::Viewer);
        assert_eq!(user.custom_role.as_ref().map(|role| role.name.as_str()), Some("Publisher"));
        let now = async || world.identity.authenticate(&token).await.unwrap();
        assert_eq!(*now().await.ctx.permissions(), set(&permissions));
        assert_eq!(now().await.ctx.subject().unwrap().role, role.id.to_string());
        let me = world.identity.me(&now().await.ctx).await.unwrap();
        assert_eq!(me.custom_role.map(|role| role.name), Some("Publisher".to_owned()));
        let listed = world.identity.users(&world.owner, &page()).await.unwrap().data;
        assert!(listed.iter().any(|user| user.custom_role.as_ref().is_some_and(|role| role.name == "Publisher")));

        // A key of hers is bound by it.
        let scoped = NewApiKey { scopes: Some(vec![Permission::ContentRead]), ..all_of(Role::Editor) };
        let key = NewApiKey { role: role.id, ..scoped };
        let key = world.identity.create_api_key(&world.owner, key).await.unwrap();
        let of_key = async || *world.identity.authenticate(key.key.expose()).await.unwrap().ctx.permissions();
        assert_eq!(of_key().await, set(&[Permission::ContentRead]));

        let wider = RoleChange {
            name: Some("Editor in chief".to_owned()),
            permissions: Some(Role::Editor.permissions().iter().collect()),
            ..RoleChange::default()
        };
        let changed = world.identity.update_role(&world.owner, role.id, wider).await.unwrap();
        assert_eq!((changed.name.as_str(), changed.user_count, changed.api_key_count), ("Editor in chief", 1, 1));
        assert_eq!(*now().await.ctx.permissions(), Role::Editor.permissions());
        assert_eq!(now().await.role, Role::Editor);
        let narrower = RoleChange { permissions: Some(vec![Permission::UsersRead]), ..RoleChange::default() };
        world.identity.update_role(&world.owner, role.id, narrower).await.unwrap();
        assert_eq!(*now().await.ctx.permissions(), set(&[Permission::UsersRead]));
        // The scope of the key is not in its role any more.
        assert_eq!(of_key().await, Permissions::none());
        assert_eq!(world.count_events(&world.owner, "identity.role.updated", role.id).await, 2);

        // A built-in role takes its place.
        let viewer = UserChange { role: Some(Role::Viewer), ..UserChange::default() };
        let user = world.identity.update_user(&world.owner, ada.id, viewer).await.unwrap();
        assert_eq!(user.custom_role, None);
        assert_eq!(*now().await.ctx.permissions(), Role::Viewer.permissions());
    }

    async fn a_role_in_use_is_deleted_only_for_another(test: TestStore) {
        let world = World::new(test.store()).await;
        let role = world.identity.create_role(&world.owner, role_of("Reader", &[Permission::ContentRead])).await.unwrap();
        let other = world.identity.create_role(&world.owner, role_of("Searcher", &[Permission::SearchQuery])).await.unwrap();
        let ada = world.add("ada", Role::Viewer).await;
        world.identity.assign_role(&world.owner, ada.id, role.id).await.unwrap();
        let key = world.identity.create_api_key(&world.owner, NewApiKey { role: role.id, ..all_of(Role::Viewer) }).await.unwrap();
        let (token, _) = world.enter("ada").await;

        let in_use = refused(world.identity.delete_role(&world.owner, role.id, None).await);
        assert_eq!((in_use.code(), in_use.reason()), (Code::Conflict, "role_in_use"));
        assert!(in_use.message().contains("1 people and 1 API keys"), "{in_use}");
        assert_eq!(refused(world.identity.delete_role(&world.owner, role.id, Some(role.id)).await).field_name(), Some("replacement"));
        let nobody = RoleName::Custom(RoleId::from_bits(7));
        assert_eq!(reason(world.identity.delete_role(&world.owner, role.id, Some(nobody)).await), "role_not_found");

        world.identity.delete_role(&world.owner, role.id, Some(other.id)).await.unwrap();
        let after = *world.identity.authenticate(&token).await.unwrap().ctx.permissions();
        assert_eq!(after, set(&[Permission::SearchQuery]));
        let after = *world.identity.authenticate(key.key.expose()).await.unwrap().ctx.permissions();
        assert_eq!(after, set(&[Permission::SearchQuery]));
        assert_eq!(reason(world.identity.role(&world.owner, role.id).await), "role_not_found");
        world.identity.revoke_api_key(&world.owner, key.api_key.id).await.unwrap();
        world.identity.delete_role(&world.owner, other.id, Some(Role::Viewer.into())).await.unwrap();
        assert_eq!(world.identity.user(&world.owner, ada.id).await.unwrap().role, Role::Viewer);
        // Nobody has this one, so it needs no replacement.
        let unused = world.identity.create_role(&world.owner, role_of("Unused", &[Permission::ContentRead])).await.unwrap();
        world.identity.delete_role(&world.owner, unused.id, None).await.unwrap();
        assert_eq!(world.identity.roles(&world.owner).await.unwrap().len(), 5);
    }

    async fn wrong_roles_are_refused_with_their_field(test: TestStore) {
        let world = World::new(test.store()).await;
        let make = async |name: &str, permissions: &[Permission]| {
            let error = refused(world.identity.create_role(&world.owner, role_of(name, permissions)).await);
            (error.reason(), error.field_name().map(str::to_owned))
        };
        let some = [Permission::ContentRead];
        assert_eq!(make(" ", &some).await, ("invalid", Some("name".to_owned())));
        assert_eq!(make("Owner", &some).await, ("role_name_taken", Some("name".to_owned())));
        assert_eq!(make("ADMINISTRATOR", &some).await, ("role_name_taken", Some("name".to_owned())));
        assert_eq!(make("Empty", &[]).await, ("invalid", Some("permissions".to_owned())));
        // The owner operates the installation, but no role holds that.
        assert_eq!(make("All", &[Permission::InstallationManage]).await, ("invalid", Some("permissions".to_owned())));
        world.identity.create_role(&world.owner, role_of("Reader", &some)).await.unwrap();
        assert_eq!(make("READER", &some).await, ("role_name_taken", Some("name".to_owned())));
    }

    async fn nobody_hands_out_more_than_they_hold(test: TestStore) {
        let world = World::new(test.store()).await;
        let tools = [
            Permission::RolesRead,
            Permission::RolesWrite,
            Permission::UsersRead,
            Permission::UsersWrite,
            Permission::ApiKeysRead,
            Permission::ApiKeysWrite,
        ];
        let mut dice = Dice(20_261_122);
        let installation = [Permission::InstallationRead, Permission::InstallationManage];
        for round in 0..12 {
            let held: Vec<Permission> = dice
                .permissions(3)
                .into_iter()
                .filter(|permission| !installation.contains(permission))
                .chain(tools)
                .collect();
            let (_, maker) = enter_as(&world, &format!("maker{round}"), &held).await;
            let held = set(&held);
            let guest = world.add(&format!("guest{round}"), Role::Viewer).await;
            // Of others' roles, only those within her own can be given or changed.
            let wanted: Vec<Permission> =
                dice.permissions(4).into_iter().filter(|permission| !installation.contains(permission)).chain([Permission::RolesRead]).collect();
            let within = held.contains_all(set(&wanted));
            let own = world.identity.create_role(&maker, role_of(&format!("own{round}"), &wanted)).await;
            assert_eq!(own.is_ok(), within, "{wanted:?}");
            let of_owner = world.identity.create_role(&world.owner, role_of(&format!("other{round}"), &wanted)).await.unwrap();
            // The guest is a viewer, whom she may change only if she holds all that viewers do.
            let may_change = held.contains_all(Role::Viewer.permissions());
            let given = world.identity.assign_role(&maker, guest.id, of_owner.id).await;
            assert_eq!(given.is_ok(), within && may_change, "{wanted:?}");
            let key = world.identity.create_api_key(&maker, NewApiKey { role: of_owner.id, ..all_of(Role::Viewer) }).await;
            assert_eq!(key.is_ok(), within, "{wanted:?}");
            if let Ok(key) = key {
                let of_key = *world.identity.authenticate(key.key.expose()).await.unwrap().ctx.permissions();
                assert!(held.contains_all(of_key));
            }
            let rename = RoleChange { name: Some(format!("renamed{round}")), ..RoleChange::default() };
            assert_eq!(world.identity.update_role(&maker, of_owner.id, rename).await.is_ok(), within);
            let more = RoleChange { permissions: Some(Role::Owner.permissions().iter().collect()), ..RoleChange::default() };
            assert_eq!(
                world.identity.update_role(&maker, of_owner.id, more).await.is_ok(),
                held.contains_all(Role::Owner.permissions()),
            );
        }
    }

    async fn a_demoted_maker_takes_their_keys_down_with_them(test: TestStore) {
        let world = World::new(test.store()).await;
        let (_, ctx) = enter_as(&world, "ada", &[Permission::ApiKeysWrite, Permission::ContentRead, Permission::SearchQuery]).await;
        let scopes = Some(vec![Permission::ContentRead]);
        let key = world.identity.create_api_key(&ctx, NewApiKey { scopes, ..all_of(Role::Viewer) }).await.unwrap();
        let of_key = async || *world.identity.authenticate(key.key.expose()).await.unwrap().ctx.permissions();
        assert_eq!(of_key().await, set(&[Permission::ContentRead]));
        let role = world.identity.roles(&world.owner).await.unwrap().into_iter().find(|role| role.name == "ada").unwrap();
        let narrower = RoleChange { permissions: Some(vec![Permission::SearchQuery]), ..RoleChange::default() };
        world.identity.update_role(&world.owner, role.id, narrower).await.unwrap();
        assert_eq!(of_key().await, Permissions::none());
    }

    async fn another_tenants_roles_do_not_exist(test: TestStore) {
        let world = World::new(test.store()).await;
        let role = world.identity.create_role(&world.owner, role_of("Reader", &[Permission::ContentRead])).await.unwrap();
        let b = second_tenant(&world).await;
        assert_eq!(world.identity.roles(&b).await.unwrap().len(), 5);
        assert_eq!(reason(world.identity.role(&b, role.id).await), "role_not_found");
        assert_eq!(reason(world.identity.update_role(&b, role.id, RoleChange::default()).await), "role_not_found");
        assert_eq!(reason(world.identity.delete_role(&b, role.id, None).await), "role_not_found");
        assert_eq!(reason(world.identity.assign_role(&b, b.user().unwrap(), role.id).await), "role_not_found");
        let key = NewApiKey { role: role.id, ..all_of(Role::Viewer) };
        assert_eq!(reason(world.identity.create_api_key(&b, key).await), "role_not_found");
        // The same name is free there.
        let same = world.identity.create_role(&b, role_of("Reader", &[Permission::ContentRead])).await.unwrap();
        assert_ne!(id_of(&same), id_of(&role));
    }

    async fn the_last_owner_keeps_the_role(test: TestStore) {
        let world = World::new(test.store()).await;
        let all: Vec<Permission> = Role::Owner.permissions().iter().collect();
        let role = world.identity.create_role(&world.owner, role_of("Everything", &all)).await.unwrap();
        assert_eq!(reason(world.identity.assign_role(&world.owner, world.owner_id(), role.id).await), "last_owner");
        // Whoever may do all that an owner may is none: the workspace would be left without.
        let ada = world.add("ada", Role::Viewer).await;
        let user = world.identity.assign_role(&world.owner, ada.id, role.id).await.unwrap();
        assert_eq!((user.role, user.permissions()), (Role::Admin, Role::Owner.permissions()));
        assert_eq!(reason(world.identity.assign_role(&world.owner, world.owner_id(), Role::Viewer.into()).await), "last_owner");
        let user = world.identity.assign_role(&world.owner, ada.id, Role::Owner.into()).await.unwrap();
        assert_eq!((user.role, user.custom_role), (Role::Owner, None));
        world.identity.assign_role(&world.owner, world.owner_id(), Role::Admin.into()).await.unwrap();
    }
}
