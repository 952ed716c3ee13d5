//! The container: a header that holds the backup's own key, wrapped for each recipient, and then the content in pieces of 64 KiB, each
//! sealed by itself (XChaCha20-Poly1305 in the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015).
//!
//! A piece's nonce holds its number and whether it is the last: a piece that was changed, moved, doubled or cut off does not open.
//! The key of the pieces depends on the header, so that the header cannot be changed either.

use std::io::{self, BufRead, Read, Write};

use anyhow::{Context as _, Result, anyhow, bail};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use plasma_kernel::Random;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::keys::{Opener, Recipient, Wrapped};

pub(super) const KEY_BYTES: usize = 32;
pub(super) type FileKey = Zeroizing<[u8; KEY_BYTES]>;

const MARK: &str = "plasma-backup/1";
const NONCE_BYTES: usize = 24;
/// Of a piece's nonce, in front of its number and its mark of the last.
const PREFIX_BYTES: usize = 19;
const PIECE_BYTES: usize = 64 << 10;
const TAG_BYTES: usize = 16;
const HEADER_BYTES_MAX: u64 = 64 << 10;
const RECIPIENTS_MAX: usize = 16;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    /// The beginning of every piece's nonce.
    nonce: String,
    recipients: Vec<Wrapped>,
}

/// Seals a few bytes, with their nonce in front.
pub(super) fn seal_bytes(key: &FileKey, random: &Random, plaintext: &[u8]) -> Result<Vec<u8>> {
    let nonce: [u8; NONCE_BYTES] = random.bytes();
    let sealed = XChaCha20Poly1305::new((&**key).into())
        .encrypt(&XNonce::from(nonce), plaintext)
        .map_err(|_| anyhow!("a key could not be sealed"))?;
    Ok([nonce.as_slice(), &sealed].concat())
}

/// `None` when they do not open.
pub(super) fn open_bytes(key: &FileKey, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let cipher = XChaCha20Poly1305::new((&**key).into());
    cipher.decrypt(&XNonce::from(*nonce), ciphertext).map(Zeroizing::new).ok()
}

/// Seals and opens the pieces.
struct Pieces {
    cipher: XChaCha20Poly1305,
    prefix: [u8; PREFIX_BYTES],
    number: u32,
}

impl Pieces {
    fn new(key: &FileKey, prefix: [u8; PREFIX_BYTES], header: &str) -> Result<Self> {
        let mut derived: FileKey = Zeroizing::new([0; KEY_BYTES]);
        Salt::new(HKDF_SHA256, &prefix)
            .extract(key.as_slice())
            .expand(&[b"plasma backup pieces".as_slice(), header.as_bytes()], HKDF_SHA256)
            .and_then(|expanded| expanded.fill(derived.as_mut_slice()))
            .map_err(|_| anyhow!("a key could not be derived"))?;
        Ok(Self { cipher: XChaCha20Poly1305::new((&*derived).into()), prefix, number: 0 })
    }

    /// The nonce of the next piece.
    fn nonce(&mut self, is_last: bool) -> io::Result<XNonce> {
        let mut nonce = [0; NONCE_BYTES];
        let (prefix, rest) = nonce.split_at_mut(PREFIX_BYTES);
        prefix.copy_from_slice(&self.prefix);
        let (number, last) = rest.split_at_mut(4);
        number.copy_from_slice(&self.number.to_be_bytes());
        last.fill(u8::from(is_last));
        self.number = self.number.checked_add(1).ok_or_else(|| io::Error::other("a backup is larger than 256 TiB"))?;
        Ok(XNonce::from(nonce))
    }

    fn seal(&mut self, piece: &[u8], is_last: bool) -> io::Result<Vec<u8>> {
        let nonce = self.nonce(is_last)?;
        let payload = Payload { msg: piece, aad: b"" };
        self.cipher.encrypt(&nonce, payload).map_err(|_| io::Error::other("a piece could not be sealed"))
    }

    fn open(&mut self, sealed: &[u8], is_last: bool) -> io::Result<Vec<u8>> {
        let number = u64::from(self.number);
        let nonce = self.nonce(is_last)?;
        let payload = Payload { msg: sealed, aad: b"" };
        self.cipher.decrypt(&nonce, payload).map_err(|_| {
            let at = number * PIECE_BYTES as u64;
            let end = if is_last { ", or it was cut off" } else { "" };
            io::Error::new(io::ErrorKind::InvalidData, format!("the backup is damaged behind byte {at}{end}"))
        })
    }
}

/// Encrypts what is written to it. Without [`SealWriter::finish`] the result does not open to its end.
pub(crate) struct SealWriter<W> {
    inner: W,
    pieces: Pieces,
    piece: Zeroizing<Vec<u8>>,
}

impl<W: Write> SealWriter<W> {
    /// Writes the header.
    pub(crate) fn new(mut inner: W, recipients: &[Recipient], random: &Random) -> Result<Self> {
        if recipients.is_empty() || recipients.len() > RECIPIENTS_MAX {
            bail!("a backup is encrypted for 1 to {RECIPIENTS_MAX} recipients");
        }
        let key: FileKey = Zeroizing::new(random.bytes());
        let prefix: [u8; PREFIX_BYTES] = random.bytes();
        let recipients = recipients.iter().map(|recipient| recipient.wrap(random, &key)).collect::<Result<_>>()?;
        let header = serde_json::to_string(&Header { nonce: STANDARD.encode(prefix), recipients })?;
        writeln!(inner, "{MARK}\n{header}").context("the backup cannot be written")?;
        let piece = Zeroizing::new(Vec::with_capacity(PIECE_BYTES));
        Ok(Self { inner, pieces: Pieces::new(&key, prefix, &header)?, piece })
    }

    fn flush_piece(&mut self, is_last: bool) -> io::Result<()> {
        let sealed = self.pieces.seal(&self.piece, is_last)?;
        self.piece.clear();
        self.inner.write_all(&sealed)
    }

    /// Writes the last piece.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.flush_piece(true)?;
        self.inner.flush()?;
        Ok(self.inner)
    }
}

impl<W: Write> Write for SealWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full piece waits for what follows: it may be the last.
        if self.piece.len() == PIECE_BYTES && !bytes.is_empty() {
            self.flush_piece(false)?;
        }
        let (taken, _) = bytes.split_at(bytes.len().min(PIECE_BYTES - self.piece.len()));
        self.piece.extend_from_slice(taken);
        Ok(taken.len())
    }

    /// What is no full piece yet waits for the end.
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Decrypts what is read through it. Nothing is given out that was changed; the end is an error when something was cut off.
pub(crate) struct OpenReader<R> {
    inner: R,
    pieces: Pieces,
    piece: Zeroizing<Vec<u8>>,
    given: usize,
    is_over: bool,
}

impl<R: BufRead> OpenReader<R> {
    /// Reads the header.
    pub(crate) fn new(mut inner: R, opener: &Opener) -> Result<Self> {
        let mark = line(&mut inner)?;
        if mark != MARK {
            bail!("this is no backup that this version of plasma knows");
        }
        let text = line(&mut inner)?;
        let header: Header = serde_json::from_str(&text).map_err(|_| anyhow!("the backup's header is damaged"))?;
        if header.recipients.len() > RECIPIENTS_MAX {
            bail!("the backup's header names too many recipients");
        }
        let mut key = None;
        for wrapped in &header.recipients {
            key = opener.unwrap(wrapped)?;
            if key.is_some() {
                break;
            }
        }
        let key = key.ok_or_else(|| match opener {
            Opener::Identity(_) => anyhow!("the backup was not made for this identity"),
            Opener::Passphrase(_) => anyhow!("the passphrase is not the one that the backup was made with"),
        })?;
        let prefix = STANDARD.decode(&header.nonce).ok().and_then(|bytes| bytes.try_into().ok());
        let prefix = prefix.ok_or_else(|| anyhow!("the backup's header is damaged"))?;
        let pieces = Pieces::new(&key, prefix, &text)?;
        Ok(Self { inner, pieces, piece: Zeroizing::new(Vec::new()), given: 0, is_over: false })
    }

    fn next_piece(&mut self) -> io::Result<()> {
        let mut sealed = Vec::with_capacity(PIECE_BYTES + TAG_BYTES);
        self.inner.by_ref().take((PIECE_BYTES + TAG_BYTES) as u64).read_to_end(&mut sealed)?;
        let is_last = self.inner.fill_buf()?.is_empty();
        self.piece = Zeroizing::new(self.pieces.open(&sealed, is_last)?);
        self.given = 0;
        self.is_over = is_last;
        Ok(())
    }
}

/// A line of the header, without its end.
fn line(reader: &mut impl BufRead) -> Result<String> {
    let mut bytes = Vec::new();
    reader.take(HEADER_BYTES_MAX).read_until(b'\n', &mut bytes).context("the backup cannot be read")?;
    if bytes.pop() != Some(b'\n') {
        bail!("this is no backup, or only the beginning of one");
    }
    String::from_utf8(bytes).map_err(|_| anyhow!("this is no backup"))
}

impl<R: BufRead> Read for OpenReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.piece.len() {
            if self.is_over {
                return Ok(0);
            }
            self.next_piece()?;
        }
        let rest = self.piece.get(self.given..).unwrap_or_default();
        let number = rest.len().min(buffer.len());
        let (target, _) = buffer.split_at_mut(number);
        let (source, _) = rest.split_at(number);
        target.copy_from_slice(source);
        self.given += number;
        Ok(number)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::BufReader;

    use super::{super::keys, *};

    fn sealed(content: &[u8]) -> Vec<u8> {
        let recipient = Recipient::Passphrase(keys::passphrase("correct horse battery").unwrap());
        let mut writer = SealWriter::new(Vec::new(), &[recipient], &Random::system()).unwrap();
        // In uneven steps, as files come.
        for part in content.chunks(1_000) {
            writer.write_all(part).unwrap();
        }
        writer.finish().unwrap()
    }

    fn opened(sealed: &[u8]) -> Result<Vec<u8>> {
        let opener = Opener::Passphrase(keys::passphrase("correct horse battery").unwrap());
        let mut content = Vec::new();
        OpenReader::new(BufReader::with_capacity(777, sealed), &opener)?.read_to_end(&mut content)?;
        Ok(content)
    }

    fn content(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|number| (number * 7 % 251) as u8).collect()
    }

    #[test]
    fn what_goes_in_comes_out() {
        for bytes in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES, 200_000] {
            let content = content(bytes);
            let sealed = sealed(&content);
            assert_eq!(opened(&sealed).unwrap(), content, "{bytes}");
            // Each piece has its tag, and there is one at least.
            let body = bytes + bytes.div_ceil(PIECE_BYTES).max(1) * TAG_BYTES;
            assert!(sealed.len() > body && sealed.len() < body + 600, "{bytes}");
        }
    }

    #[test]
    fn damage_anywhere_is_found() {
        let content = content(3 * PIECE_BYTES + 100);
        let whole = sealed(&content);
        // Argon2 takes its time: some places of the header, and many behind it.
        let header = whole.len() - (content.len() + 4 * TAG_BYTES);
        let places = (0..header).step_by(97).chain((header..whole.len()).step_by(9_001)).chain([whole.len() - 1]);
        for place in places {
            let mut changed = whole.clone();
            changed[place] ^= 0x10;
            assert!(opened(&changed).is_err(), "a change at {place} of {}", whole.len());
        }
    }

    #[test]
    fn a_backup_that_was_cut_off_does_not_look_whole() {
        let content = content(2 * PIECE_BYTES + 100);
        let whole = sealed(&content);
        let piece = PIECE_BYTES + TAG_BYTES;
        let header = whole.len() - (content.len() + 3 * TAG_BYTES);
        // Also where a piece ends.
        for length in [0, 5, header - 1, header, header + 1, header + piece, header + 2 * piece, whole.len() - 1] {
            assert!(opened(&whole[..length]).is_err(), "cut off at {length} of {}", whole.len());
        }
        let mut longer = whole.clone();
        longer.push(0);
        assert!(opened(&longer).is_err());
    }

    #[test]
    fn pieces_that_changed_places_do_not_open() {
        let whole = sealed(&content(3 * PIECE_BYTES));
        let piece = PIECE_BYTES + TAG_BYTES;
        let header = whole.len() - 3 * piece;
        let (first, second) = (header..header + piece, header + piece..header + 2 * piece);
        let mut swapped = whole.clone();
        swapped[first.clone()].copy_from_slice(&whole[second.clone()]);
        swapped[second.clone()].copy_from_slice(&whole[first.clone()]);
        assert!(opened(&swapped).is_err());
        let doubled = [&whole[..first.end], &whole[first.clone()], &whole[second.end..]].concat();
        assert!(opened(&doubled).is_err());
        let left_out = [&whole[..first.start], &whole[second.start..]].concat();
        assert!(opened(&left_out).is_err());
    }

    #[test]
    fn what_is_no_backup_is_refused() {
        for wrong in [b"".as_slice(), b"\n\n", b"plasma-backup/2\n{}\n", b"plasma-backup/1\n{}\n", &[b'a'; 100_000]] {
            assert!(opened(wrong).is_err());
        }
    }
}
