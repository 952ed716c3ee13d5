//! One program for all targets: `PLASMA_FUZZ_TARGET` names the one to run, and `list` prints their names. `run.sh` does the rest.
//!
//! A target is a function of bytes that must not panic, hang or take much memory, whatever the bytes are. Parsers that are public are
//! called from here; those inside of a crate are in the crate's own list, `fuzzing::TARGETS`, which exists only when it is fuzzed
//! (`cfg(fuzzing)`). A new parser of data from outside is one more line in its crate's list.
#![no_main]

mod audit;
mod documents;
mod identifiers;
mod protocols;
mod requests;
mod vectors;

use std::sync::{Mutex, OnceLock, PoisonError};

use libfuzzer_sys::fuzz_target;

/// A name, and what is done with the bytes.
type Target = (&'static str, fn(&[u8]));

fn targets() -> Vec<Target> {
    [
        audit::TARGETS,
        documents::TARGETS,
        identifiers::TARGETS,
        protocols::TARGETS,
        requests::TARGETS,
        vectors::TARGETS,
        plasma_governance::fuzzing::TARGETS,
        plasma_identity::fuzzing::TARGETS,
        plasma_knowledge::fuzzing::TARGETS,
        plasma_models::fuzzing::TARGETS,
        plasma_server::fuzzing::TARGETS,
        plasma_store::fuzzing::TARGETS,
    ]
    .concat()
}

static CHOSEN: OnceLock<fn(&[u8])> = OnceLock::new();
/// What the last panic said. A parser may catch the panics of a library, so that a panic alone is no fault.
static SAID: Mutex<String> = Mutex::new(String::new());

fn choose() {
    std::panic::set_hook(Box::new(|info| {
        *SAID.lock().unwrap_or_else(PoisonError::into_inner) = info.to_string();
    }));
    let wanted = std::env::var("PLASMA_FUZZ_TARGET").unwrap_or_default();
    let known = targets();
    if let Some((_, run)) = known.iter().find(|(name, _)| *name == wanted) {
        let _ = CHOSEN.set(*run);
        return;
    }
    for (name, _) in known {
        println!("{name}");
    }
    std::process::exit(if wanted == "list" { 0 } else { 2 });
}

fuzz_target!(init: choose(), |bytes: &[u8]| {
    let Some(run) = CHOSEN.get() else { return };
    if std::panic::catch_unwind(|| run(bytes)).is_err() {
        eprintln!("{}", SAID.lock().unwrap_or_else(PoisonError::into_inner));
        std::process::abort();
    }
});
