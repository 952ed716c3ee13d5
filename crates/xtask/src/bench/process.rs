//! What processes and the machine use, as Linux tells in `/proc`.

use std::{
    fs,
    ops::{Add, Sub},
    time::Duration,
};

use anyhow::{Context as _, Result};

/// Length of a tick in which `/proc` counts time: Linux shows hundredths of a second to programs on every architecture.
const TICK: Duration = Duration::from_millis(10);

/// Processor time in hundredths of a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticks(u64);

impl Ticks {
    /// As seconds.
    pub fn seconds(self) -> f64 {
        self.0 as f64 * TICK.as_secs_f64()
    }
}

impl Add for Ticks {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Ticks {
    type Output = Self;

    /// Never below zero: when a process of a tree ends, its time may move to a parent outside of the tree.
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// What `/proc/<id>/stat` says of a process.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// In user and kernel mode.
    own: Ticks,
    /// The same of children that have ended and were waited for.
    children: Ticks,
}

impl Stat {
    fn all(&self) -> Ticks {
        self.own + self.children
    }
}

/// The process and all that it started, as long as they live.
pub fn tree(root: u32) -> Result<Vec<u32>> {
    let processes = processes()?;
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(&parent) = tree.get(next) {
        tree.extend(processes.iter().filter(|(_, stat)| stat.parent == parent).map(|(id, _)| *id));
        next += 1;
    }
    Ok(tree)
}

/// Time that the process and its descendants have used, also those that have ended.
pub fn time(root: u32) -> Result<Ticks> {
    let first = stat(root)?;
    let descendants = tree(root)?.into_iter().skip(1).filter_map(|id| stat(id).ok());
    Ok(descendants.fold(first.all(), |sum, stat| sum + stat.all()))
}

/// Time that the process has used, without its children.
pub fn own_time(id: u32) -> Result<Ticks> {
    Ok(stat(id)?.own)
}

/// Megabytes (2^20 bytes) of memory that the process and its descendants have resident. Pages that they share count for each.
pub fn resident_mb(root: u32) -> Result<f64> {
    let own = status_kilobytes(root, "VmRSS:")?;
    let descendants = tree(root)?.into_iter().skip(1);
    let kilobytes = descendants.filter_map(|id| status_kilobytes(id, "VmRSS:").ok()).fold(own, |sum, one| sum + one);
    Ok(kilobytes / 1024.0)
}

/// Megabytes of the process's resident memory that no file stands behind: heap and stacks.
pub fn anonymous_mb(id: u32) -> Result<f64> {
    Ok(status_kilobytes(id, "RssAnon:")? / 1024.0)
}

/// Time that all programs of the machine have used, and that its host gave to other machines.
pub fn machine_time() -> Result<Ticks> {
    let programs = processes()?.into_iter().fold(Ticks::default(), |sum, (_, stat)| sum + stat.all());
    let stat = fs::read_to_string("/proc/stat").context("processes are measured on Linux only")?;
    Ok(programs + stolen(&stat).context("/proc/stat does not begin with the sum of the processors")?)
}

/// `cpu user nice system idle iowait irq softirq steal …`
fn stolen(stat: &str) -> Option<Ticks> {
    stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().nth(7)?.parse().map(Ticks).ok()
}

fn processes() -> Result<Vec<(u32, Stat)>> {
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc").context("processes are measured on Linux only")? {
        let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // A process may end between the two reads.
        if let Ok(stat) = stat(id) {
            processes.push((id, stat));
        }
    }
    Ok(processes)
}

fn status_kilobytes(id: u32, name: &str) -> Result<f64> {
    let status =
        fs::read_to_string(format!("/proc/{id}/status")).with_context(|| format!("the process {id} has ended"))?;
    let value = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
    Ok(value.split_whitespace().next().unwrap_or_default().parse()?)
}

fn stat(id: u32) -> Result<Stat> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).with_context(|| format!("the process {id} has ended"))?;
    parse_stat(&text).with_context(|| format!("/proc/{id}/stat is not as expected"))
}

/// The name stands in parentheses and may hold anything, also spaces and parentheses.
fn parse_stat(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
    let own = Ticks(number(11)? + number(12)?);
    Some(Stat { parent: fields.get(1)?.parse().ok()?, own, children: Ticks(number(13)? + number(14)?) })
}

#[cfg(test)]
mod tests {
    use std::{
        process::{Command, Stdio},
        time::Instant,
    };

    use super::*;

    #[test]
    fn a_process_with_a_strange_name_is_read() {
        let text = "12 (a) b (c) S 7 12 12 0 -1 4194304 100 0 0 0 30 12 5 3 20 0 4 0 100 1 1";
        assert_eq!(parse_stat(text), Some(Stat { parent: 7, own: Ticks(42), children: Ticks(8) }));
        assert_eq!(parse_stat("12 (a"), None);
    }

    #[test]
    fn stolen_time_is_found() {
        assert_eq!(stolen("cpu  10 2 5 1000 3 4 6 17 0 0\ncpu0 1 1 1"), Some(Ticks(17)));
        assert_eq!(stolen("intr 5"), None);
        assert!(machine_time().unwrap() >= time(std::process::id()).unwrap());
    }

    #[test]
    fn a_tree_counts_what_its_processes_use() {
        let script = "(while :; do :; done) & read line; kill $!";
        let mut shell = Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn().unwrap();
        let begun = Instant::now();
        while time(shell.id()).unwrap() < Ticks(5) {
            assert!(begun.elapsed() < Duration::from_secs(20), "a busy child uses no time");
        }
        assert_eq!(tree(shell.id()).unwrap().len(), 2);
        assert!(resident_mb(shell.id()).unwrap() > 0.1);
        drop(shell.stdin.take());
        shell.wait().unwrap();
    }
}
