//! What the process takes.

/// Resident memory in MB: the process's own, and mapped pages of files.
pub fn memory() -> std::io::Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let of = |name: &str| -> f64 {
        let line = status.lines().find(|line| line.starts_with(name));
        let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|number| number.parse().ok());
        kilobytes.unwrap_or(0.0) * 1_024.0 / 1e6
    };
    Ok(format!("\"anonymous_mb\":{:.1},\"mapped_mb\":{:.1}", of("RssAnon:"), of("RssFile:")))
}
