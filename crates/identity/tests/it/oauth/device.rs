//! Programs without a browser.

use std::{net::IpAddr, time::Duration};

use plasma_identity::oauth::{ApplicationKind, COMMAND_LINE, DeviceAuthorization, NewApplication, Scopes, TokenAnswer};
use plasma_kernel::{Ctx, Result, Role};
use plasma_testkit::on_each_database;

use super::{App, confidential, ctx_of, form, new_application, public, refresh, refresh_token, register, token};
use crate::support::{World, all_of, reason, refused};

async fn begin(world: &World, app: &App, scope: &str) -> DeviceAuthorization {
    let form = form(&[("scope", scope)]);
    world.identity.begin_device_authorization(&world.system(), &app.credentials, &form, None).await.unwrap()
}

async fn poll(world: &World, app: &App, device: &DeviceAuthorization) -> Result<TokenAnswer> {
    let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
    token(world, app, &[grant, ("device_code", device.device_code.expose())]).await
}

async fn decide(world: &World, person: &Ctx, device: &DeviceAuthorization, allow: bool) -> Result<()> {
    world.identity.decide_device(person, &device.user_code, allow, None).await
}

on_each_database! {
    async fn a_device_waits_until_its_person_allows(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = public(&world).await;
        let device = begin(&world, &app, "offline_access content:read").await;
        assert_eq!((device.user_code.len(), device.expires_in, device.interval), (9, 600, 5));
        assert_eq!(reason(poll(&world, &app, &device).await), "authorization_pending");
        world.add("ada", Role::Editor).await;
        let (_, ada) = world.enter("ada").await;
        let typed = device.user_code.replace('-', " ").to_lowercase();
        let request = world.identity.device_request(&ada, &typed, None).await.unwrap();
        assert_eq!((request.application.name.as_str(), request.scopes.to_text().as_str()), ("Newsletter builder", "offline_access content:read"));
        decide(&world, &ada, &device, true).await.unwrap();
        let answer = poll(&world, &app, &device).await.unwrap();
        let ctx = ctx_of(&world, &answer).await;
        assert_eq!(ctx.person(), ada.user());
        refresh(&world, &app, refresh_token(&answer)).await.unwrap();
        // Once.
        assert_eq!(reason(poll(&world, &app, &device).await), "invalid_grant");
        assert_eq!(reason(decide(&world, &ada, &device, true).await), "device_code_not_found");
        assert_eq!(world.identity.my_grants(&ada, &crate::support::page()).await.unwrap().data.len(), 1);
    }

    async fn a_device_that_asks_too_often_is_slowed_down(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = public(&world).await;
        let device = begin(&world, &app, "content:read").await;
        let after = async |seconds: u64| {
            world.clock.advance(Duration::from_secs(seconds));
            reason(poll(&world, &app, &device).await)
        };
        assert_eq!(after(0).await, "authorization_pending");
        assert_eq!(after(5).await, "authorization_pending");
        assert_eq!(after(1).await, "slow_down");
        assert_eq!(after(5).await, "slow_down", "ten seconds are asked for now");
        assert_eq!(after(15).await, "authorization_pending");
        // A decision is told at once.
        decide(&world, &world.owner, &device, true).await.unwrap();
        assert!(poll(&world, &app, &device).await.is_ok());
    }

    async fn refusals_and_ends_are_told(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = public(&world).await;
        let device = begin(&world, &app, "content:read").await;
        decide(&world, &world.owner, &device, false).await.unwrap();
        assert_eq!(reason(decide(&world, &world.owner, &device, true).await), "device_code_not_found");
        assert_eq!(reason(poll(&world, &app, &device).await), "access_denied");
        assert_eq!(reason(poll(&world, &app, &device).await), "invalid_grant");
        let device = begin(&world, &app, "content:read").await;
        world.clock.advance(Duration::from_secs(600));
        assert_eq!(reason(decide(&world, &world.owner, &device, true).await), "device_code_not_found");
        assert_eq!(reason(poll(&world, &app, &device).await), "expired_token");
        // An allowed one ends too.
        let device = begin(&world, &app, "content:read").await;
        decide(&world, &world.owner, &device, true).await.unwrap();
        world.clock.advance(Duration::from_secs(600));
        assert_eq!(reason(poll(&world, &app, &device).await), "expired_token");
        assert_eq!(crate::oauth::families(&world).await, 0);
    }

    async fn only_the_asking_application_gets_the_tokens(test: TestStore) {
        let world = World::new(test.store()).await;
        let (app, other) = (public(&world).await, confidential(&world).await);
        let device = begin(&world, &app, "content:read").await;
        decide(&world, &world.owner, &device, true).await.unwrap();
        assert_eq!(reason(poll(&world, &other, &device).await), "invalid_grant");
        assert!(poll(&world, &app, &device).await.is_ok());
        // An application that is not registered for devices cannot begin.
        let app = register(&world, NewApplication { device: false, ..new_application(ApplicationKind::Public) }).await;
        let begun = world.identity.begin_device_authorization(&world.system(), &app.credentials, &form(&[]), None).await;
        assert_eq!(reason(begun), "unauthorized_client");
        let wider = form(&[("scope", "tenants:delete")]);
        let begun = world.identity.begin_device_authorization(&world.system(), &other.credentials, &wider, None).await;
        assert_eq!(reason(begun), "invalid_scope");
    }

    async fn the_command_line_logs_in_wherever_its_person_is(test: TestStore) {
        let world = World::new(test.store()).await;
        let stranger = crate::oauth::grants::stranger(&world).await;
        let mut app = public(&world).await;
        app.credentials.id = Some(COMMAND_LINE.to_string());
        for person in [&world.owner, &stranger] {
            let device = world.identity.begin_device_authorization(&world.system(), &app.credentials, &form(&[]), None).await.unwrap();
            assert_eq!(world.identity.device_request(person, &device.user_code, None).await.unwrap().scopes, Scopes::everything());
            decide(&world, person, &device, true).await.unwrap();
            let answer = poll(&world, &app, &device).await.unwrap();
            let ctx = ctx_of(&world, &answer).await;
            assert_eq!((ctx.tenant().unwrap(), ctx.permissions()), (person.tenant().unwrap(), person.permissions()));
        }
    }

    async fn a_workspace_does_not_see_devices_of_another_ones_application(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = public(&world).await;
        let stranger = crate::oauth::grants::stranger(&world).await;
        let device = begin(&world, &app, "content:read").await;
        assert_eq!(reason(world.identity.device_request(&stranger, &device.user_code, None).await), "device_code_not_found");
        assert_eq!(reason(decide(&world, &stranger, &device, true).await), "device_code_not_found");
        assert_eq!(reason(poll(&world, &app, &device).await), "authorization_pending");
    }

    async fn guessing_codes_is_throttled(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = public(&world).await;
        let address: Option<IpAddr> = Some([192, 0, 2, 1].into());
        let device = begin(&world, &app, "content:read").await;
        let guess = async |person: &Ctx, number: usize| {
            let letters = b"BCDFGHJKMN";
            let letter = |place: usize| char::from(letters[number / 10_usize.pow(u32::try_from(place).unwrap()) % 10]);
            let code: String = (0..8).map(letter).collect();
            refused(world.identity.device_request(person, &code, address).await)
        };
        for number in 0..10 {
            assert_eq!(guess(&world.owner, number).await.reason(), "device_code_not_found");
        }
        let refusal = guess(&world.owner, 10).await;
        assert_eq!((refusal.reason(), refusal.retry_after()), ("too_many_codes", Some(90_000)));
        // Also the right one, and deciding as well as looking.
        assert_eq!(reason(world.identity.device_request(&world.owner, &device.user_code, address).await), "too_many_codes");
        assert_eq!(reason(decide(&world, &world.owner, &device, true).await), "too_many_codes");
        // Others are not kept from it, and right codes do not count.
        world.add("ada", Role::Editor).await;
        let (_, ada) = world.enter("ada").await;
        for _ in 0..20 {
            world.identity.device_request(&ada, &device.user_code, address).await.unwrap();
        }
        world.clock.advance(Duration::from_secs(90));
        assert_eq!(guess(&world.owner, 11).await.reason(), "device_code_not_found");
        assert_eq!(guess(&world.owner, 12).await.reason(), "too_many_codes");
    }

    async fn only_a_person_types_codes(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = public(&world).await;
        let device = begin(&world, &app, "content:read").await;
        let key = world.identity.create_api_key(&world.owner, all_of(Role::Owner)).await.unwrap().key;
        let key = world.identity.authenticate(key.expose()).await.unwrap().ctx;
        assert_eq!(reason(world.identity.device_request(&key, &device.user_code, None).await), "forbidden");
        assert_eq!(reason(decide(&world, &key, &device, true).await), "forbidden");
    }

    async fn an_address_begins_so_many_devices(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = public(&world).await;
        let begin = async |address: [u8; 4]| {
            let form = form(&[("scope", "content:read")]);
            world.identity.begin_device_authorization(&world.system(), &app.credentials, &form, Some(address.into())).await
        };
        for _ in 0..30 {
            begin([192, 0, 2, 1]).await.unwrap();
        }
        let refusal = refused(begin([192, 0, 2, 1]).await);
        assert_eq!((refusal.reason(), refusal.retry_after()), ("temporarily_unavailable", Some(20_000)));
        begin([192, 0, 2, 2]).await.unwrap();
    }
}
