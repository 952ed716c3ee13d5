//! Backups that somebody may have changed, for the program in `fuzz/`.

use std::{
    io::Read as _,
    path::{Component, Path},
    slice,
    sync::OnceLock,
};

use plasma_kernel::Random;

use super::{
    ArchiveReader, ArchiveWriter, Identity, Opener, PublicKey, Recipient, generate, open, passphrase, seal, verify,
};

/// More than one piece.
const CONTENT_BYTES: usize = 70_000;

/// A key, and a file that is encrypted for it.
struct Known {
    recipient: Recipient,
    opener: Opener,
    sealed: Vec<u8>,
}

impl Known {
    fn new() -> anyhow::Result<Self> {
        let (identity, recipient) = generate(&Random::system())?;
        let recipient = Recipient::Key(PublicKey::parse(&recipient)?);
        let opener = Opener::Identity(Identity::parse(&identity)?);
        let mut sealed = Vec::new();
        seal(vec![7_u8; CONTENT_BYTES].as_slice(), &mut sealed, slice::from_ref(&recipient))?;
        Ok(Self { recipient, opener, sealed })
    }
}

fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(|| match Known::new() {
        Ok(known) => known,
        Err(error) => unreachable!("nothing can be encrypted: {error}"),
    })
}

/// A file as it is, or (the first byte is odd) a place in the known file and what stands there instead. Only what nobody changed
/// opens to its end.
pub(crate) fn container(bytes: &[u8]) {
    let [which, high, low, rest @ ..] = bytes else { return };
    let known = known();
    let mut given = rest.to_vec();
    if which % 2 == 1 {
        given.clone_from(&known.sealed);
        let place = usize::from(u16::from_be_bytes([*high, *low]));
        // Half of them in the header, which is short.
        let place = if which % 4 == 1 { place % 4_096 } else { place * given.len() / 65_536 };
        let place = place.min(given.len());
        if rest.is_empty() {
            given.truncate(place);
        } else {
            let end = (place + rest.len()).min(given.len());
            given.splice(place..end, rest.iter().copied());
        }
    }
    let mut opened = Vec::new();
    let read = open(given.as_slice(), &mut opened, &known.opener);
    assert_eq!(read.is_ok(), given == known.sealed, "a changed backup opens, or a right one does not");
    // What came out before the end was as it had been, too.
    assert!(opened.len() <= CONTENT_BYTES && opened.iter().all(|byte| *byte == 7));
}

/// What is inside, as it is; and what was put in comes out again.
pub(crate) fn archive(bytes: &[u8]) {
    let mut reader = ArchiveReader::new(bytes);
    while let Ok(Some(entry)) = reader.next_entry() {
        let stays_inside = |part: Component<'_>| matches!(part, Component::Normal(_));
        assert!(entry.path.components().all(stays_inside), "{} leads out of the folder", entry.path.display());
        let mut content = Vec::new();
        if reader.read_to_end(&mut content).is_ok() {
            assert_eq!(content.len() as u64, entry.size);
        }
    }
    assert!(put_in_and_taken_out(bytes).is_ok(), "what was put in does not come out");
    let (known, mut sealed) = (known(), Vec::new());
    if seal(bytes, &mut sealed, slice::from_ref(&known.recipient)).is_ok()
        && let Ok((_, totals)) = verify(sealed.as_slice(), &known.opener)
    {
        assert!(totals.files >= 1, "a backup without a first file");
    }
}

fn put_in_and_taken_out(bytes: &[u8]) -> anyhow::Result<()> {
    let files: Vec<(String, &[u8])> = bytes
        .split(|byte| *byte == b'\n')
        .take(20)
        .enumerate()
        // Longer than a plain header holds, some of them.
        .map(|(number, line)| (format!("blobs/{number}/{}", "a".repeat(line.len() % 300)), line))
        .collect();
    let mut writer = ArchiveWriter::new(Vec::new());
    for (name, mut content) in files.iter().map(|(name, content)| (name, *content)) {
        writer.add(name, content.len() as u64, &mut content)?;
    }
    let archive = writer.finish()?;
    let mut reader = ArchiveReader::new(archive.as_slice());
    for (name, content) in &files {
        let entry = reader.next_entry()?;
        assert!(entry.is_some_and(|entry| entry.path == Path::new(name) && entry.size == content.len() as u64));
        let mut read = Vec::new();
        reader.read_to_end(&mut read)?;
        assert_eq!(read, *content);
    }
    assert_eq!(reader.next_entry()?, None);
    Ok(())
}

/// The texts of keys, and passphrases.
pub(crate) fn keys(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = PublicKey::parse(text);
    let _ = Identity::parse(text);
    if let Ok(secret) = passphrase(text) {
        assert!(secret.chars().count() >= 12 && secret.trim() == secret.as_str() && !secret.contains('\n'));
    }
}
