//! Audit logs as files: what somebody may have done to one before `plasma audit verify` reads it.

use std::{fs, sync::OnceLock};

use plasma_governance::{
    fuzzing::{SoundLog, sound_log},
    verify::{LogReport, verify_bundle},
};
use tempfile::TempDir;

use crate::Target;

pub const TARGETS: &[Target] = &[("audit_bundle", bundle)];

fn sound() -> &'static SoundLog {
    static SOUND: OnceLock<SoundLog> = OnceLock::new();
    SOUND.get_or_init(|| {
        let sound = sound_log();
        let report = verified(sound.bundle.as_bytes(), &sound).expect("a report");
        assert!(report.intact && report.proven == sound.records.len() as u64, "a sound log is not: {report:?}");
        sound
    })
}

fn verified(bundle: &[u8], sound: &SoundLog) -> Option<LogReport> {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("log.jsonl");
    fs::write(&file, bundle).expect("a file");
    verify_bundle(&file, &sound.trust).ok()
}

/// The first byte says what was done: nothing (the rest is the file), bytes replaced, a line moved or taken away.
fn bundle(bytes: &[u8]) {
    let [which, first, second, rest @ ..] = bytes else { return };
    let sound = sound();
    let changed = match which % 4 {
        0 => rest.to_vec(),
        1 => replaced(sound.bundle.as_bytes(), u16::from_be_bytes([*first, *second]), rest),
        _ => {
            let mut lines: Vec<&str> = sound.bundle.lines().collect();
            let line = lines.remove(usize::from(*first) % lines.len());
            if which % 4 == 2 {
                lines.insert(usize::from(*second) % (lines.len() + 1), line);
            }
            (lines.join("\n") + "\n").into_bytes()
        }
    };
    let Some(report) = verified(&changed, sound) else { return };
    if report.intact {
        // What was signed is all there, letter by letter.
        let text = String::from_utf8_lossy(&changed);
        let is_there = sound.records.iter().all(|record| text.contains(record.as_str()));
        assert!(is_there && report.proven >= sound.records.len() as u64, "a changed log is whole: {report:?}");
    }
}

/// An empty rest cuts the file off.
fn replaced(sound: &[u8], place: u16, rest: &[u8]) -> Vec<u8> {
    let mut content = sound.to_vec();
    let place = usize::from(place) % (content.len() + 1);
    if rest.is_empty() {
        content.truncate(place);
    } else {
        let end = (place + rest.len()).min(content.len());
        content.splice(place..end, rest.iter().copied());
    }
    content
}
