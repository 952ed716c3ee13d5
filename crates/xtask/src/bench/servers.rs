//! Servers that are measured: started in groups of their own, waited for, and stopped again whatever happens.

use std::{
    env, fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::load::{http::Connection, interrupt};

/// How long a server may take to start: LiteLLM's imports are slow on a busy machine.
const START_MAX: Duration = Duration::from_secs(180);
/// How long a server may take to stop before it is killed.
const STOP_MAX: Duration = Duration::from_secs(20);
/// Bytes of a server's log that an error shows.
const LOG_SHOWN_BYTES: usize = 2_000;

/// A process and its children, in a group of their own, so that Ctrl-C reaches them through us only. Dropped, all are
/// stopped.
pub struct Group(Child);

impl Group {
    /// Starts a command.
    pub fn start(command: &mut Command) -> Result<Self> {
        let process = command.stdin(Stdio::null()).process_group(0).spawn();
        process.map(Self).with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))
    }

    /// The first process.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits for the end of the first process, or for Ctrl-C.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            interrupt::sleep(Duration::from_millis(50))?;
        }
    }

    fn signal(&self, signal: &str) {
        // It may have ended by itself; there is nothing to do then.
        let _ = Command::new("kill").args([signal, "--", &format!("-{}", self.0.id())]).stderr(Stdio::null()).status();
    }
}

impl Drop for Group {
    #[allow(clippy::disallowed_methods)] // no runtime's worker is blocked
    fn drop(&mut self) {
        self.signal("-TERM");
        let begun = Instant::now();
        while matches!(self.0.try_wait(), Ok(None)) && begun.elapsed() < STOP_MAX {
            thread::sleep(Duration::from_millis(20));
        }
        // Also children that the first process left behind.
        self.signal("-KILL");
        let _ = self.0.wait();
    }
}

/// A server that answers on 127.0.0.1.
pub struct Server {
    group: Group,
    log: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
    /// From its start to its first good answer.
    pub ready_after: Duration,
}

impl Server {
    /// Starts a server and waits until `ready_path` answers with a status that `is_ready` takes. What it prints goes into a
    /// file of `folder`.
    pub fn start(
        name: &str,
        folder: &Path,
        address: SocketAddr,
        ready_path: &str,
        is_ready: fn(u16) -> bool,
        command: &mut Command,
    ) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdout(output.try_clone()?).stderr(output);
        let begun = Instant::now();
        let group = Group::start(command)?;
        let mut server = Self { group, log, address, ready_after: Duration::ZERO };
        let request = format!("GET {ready_path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        loop {
            let answer = Connection::open(address).and_then(|mut connection| connection.exchange(request.as_bytes()));
            if answer.is_ok_and(|answer| is_ready(answer.status)) {
                server.ready_after = begun.elapsed();
                return Ok(server);
            }
            if let Some(status) = server.group.0.try_wait()? {
                bail!("{name} ended before it was ready: {status}\n{}", server.log_end());
            }
            if begun.elapsed() > START_MAX {
                bail!("{name} was not ready within {} s\n{}", START_MAX.as_secs(), server.log_end());
            }
            interrupt::sleep(Duration::from_millis(20))?;
        }
    }

    /// Its first process.
    pub fn id(&self) -> u32 {
        self.group.id()
    }

    /// The last lines that it printed.
    pub fn log_end(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let end = log.get(log.len().saturating_sub(LOG_SHOWN_BYTES)..).unwrap_or_default();
        String::from_utf8_lossy(end).into_owned()
    }
}

/// What most servers say when they are ready.
pub fn is_ok(status: u16) -> bool {
    status == 200
}

/// A command that sees nothing of our environment: no proxies, no keys, no settings, and no files of the user.
pub fn clean_command(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("HOME", home).current_dir(home);
    if let Some(path) = env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

/// A port that nobody listens on. Nobody else should take it in the moment until the server does.
pub fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?)
}
