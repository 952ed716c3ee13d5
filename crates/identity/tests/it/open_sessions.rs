use std::{net::IpAddr, time::Duration};

use plasma_identity::Login;
use plasma_kernel::{Origin, Role};
use plasma_testkit::on_each_database;

use crate::{
    isolation::second_tenant,
    support::{DAY, PASSWORD, World, all_of, done, page, reason, secret},
};

on_each_database! {
    async fn everybody_sees_their_own_sessions(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Editor).await;
        let origin = Origin { address: Some(IpAddr::from([192, 0, 2, 1])), user_agent: Some("curl/8.5.0".to_owned()) };
        let login = Login { email: "ada@example.org".to_owned(), password: secret(PASSWORD), origin };
        let logged_in = done(world.identity.login(&world.system(), login).await.unwrap());
        let ctx = world.identity.authenticate(logged_in.token.expose()).await.unwrap().ctx;
        let sessions = world.identity.my_sessions(&ctx, &page()).await.unwrap().data;
        assert_eq!(sessions.len(), 1);
        let session = &sessions[0];
        assert_eq!((session.id, session.user, session.user_email.as_str()), (logged_in.session, ada.id, "ada@example.org"));
        assert_eq!((session.address.as_deref(), session.user_agent.as_deref()), (Some("192.0.2.1"), Some("curl/8.5.0")));
        assert_eq!((session.created_at, session.authenticated_at), (world.clock.now(), world.clock.now()));
        // It ends when nobody uses it for a week, before it ends by its age.
        assert_eq!(session.expires_at, world.clock.now() + 7 * 24 * 3_600 * 1_000_000);
        world.clock.advance(DAY * 8);
        world.enter("ada").await;
        assert_eq!(world.identity.my_sessions(&ctx, &page()).await.unwrap().data.len(), 1, "one that has ended is not shown");
    }

    async fn one_session_or_all_others_are_ended(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let (here, ctx) = world.enter("ada").await;
        let mut others = Vec::new();
        for _ in 0..3 {
            others.push(world.enter("ada").await);
        }
        let first = others[0].1.authentication().unwrap().session;
        world.identity.end_my_session(&ctx, first).await.unwrap();
        assert!(!world.is_valid(&others[0].0).await);
        assert_eq!(reason(world.identity.end_my_session(&ctx, first).await), "session_not_found");
        assert_eq!(world.count_events(&world.owner, "identity.session.revoked", first).await, 1);
        // Nobody ends somebody else's in this way.
        let owners = world.owner.authentication().unwrap().session;
        assert_eq!(reason(world.identity.end_my_session(&ctx, owners).await), "session_not_found");
        world.identity.end_my_other_sessions(&ctx).await.unwrap();
        assert!(world.is_valid(&here).await);
        for (token, _) in &others {
            assert!(!world.is_valid(token).await);
        }
        assert_eq!(world.identity.my_sessions(&ctx, &page()).await.unwrap().data.len(), 1);
    }

    async fn administrators_see_and_end_the_sessions_of_others(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Editor).await;
        world.add("carl", Role::Admin).await;
        let (token, ctx) = world.enter("ada").await;
        world.clock.advance(Duration::from_millis(2));
        let (_, admin) = world.enter("carl").await;
        assert_eq!(reason(world.identity.sessions(&ctx, None, &page()).await), "forbidden");
        assert_eq!(reason(world.identity.end_session(&ctx, admin.authentication().unwrap().session).await), "forbidden");
        assert_eq!(world.identity.sessions(&admin, None, &page()).await.unwrap().data.len(), 3);
        let hers = world.identity.sessions(&admin, Some(ada.id), &page()).await.unwrap().data;
        assert_eq!(hers.len(), 1);
        world.identity.end_session(&admin, hers[0].id).await.unwrap();
        assert!(!world.is_valid(&token).await);
        let (one, _) = world.enter("ada").await;
        let (two, _) = world.enter("ada").await;
        world.identity.end_sessions_of(&admin, ada.id).await.unwrap();
        assert!(!world.is_valid(&one).await && !world.is_valid(&two).await);
        // Not those of somebody who may do more.
        let owners = world.owner.authentication().unwrap().session;
        assert_eq!(reason(world.identity.end_session(&admin, owners).await), "forbidden");
        assert_eq!(reason(world.identity.end_sessions_of(&admin, world.owner_id()).await), "forbidden");
    }

    async fn another_tenants_sessions_do_not_exist(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Editor).await;
        let (token, ctx) = world.enter("ada").await;
        let stranger = second_tenant(&world).await;
        let session = ctx.authentication().unwrap().session;
        assert_eq!(reason(world.identity.end_session(&stranger, session).await), "session_not_found");
        assert_eq!(reason(world.identity.end_my_session(&stranger, session).await), "session_not_found");
        assert_eq!(reason(world.identity.end_sessions_of(&stranger, ada.id).await), "user_not_found");
        let seen = world.identity.sessions(&stranger, None, &page()).await.unwrap().data;
        assert_eq!(seen.iter().map(|session| session.user_email.as_str()).collect::<Vec<_>>(), ["bea@example.org"]);
        assert!(world.identity.sessions(&stranger, Some(ada.id), &page()).await.unwrap().data.is_empty());
        assert!(world.is_valid(&token).await);
    }

    async fn programs_have_no_sessions(test: TestStore) {
        let world = World::new(test.store()).await;
        let key = world.identity.create_api_key(&world.owner, all_of(Role::Owner)).await.unwrap().key;
        let ctx = world.identity.authenticate(key.expose()).await.unwrap().ctx;
        assert_eq!(reason(world.identity.my_sessions(&ctx, &page()).await), "forbidden");
        assert_eq!(reason(world.identity.end_my_other_sessions(&ctx).await), "forbidden");
        assert_eq!(world.identity.sessions(&ctx, None, &page()).await.unwrap().data.len(), 1);
    }
}
