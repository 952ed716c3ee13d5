//! An installation with its first owner, on a clock that the test moves.

use std::{fmt, time::Duration};

use plasma_identity::{
    Bootstrap, Identity, IdentityConfig, LoggedIn, Login, LoginStep, NewApiKey, NewUser, Secret, User,
};
use plasma_kernel::{Clock, Ctx, Error, Origin, PageRequest, Permission, Random, Result, Role, UserId};
use plasma_store::{EventFilter, Store};

pub const OWNER: &str = "owner@example.org";
pub const PASSWORD: &str = "correct horse battery";
pub const DAY: Duration = Duration::from_secs(24 * 3_600);

pub struct World {
    pub store: Store,
    pub clock: Clock,
    pub identity: Identity,
    /// The operator who owns the first tenant.
    pub owner: Ctx,
}

pub fn secret(text: &str) -> Secret {
    Secret::new(text)
}

pub fn page() -> PageRequest {
    PageRequest::default()
}

pub fn all_of(role: Role) -> NewApiKey {
    NewApiKey {
        name: "test".to_owned(),
        role: role.into(),
        scopes: None,
        addresses: Vec::new(),
        expires_at: None,
        team: None,
    }
}

pub fn only(role: Role, scopes: &[Permission]) -> NewApiKey {
    NewApiKey { scopes: Some(scopes.to_vec()), ..all_of(role) }
}

/// The error's reason, for results that must have failed.
#[track_caller]
pub fn reason<T>(result: Result<T>) -> &'static str {
    match result {
        Ok(_) => panic!("this must be refused"),
        Err(error) => error.reason(),
    }
}

#[track_caller]
pub fn refused<T>(result: Result<T>) -> Error {
    match result {
        Ok(_) => panic!("this must be refused"),
        Err(error) => error,
    }
}

/// The session of a login that must have ended.
#[track_caller]
pub fn done(step: LoginStep) -> LoggedIn {
    match step {
        LoginStep::Done(logged_in) => *logged_in,
        LoginStep::Continue(pending) => panic!("another proof is needed: {:?}", pending.needs),
    }
}

impl World {
    pub async fn new(store: Store) -> Self {
        Self::with_config(store, IdentityConfig::default()).await
    }

    pub async fn with_config(store: Store, config: IdentityConfig) -> Self {
        let clock = Clock::manual(1_800_000_000_000_000);
        let identity = Identity::new(store.clone(), clock.clone(), Random::system(), config);
        let bootstrap =
            Bootstrap { owner_email: Some(OWNER.to_owned()), owner_password: Some(secret(PASSWORD)), api_key: None };
        identity.bootstrap(bootstrap).await.unwrap();
        let system = Ctx::system("test", clock.clone(), Random::system());
        let login = Login { email: OWNER.to_owned(), password: secret(PASSWORD), origin: Origin::default() };
        let token = done(identity.login(&system, login).await.unwrap()).token;
        let owner = identity.authenticate(token.expose()).await.unwrap().ctx;
        Self { store, clock, identity, owner }
    }

    /// The same installation as another process would see it.
    pub fn other_process(&self, store: Store) -> Identity {
        Identity::new(store, self.clock.clone(), Random::system(), IdentityConfig::default())
    }

    pub fn system(&self) -> Ctx {
        Ctx::system("test", self.clock.clone(), Random::system())
    }

    /// A login that needs nothing but the password.
    pub async fn login(&self, email: &str, password: &str) -> Result<LoggedIn> {
        self.login_step(email, password).await.map(done)
    }

    pub async fn login_step(&self, email: &str, password: &str) -> Result<LoginStep> {
        let login = Login { email: email.to_owned(), password: secret(password), origin: Origin::default() };
        self.identity.login(&self.system(), login).await
    }

    /// Adds `name@example.org` with [`PASSWORD`] to the owner's tenant.
    pub async fn add(&self, name: &str, role: Role) -> User {
        self.add_by(&self.owner, name, role).await.unwrap()
    }

    pub async fn add_by(&self, ctx: &Ctx, name: &str, role: Role) -> Result<User> {
        let email = format!("{name}@example.org");
        let new = NewUser { email, name: name.to_owned(), role, password: secret(PASSWORD) };
        self.identity.create_user(ctx, new).await
    }

    /// Logs `name@example.org` in and returns the token and the context.
    pub async fn enter(&self, name: &str) -> (String, Ctx) {
        let token = self.login(&format!("{name}@example.org"), PASSWORD).await.unwrap().token;
        let ctx = self.identity.authenticate(token.expose()).await.unwrap().ctx;
        (token.expose().to_owned(), ctx)
    }

    pub async fn is_valid(&self, token: &str) -> bool {
        self.identity.authenticate(token).await.is_ok()
    }

    pub fn owner_id(&self) -> UserId {
        self.owner.user().unwrap()
    }

    /// Types and subjects of the tenant's events, oldest first.
    pub async fn events(&self, ctx: &Ctx) -> Vec<(String, String)> {
        let mut tx = self.store.read(ctx).await.unwrap();
        let page = PageRequest { limit: 200, cursor: None };
        let mut events = tx.events_page(&EventFilter::default(), &page).await.unwrap().data;
        events.reverse();
        events.into_iter().map(|event| (event.kind, event.subject)).collect()
    }

    pub async fn count_events(&self, ctx: &Ctx, kind: &str, subject: impl fmt::Display) -> usize {
        let subject = subject.to_string();
        self.events(ctx).await.iter().filter(|event| event.0 == kind && event.1 == subject).count()
    }

    /// Everything that a table holds, as one text: to look for what must not be in it.
    pub async fn everything_stored(&self) -> String {
        let mut tx = self.store.read(&self.system()).await.unwrap();
        let mut text = String::new();
        for (sql, columns) in [
            ("SELECT email, name, password_hash FROM users", &["email", "name", "password_hash"][..]),
            ("SELECT name, prefix FROM api_keys", &["name", "prefix"]),
            ("SELECT subject, actor, data FROM events", &["subject", "actor", "data"]),
        ] {
            for row in tx.fetch_all(sql, []).await.unwrap() {
                for column in columns {
                    text.push_str(&row.get::<String>(column).unwrap());
                    text.push('\n');
                }
            }
        }
        for sql in ["SELECT token_hash FROM sessions", "SELECT token_hash FROM api_keys"] {
            for row in tx.fetch_all(sql, []).await.unwrap() {
                text.push_str(&String::from_utf8_lossy(&row.get::<Vec<u8>>("token_hash").unwrap()));
                text.push('\n');
            }
        }
        text
    }
}
