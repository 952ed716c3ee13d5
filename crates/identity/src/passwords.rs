//! Password hashing: argon2id, off the async threads, bounded in memory.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{self, PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use plasma_kernel::{Error, Random, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::Secret;

/// What OWASP's password storage cheat sheet recommends: 19 MiB of memory, 2 passes, 1 lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Each costs `MEMORY_KIB`: at most 76 MiB at once.
const AT_ONCE_MAX: usize = 4;
/// How many may wait for their turn, about two seconds on two cores; more are told to come back.
const WAITING_MAX: usize = 100;
const BUSY_RETRY_AFTER_MS: u64 = 1_000;

/// Verified in place of the hash of an unknown account, so that it takes the same time. No password has this hash.
const UNKNOWN_ACCOUNT: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

pub(crate) struct Passwords {
    workers: Arc<Semaphore>,
    queue: Semaphore,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let workers = Arc::new(Semaphore::new(cores.clamp(2, AT_ONCE_MAX)));
        Self { workers, queue: Semaphore::new(AT_ONCE_MAX + WAITING_MAX) }
    }

    /// The hash to store for a new password.
    ///
    /// # Errors
    /// `unavailable` when too many others wait.
    pub(crate) async fn hash(&self, random: &Random, password: &Secret) -> Result<String> {
        let salt: [u8; 16] = random.bytes();
        let password = password.clone();
        self.run(move || hash_now(&password, &salt)).await
    }

    /// Whether `password` is the one of `stored`; an unknown account (`None`) takes as long and is never right.
    ///
    /// # Errors
    /// `unavailable` when too many others wait.
    pub(crate) async fn verify(&self, password: &Secret, stored: Option<&str>) -> Result<bool> {
        let known = stored.is_some();
        let hash = stored.unwrap_or(UNKNOWN_ACCOUNT).to_owned();
        let password = password.clone();
        let matches = self.run(move || verify_now(&password, &hash)).await?;
        Ok(matches && known)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let (_place, worker) = self.enter().await?;
        tokio::task::spawn_blocking(move || {
            // Moved in here: a caller that goes away must not free the place while the work still runs.
            let _worker = worker;
            work()
        })
        .await
        .map_err(|error| Error::from_source("password hashing did not finish", error))?
    }

    async fn enter(&self) -> Result<(SemaphorePermit<'_>, OwnedSemaphorePermit)> {
        let place = self.queue.try_acquire().map_err(|_| {
            Error::unavailable("logins_busy", "too many logins are being checked at this moment")
                .remedy("try again in a second")
                .retry_after_ms(BUSY_RETRY_AFTER_MS)
        })?;
        let worker = Arc::clone(&self.workers)
            .acquire_owned()
            .await
            .map_err(|error| Error::from_source("password hashing was closed", error))?;
        Ok((place, worker))
    }
}

fn failed(error: password_hash::Error) -> Error {
    Error::from_source("a password could not be hashed", error)
}

fn argon2() -> Result<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
        .map_err(|error| Error::internal(format!("the parameters of argon2 are wrong: {error}")))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash_now(password: &Secret, salt: &[u8]) -> Result<String> {
    let hash: PasswordHash = argon2()?.hash_password_with_salt(password.expose().as_bytes(), salt).map_err(failed)?;
    Ok(hash.to_string())
}

fn verify_now(password: &Secret, stored: &str) -> Result<bool> {
    let stored =
        PasswordHash::new(stored).map_err(|error| Error::from_source("a stored password hash is damaged", error))?;
    // The parameters come from the stored hash, so that older hashes stay valid when ours change.
    match argon2()?.verify_password(password.expose().as_bytes(), &stored) {
        Ok(()) => Ok(true),
        Err(password_hash::Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_matches() {
        let passwords = Passwords::new();
        let right = Secret::new("correct horse battery");
        let hash = passwords.hash(&Random::system(), &right).await.unwrap();
        assert!(!hash.contains("horse"));
        assert!(passwords.verify(&right, Some(&hash)).await.unwrap());
        // Exactly: no other case, no spaces that were cut off or added.
        for other in
            ["correct horse batterz", "Correct horse battery", "correct horse battery ", " correct horse battery"]
        {
            assert!(!passwords.verify(&Secret::new(other), Some(&hash)).await.unwrap(), "{other:?}");
        }
        // And to the end, however long it is.
        let long = passwords.hash(&Random::system(), &Secret::new("a".repeat(200))).await.unwrap();
        let shorter = Secret::new(format!("{}b", "a".repeat(199)));
        assert!(!passwords.verify(&shorter, Some(&long)).await.unwrap());
        assert!(!passwords.verify(&right, None).await.unwrap());
        assert_ne!(hash, passwords.hash(&Random::system(), &right).await.unwrap(), "salts differ");
    }

    #[test]
    fn the_unknown_account_costs_what_a_known_one_does() {
        let hash = hash_now(&Secret::new("correct horse battery"), &[7; 16]).unwrap();
        let (known, unknown) = (PasswordHash::new(&hash).unwrap(), PasswordHash::new(UNKNOWN_ACCOUNT).unwrap());
        assert_eq!(known.algorithm, unknown.algorithm);
        assert_eq!(known.params.to_string(), unknown.params.to_string());
        assert_eq!(hash.len(), UNKNOWN_ACCOUNT.len());
    }

    #[tokio::test]
    async fn a_crowd_is_turned_away_instead_of_piling_up() {
        let passwords = Arc::new(Passwords::new());
        let password = Secret::new("correct horse battery");
        let tries: Vec<_> = (0..AT_ONCE_MAX + WAITING_MAX + 50)
            .map(|_| {
                let (passwords, password) = (Arc::clone(&passwords), password.clone());
                tokio::spawn(async move { passwords.verify(&password, None).await })
            })
            .collect();
        let mut busy = 0;
        for attempt in tries {
            if let Err(error) = attempt.await.unwrap() {
                assert_eq!(error.reason(), "logins_busy");
                busy += 1;
            }
        }
        assert_eq!(busy, 50);
    }
}
