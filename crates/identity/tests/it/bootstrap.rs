use plasma_identity::{Bootstrap, BootstrapKey, DEFAULT_OWNER_EMAIL, Identity, IdentityConfig, Login};
use plasma_kernel::{Clock, Origin, Permissions, Random, Role};
use plasma_testkit::{TestStore, on_each_database, system};

use crate::support::{OWNER, PASSWORD, done, page, refused, secret};

const KEY: &str = "plk_0123456789abcdef0123456789abcdef";
const OTHER_KEY: &str = "plk_fedcba9876543210fedcba9876543210";

fn identity(test: &TestStore) -> Identity {
    Identity::new(test.store(), Clock::system(), Random::system(), IdentityConfig::default())
}

fn with_key(key: &str) -> Bootstrap {
    Bootstrap {
        owner_email: Some(OWNER.to_owned()),
        owner_password: Some(secret(PASSWORD)),
        api_key: Some(secret(key)),
    }
}

async fn login(identity: &Identity, email: &str, password: &str) -> plasma_kernel::Result<plasma_identity::LoggedIn> {
    let login = Login { email: email.to_owned(), password: secret(password), origin: Origin::default() };
    identity.login(&system(), login).await.map(done)
}

on_each_database! {
    async fn the_first_start_makes_an_owner_with_a_printed_password(test: TestStore) {
        let identity = identity(&test);
        let owner = identity.bootstrap(Bootstrap::default()).await.unwrap().owner.unwrap();
        assert_eq!(owner.email, DEFAULT_OWNER_EMAIL);
        let password = owner.generated_password.unwrap();
        assert!(password.expose().len() >= 20);
        let logged_in = login(&identity, &owner.email, password.expose()).await.unwrap();
        assert_eq!((logged_in.user.id, logged_in.user.role, logged_in.user.operator), (owner.user, Role::Owner, true));
        assert_eq!((logged_in.tenant.id, logged_in.tenant.name.as_str()), (owner.tenant, "Default workspace"));
    }

    async fn a_configured_owner_gets_the_configured_password(test: TestStore) {
        let identity = identity(&test);
        let outcome = identity.bootstrap(with_key(KEY)).await.unwrap();
        assert!(outcome.owner.unwrap().generated_password.is_none());
        assert_eq!(outcome.api_key, Some(BootstrapKey::Created));
        login(&identity, OWNER, PASSWORD).await.unwrap();
        let authenticated = identity.authenticate(KEY).await.unwrap();
        assert_eq!(authenticated.role, Role::Owner);
        assert_eq!(*authenticated.ctx.permissions(), Permissions::all());
        assert_eq!(identity.api_keys(&authenticated.ctx, &page()).await.unwrap().data[0].name, "bootstrap");
    }

    async fn starting_again_changes_nothing(test: TestStore) {
        identity(&test).bootstrap(with_key(KEY)).await.unwrap();
        let identity = identity(&test);
        let again = Bootstrap {
            owner_email: Some("somebody-else@example.org".to_owned()),
            owner_password: Some(secret("another long password")),
            api_key: Some(secret(KEY)),
        };
        let outcome = identity.bootstrap(again).await.unwrap();
        assert!(outcome.owner.is_none());
        assert_eq!(outcome.api_key, Some(BootstrapKey::Unchanged));
        login(&identity, OWNER, PASSWORD).await.unwrap();
        assert!(login(&identity, "somebody-else@example.org", "another long password").await.is_err());
        let owner = identity.authenticate(KEY).await.unwrap().ctx;
        assert_eq!(identity.users(&owner, &page()).await.unwrap().data.len(), 1);
        assert_eq!(identity.api_keys(&owner, &page()).await.unwrap().data.len(), 1);
        assert_eq!(identity.bootstrap(Bootstrap::default()).await.unwrap().api_key, None);
        assert!(identity.authenticate(KEY).await.is_ok(), "a key that is no longer configured stays");
    }

    async fn several_processes_start_at_once(test: TestStore) {
        let starts: Vec<_> = (0..4)
            .map(|_| {
                let identity = identity(&test);
                tokio::spawn(async move { identity.bootstrap(with_key(KEY)).await.unwrap() })
            })
            .collect();
        let (mut owners, mut keys) = (0, 0);
        for start in starts {
            let outcome = start.await.unwrap();
            owners += usize::from(outcome.owner.is_some());
            keys += usize::from(outcome.api_key == Some(BootstrapKey::Created));
        }
        assert_eq!((owners, keys), (1, 1));
    }

    async fn another_configured_key_replaces_the_earlier_one_and_back(test: TestStore) {
        let identity = identity(&test);
        identity.bootstrap(with_key(KEY)).await.unwrap();
        assert!(identity.authenticate(KEY).await.is_ok());
        assert!(identity.authenticate(OTHER_KEY).await.is_err());
        assert_eq!(identity.bootstrap(with_key(OTHER_KEY)).await.unwrap().api_key, Some(BootstrapKey::Created));
        assert!(identity.authenticate(KEY).await.is_err());
        assert!(identity.authenticate(OTHER_KEY).await.is_ok());
        assert_eq!(identity.bootstrap(with_key(KEY)).await.unwrap().api_key, Some(BootstrapKey::Created));
        assert!(identity.authenticate(KEY).await.is_ok());
        assert!(identity.authenticate(OTHER_KEY).await.is_err());
    }

    async fn a_revoked_bootstrap_key_stays_revoked(test: TestStore) {
        let identity = identity(&test);
        identity.bootstrap(with_key(KEY)).await.unwrap();
        let owner = identity.authenticate(KEY).await.unwrap().ctx;
        let key = identity.api_keys(&owner, &page()).await.unwrap().data.remove(0);
        identity.revoke_api_key(&owner, key.id).await.unwrap();
        assert_eq!(identity.bootstrap(with_key(KEY)).await.unwrap().api_key, Some(BootstrapKey::Revoked));
        assert!(identity.authenticate(KEY).await.is_err());
        assert_eq!(identity.bootstrap(with_key(OTHER_KEY)).await.unwrap().api_key, Some(BootstrapKey::Created));
    }

    async fn wrong_configuration_is_explained_and_leaves_nothing(test: TestStore) {
        let identity = identity(&test);
        let field = async |bootstrap: Bootstrap| {
            refused(identity.bootstrap(bootstrap).await).field_name().unwrap().to_owned()
        };
        assert_eq!(field(with_key("plk_short")).await, "bootstrap_api_key");
        assert_eq!(field(with_key(&KEY.replace("plk_", "sk-x_"))).await, "bootstrap_api_key");
        assert_eq!(field(Bootstrap { owner_email: Some("owner".to_owned()), ..Bootstrap::default() }).await, "owner_email");
        assert_eq!(field(Bootstrap { owner_password: Some(secret("short")), ..Bootstrap::default() }).await, "owner_password");
        assert!(identity.bootstrap(Bootstrap::default()).await.unwrap().owner.is_some());
    }
}
