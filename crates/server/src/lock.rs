//! One process at a time works in a data directory.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    path::Path,
};

use plasma_kernel::{Error, Result};

/// Holds the data directory until it is dropped, however the process ends: the system releases the lock.
#[derive(Debug)]
pub struct DataDirLock {
    _file: File,
}

impl DataDirLock {
    /// Takes the directory, which is made when absent.
    ///
    /// # Errors
    /// `conflict` (`data_dir_in_use`) when another process holds it; `unavailable` when it cannot be made or written.
    pub fn take(data_dir: &Path) -> Result<Self> {
        let unavailable = |error: std::io::Error| {
            Error::unavailable(
                "data_dir_unavailable",
                format!("the data directory {} cannot be used: {error}", data_dir.display()),
            )
            .remedy("choose a folder that this user may write with --data-dir")
        };
        std::fs::create_dir_all(data_dir).map_err(unavailable)?;
        let path = data_dir.join("plasma.lock");
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(unavailable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // The number only helps; without it the message is still right.
                let _ = (&file).take(20).read_to_string(&mut holder);
                let process =
                    holder.trim().parse::<u32>().map_or_else(|_| String::new(), |id| format!(" (process {id})"));
                return Err(Error::conflict(
                    "data_dir_in_use",
                    format!("another plasma{process} works in the data directory {}", data_dir.display()),
                )
                .remedy("stop it first, or give this one its own with --data-dir"));
            }
            Err(TryLockError::Error(error)) => return Err(unavailable(error)),
        }
        file.set_len(0).map_err(unavailable)?;
        file.rewind().map_err(unavailable)?;
        writeln!(file, "{}", std::process::id()).map_err(unavailable)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_holder() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataDirLock::take(folder.path()).unwrap();
        let refused = DataDirLock::take(folder.path()).unwrap_err();
        assert_eq!(refused.reason(), "data_dir_in_use");
        assert!(refused.message().contains(&format!("(process {})", std::process::id())), "{refused}");
        drop(first);
        DataDirLock::take(folder.path()).unwrap();
    }
}
