use std::{net::IpAddr, sync::Arc, time::Duration};

use plasma_identity::Login;
use plasma_kernel::{Code, Origin, Role};
use plasma_testkit::on_each_database;

use crate::support::{PASSWORD, World, refused, secret};

on_each_database! {
    async fn fifty_guesses_at_once_are_not_fifty_verified(test: TestStore) {
        let world = Arc::new(World::new(test.store()).await);
        let ada = world.add("ada", Role::Editor).await;
        let guesses: Vec<_> = (0..50)
            .map(|number| {
                let world = Arc::clone(&world);
                tokio::spawn(async move {
                    refused(world.login("ada@example.org", &format!("wrong horse battery {number}")).await)
                })
            })
            .collect();
        let mut verified = 0;
        for guess in guesses {
            let error = guess.await.unwrap();
            match error.code() {
                Code::Unauthenticated => verified += 1,
                Code::RateLimited => assert!(error.retry_after().unwrap() > 0),
                code => panic!("{code}"),
            }
        }
        assert!((1..=10).contains(&verified), "{verified} were verified");
        assert_eq!(world.count_events(&world.owner, "identity.login.failed", ada.id).await, verified);
        // Another account is not touched, and after the window this one is free again.
        world.login("owner@example.org", PASSWORD).await.unwrap();
        world.clock.advance(Duration::from_secs(15 * 60));
        world.login("ada@example.org", PASSWORD).await.unwrap();
    }

    async fn the_right_password_does_not_help_before_the_wait_is_over(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        for _ in 0..4 {
            refused(world.login("ada@example.org", "wrong horse battery").await);
        }
        let error = refused(world.login("ADA@example.org", PASSWORD).await);
        assert_eq!((error.code(), error.retry_after()), (Code::RateLimited, Some(1_000)));
        world.clock.advance(Duration::from_secs(1));
        world.login("ada@example.org", PASSWORD).await.unwrap();
        // A success forgets the failures.
        for _ in 0..4 {
            assert_eq!(refused(world.login("ada@example.org", "wrong horse battery").await).code(), Code::Unauthenticated);
        }
    }

    async fn eight_right_logins_at_once_all_get_in(test: TestStore) {
        let world = Arc::new(World::new(test.store()).await);
        let logins: Vec<_> = (0..8)
            .map(|_| {
                let world = Arc::clone(&world);
                tokio::spawn(async move { world.login("owner@example.org", PASSWORD).await.map(drop) })
            })
            .collect();
        for login in logins {
            login.await.unwrap().unwrap();
        }
    }

    async fn one_address_cannot_try_many_accounts(test: TestStore) {
        let world = World::new(test.store()).await;
        let from = async |number: usize, address: [u8; 4]| {
            let login = Login {
                email: format!("user{number}@example.org"),
                password: secret("wrong horse battery"),
                origin: Origin { address: Some(IpAddr::from(address)), user_agent: None },
            };
            refused(world.identity.login(&world.system(), login).await).code()
        };
        for number in 0..50 {
            assert_eq!(from(number, [192, 0, 2, 1]).await, Code::Unauthenticated);
        }
        assert_eq!(from(50, [192, 0, 2, 1]).await, Code::RateLimited);
        assert_eq!(from(50, [192, 0, 2, 2]).await, Code::Unauthenticated);
    }
}
