//! From where a key may be used, how it gives way to another, and how a leaked one is recognized.

use std::{net::IpAddr, time::Duration};

use plasma_identity::{ApiKeyChange, ApiKeyRotation, NewApiKey};
use plasma_kernel::{Code, Permission, Role};
use plasma_testkit::on_each_database;

use crate::{
    isolation::second_tenant,
    support::{OWNER, PASSWORD, World, all_of, only, page, reason, refused},
};

fn from(addresses: &[&str]) -> NewApiKey {
    NewApiKey { addresses: addresses.iter().map(|text| (*text).to_owned()).collect(), ..all_of(Role::Viewer) }
}

fn at(address: &str) -> Option<IpAddr> {
    Some(address.parse().unwrap())
}

fn overlap(overlap_seconds: u32) -> ApiKeyRotation {
    ApiKeyRotation { overlap_seconds, expires_at: None }
}

on_each_database! {
    async fn a_key_may_be_used_from_its_addresses_only(test: TestStore) {
        let world = World::new(test.store()).await;
        let created = world.identity.create_api_key(&world.owner, from(&["192.0.2.0/24", "2001:db8::1"])).await.unwrap();
        let shown: Vec<String> = created.api_key.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["192.0.2.0/24", "2001:db8::1/128"]);
        let key = created.key.expose();
        for (address, allowed) in [
            (at("192.0.2.77"), true),
            (at("::ffff:192.0.2.77"), true),
            (at("2001:db8::1"), true),
            (at("2001:db8::2"), false),
            (at("198.51.100.1"), false),
            (None, false),
        ] {
            match world.identity.authenticate_from(key, address).await {
                Ok(_) => assert!(allowed, "{address:?}"),
                Err(error) => {
                    assert!(!allowed, "{address:?}: {error}");
                    assert_eq!((error.code(), error.reason()), (Code::Forbidden, "api_key_address_refused"));
                }
            }
        }
        // Without an address at all, as other parts of the program ask.
        assert_eq!(reason(world.identity.authenticate(key).await), "api_key_address_refused");

        let change = ApiKeyChange { name: Some("Site".to_owned()), addresses: Some(vec!["198.51.100.1".to_owned()]) };
        let changed = world.identity.update_api_key(&world.owner, created.api_key.id, change).await.unwrap();
        assert_eq!(changed.name, "Site");
        assert!(world.identity.authenticate_from(key, at("198.51.100.1")).await.is_ok());
        assert!(world.identity.authenticate_from(key, at("192.0.2.77")).await.is_err());
        let open = ApiKeyChange { addresses: Some(Vec::new()), ..ApiKeyChange::default() };
        world.identity.update_api_key(&world.owner, created.api_key.id, open).await.unwrap();
        assert!(world.is_valid(key).await);
        assert_eq!(world.count_events(&world.owner, "identity.api_key.updated", created.api_key.id).await, 2);
        let wrong = refused(world.identity.create_api_key(&world.owner, from(&["10.0.0.1", "the office"])).await);
        assert_eq!(wrong.field_name(), Some("addresses[1]"));
    }

    async fn a_successor_takes_over_while_both_work(test: TestStore) {
        let world = World::new(test.store()).await;
        let lifetime = 1_000 * 3_600 * 1_000_000;
        let new = NewApiKey {
            scopes: Some(vec![Permission::SearchQuery]),
            expires_at: Some(world.clock.now() + lifetime),
            ..from(&["192.0.2.0/24"])
        };
        let old = world.identity.create_api_key(&world.owner, new).await.unwrap();
        world.clock.advance(Duration::from_secs(3_600));
        // Whoever logged in an hour ago proves again who they are.
        assert_eq!(reason(world.identity.rotate_api_key(&world.owner, old.api_key.id, overlap(60)).await), "step_up_required");
        let token = world.login(OWNER, PASSWORD).await.unwrap().token;
        let owner = world.identity.authenticate(token.expose()).await.unwrap().ctx;
        let rotated = world.identity.rotate_api_key(&owner, old.api_key.id, overlap(60)).await.unwrap();
        assert_ne!(rotated.key, old.key);
        let (successor, before) = (&rotated.api_key, &old.api_key);
        assert_eq!((&successor.name, successor.scopes, &successor.addresses), (&before.name, before.scopes, &before.addresses));
        assert_eq!(successor.replaces, Some(before.id));
        // It lives as long as the old one was to live.
        assert_eq!(successor.expires_at, Some(world.clock.now() + lifetime));
        let both = async || {
            let old = world.identity.authenticate_from(old.key.expose(), at("192.0.2.1")).await;
            let new = world.identity.authenticate_from(rotated.key.expose(), at("192.0.2.1")).await;
            (old.is_ok(), new.is_ok())
        };
        assert_eq!(both().await, (true, true));
        let listed = world.identity.api_keys(&world.owner, &page()).await.unwrap().data;
        let listed_old = listed.iter().find(|key| key.id == before.id).unwrap();
        assert_eq!(listed_old.replaced_by, Some(successor.id));
        assert_eq!(listed_old.expires_at, Some(world.clock.now() + 60_000_000));
        world.clock.advance(Duration::from_secs(59));
        assert_eq!(both().await, (true, true));
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(both().await, (false, true));
        assert_eq!(world.count_events(&world.owner, "identity.api_key.rotated", before.id).await, 1);
        // It has ended, so there is nothing to rotate or change.
        assert_eq!(reason(world.identity.rotate_api_key(&owner, before.id, overlap(0)).await), "api_key_revoked");
        assert_eq!(reason(world.identity.update_api_key(&world.owner, before.id, ApiKeyChange::default()).await), "api_key_revoked");
    }

    async fn a_key_gives_way_once_and_to_nobody_who_may_less(test: TestStore) {
        let world = World::new(test.store()).await;
        let old = world.identity.create_api_key(&world.owner, all_of(Role::Owner)).await.unwrap().api_key;
        world.add("ada", Role::Admin).await;
        let (_, admin) = world.enter("ada").await;
        assert_eq!(reason(world.identity.rotate_api_key(&admin, old.id, overlap(0)).await), "forbidden");
        let wide = ApiKeyChange { addresses: Some(vec!["10.0.0.0/8".to_owned()]), ..ApiKeyChange::default() };
        assert_eq!(reason(world.identity.update_api_key(&admin, old.id, wide).await), "forbidden");
        world.identity.rotate_api_key(&world.owner, old.id, overlap(600)).await.unwrap();
        assert_eq!(reason(world.identity.rotate_api_key(&world.owner, old.id, overlap(600)).await), "api_key_rotated");
        let too_long = refused(world.identity.rotate_api_key(&world.owner, old.id, overlap(31 * 24 * 3_600)).await);
        assert_eq!(too_long.field_name(), Some("overlap_seconds"));

        // Whoever rotates another's key gets it for themselves: it acts with their own access, and ends with them.
        let of_owner = world.identity.create_api_key(&world.owner, all_of(Role::Viewer)).await.unwrap().api_key;
        let taken = world.identity.rotate_api_key(&admin, of_owner.id, overlap(0)).await.unwrap();
        assert_eq!(taken.api_key.created_by, admin.user().unwrap());
        let reader = only(Role::Admin, &[Permission::ApiKeysRead]);
        let reader = world.identity.create_api_key(&world.owner, reader).await.unwrap().key;
        let reader = world.identity.authenticate(reader.expose()).await.unwrap().ctx;
        assert_eq!(reason(world.identity.rotate_api_key(&reader, of_owner.id, overlap(0)).await), "forbidden");
        let b = second_tenant(&world).await;
        assert_eq!(reason(world.identity.rotate_api_key(&b, of_owner.id, overlap(0)).await), "api_key_not_found");
        assert_eq!(reason(world.identity.update_api_key(&b, of_owner.id, ApiKeyChange::default()).await), "api_key_not_found");
    }

    async fn the_last_use_tells_from_where(test: TestStore) {
        let world = World::new(test.store()).await;
        let created = world.identity.create_api_key(&world.owner, all_of(Role::Viewer)).await.unwrap();
        let last = async || world.identity.api_keys(&world.owner, &page()).await.unwrap().data[0].last_used_address;
        assert_eq!(last().await, None);
        world.identity.authenticate_from(created.key.expose(), at("::ffff:192.0.2.9")).await.unwrap();
        world.identity.flush().await.unwrap();
        assert_eq!(last().await, at("192.0.2.9"));
        world.clock.advance(Duration::from_secs(60));
        world.identity.authenticate_from(created.key.expose(), at("2001:db8::9")).await.unwrap();
        world.identity.flush().await.unwrap();
        assert_eq!(last().await, at("2001:db8::9"));
    }

    async fn a_mistyped_key_costs_no_query(test: TestStore) {
        let world = World::new(test.store()).await;
        let created = world.identity.create_api_key(&world.owner, all_of(Role::Viewer)).await.unwrap();
        let key = created.key.expose();
        assert!(key.starts_with("plk_") && key.len() == 62 && key[4..].bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()));
        let last = if key.ends_with('0') { '1' } else { '0' };
        let mistyped = format!("{}{last}", &key[..61]);
        test.close().await;
        assert_eq!(refused(world.identity.authenticate(&mistyped).await).reason(), "invalid_token");
        // One without a checksum, as keys were made before, has to be looked for.
        let older = format!("plk_{}", "a".repeat(52));
        assert_eq!(refused(world.identity.authenticate(&older).await).code(), Code::Unavailable);
    }
}
