//! Ctrl-C and SIGTERM: what runs ends soon, and everything that was started is stopped on the way out.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use tokio::signal::unix::{SignalKind, signal};

static SET: AtomicBool = AtomicBool::new(false);

/// Whether the measurement should end.
pub fn is_set() -> bool {
    SET.load(Ordering::Relaxed)
}

/// An error when the measurement should end.
pub fn check() -> Result<()> {
    if is_set() {
        bail!("interrupted");
    }
    Ok(())
}

/// Sleeps, but not on after a signal.
#[allow(clippy::disallowed_methods)] // no runtime's worker is blocked
pub fn sleep(time: Duration) -> Result<()> {
    let until = Instant::now() + time;
    loop {
        check()?;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(Duration::from_millis(100)));
    }
}

/// Begins to listen for signals, on a thread of its own.
pub fn listen() -> Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().build().context("cannot start a runtime")?;
    let (mut interrupt, mut terminate) = {
        let _entered = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        SET.store(true, Ordering::Relaxed);
        eprintln!("\nstopping what was started");
    });
    Ok(())
}
