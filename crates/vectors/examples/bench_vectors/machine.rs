//! What the process takes.

/// Resident memory of its own, in MB.
pub fn anonymous_mb() -> std::io::Result<f64> {
    of("RssAnon:")
}

/// Resident pages of mapped files, in MB.
pub fn mapped_mb() -> std::io::Result<f64> {
    of("RssFile:")
}

fn of(name: &str) -> std::io::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(name));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|number| number.parse().ok());
    Ok(kilobytes.unwrap_or(0.0) * 1_024.0 / 1e6)
}
