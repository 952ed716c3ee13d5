//! A ZIP archive that is written while it is stored: neither memory nor the disk holds it twice.
//!
//! Packing is a thread's work: entries go to it over one channel, and the archive's bytes come back over another.

use std::io::Write;

use bytes::Bytes;
use plasma_kernel::{Error, Result};
use plasma_store::BlobWriter;
use tokio::{sync::mpsc, task::JoinHandle};
use zip::{CompressionMethod, ZipWriter, result::ZipError, write::SimpleFileOptions};

/// Pieces that wait at each end; each is at most some hundred KiB.
const PIECES_MAX: usize = 8;
/// Bytes of the archive that go out together.
const GATHERED_BYTES: usize = 256 * 1024;

enum Piece {
    /// What follows is the content of this entry.
    Entry(String),
    Bytes(Bytes),
    /// The archive is complete. Without it, it was given up.
    End,
}

/// An archive on its way into the storage.
pub(super) struct Archive {
    pieces: mpsc::Sender<Piece>,
    packing: JoinHandle<Result<()>>,
    storing: JoinHandle<Result<u64>>,
}

impl Archive {
    /// An archive without entries, which goes into `writer`.
    pub(super) fn begin(writer: BlobWriter) -> Self {
        let (pieces, incoming) = mpsc::channel(PIECES_MAX);
        let (outgoing, packed) = mpsc::channel(PIECES_MAX);
        let packing = tokio::task::spawn_blocking(move || pack(incoming, outgoing));
        let storing = tokio::spawn(store(packed, writer));
        Self { pieces, packing, storing }
    }

    /// Begins the next entry.
    ///
    /// # Errors
    /// `unavailable` when packing or the storage has failed; [`Archive::finish`] says why.
    pub(super) async fn entry(&self, name: impl Into<String>) -> Result<()> {
        self.send(Piece::Entry(name.into())).await
    }

    /// Adds to the entry that was begun last.
    ///
    /// # Errors
    /// As [`Archive::entry`].
    pub(super) async fn write(&self, bytes: impl Into<Bytes>) -> Result<()> {
        self.send(Piece::Bytes(bytes.into())).await
    }

    async fn send(&self, piece: Piece) -> Result<()> {
        self.pieces.send(piece).await.map_err(|_| given_up())
    }

    /// Closes the archive and makes it readable; says how long it is.
    ///
    /// # Errors
    /// `unavailable` when the storage fails.
    pub(super) async fn finish(self) -> Result<u64> {
        let Self { pieces, packing, storing } = self;
        // When nobody takes it, one of the two has failed and says why.
        let _ = pieces.send(Piece::End).await;
        drop(pieces);
        let packed = packing.await.unwrap_or_else(|error| Err(Error::from_source("packing panicked", error)));
        let stored = storing.await.unwrap_or_else(|error| Err(Error::from_source("storing panicked", error)));
        match (packed, stored) {
            (Ok(()), stored) => stored,
            // Packing that was given up because nobody took its bytes has its cause at the other end.
            (Err(error), Err(cause)) if error.reason() == "export_given_up" => Err(cause),
            (Err(error), _) => Err(error),
        }
    }
}

fn given_up() -> Error {
    Error::unavailable("export_given_up", "the copy could not be written to its end").remedy("make another one")
}

/// Where the packed bytes go: onto the channel, some at a time.
struct Outgoing {
    gathered: Vec<u8>,
    channel: mpsc::Sender<Option<Bytes>>,
}

impl Outgoing {
    fn send(&mut self) -> std::io::Result<()> {
        let bytes = Bytes::from(std::mem::take(&mut self.gathered));
        self.channel.blocking_send(Some(bytes)).map_err(|_| std::io::Error::other("nobody takes the archive"))
    }
}

impl Write for Outgoing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= GATHERED_BYTES {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn pack(mut pieces: mpsc::Receiver<Piece>, channel: mpsc::Sender<Option<Bytes>>) -> Result<()> {
    let outgoing = Outgoing { gathered: Vec::new(), channel: channel.clone() };
    let mut archive = ZipWriter::new_stream(outgoing);
    // How long an entry will be is not known when it begins: all are written so that they may be.
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).large_file(true);
    loop {
        match pieces.blocking_recv() {
            Some(Piece::Entry(name)) => archive.start_file(name, options).map_err(packing_error)?,
            Some(Piece::Bytes(bytes)) => archive.write_all(&bytes).map_err(|error| packing_error(error.into()))?,
            Some(Piece::End) => break,
            None => return Err(given_up()),
        }
    }
    let mut outgoing = archive.finish().map_err(packing_error)?.into_inner();
    outgoing.send().map_err(|error| packing_error(error.into()))?;
    // Only now is the archive whole.
    channel.blocking_send(None).map_err(|_| given_up())
}

fn packing_error(error: ZipError) -> Error {
    given_up().source(error)
}

/// Stores the pieces as they come. `None` says that they are all; a channel that ends before it leaves nothing.
async fn store(mut pieces: mpsc::Receiver<Option<Bytes>>, mut writer: BlobWriter) -> Result<u64> {
    let mut size_bytes = 0;
    loop {
        match pieces.recv().await {
            Some(Some(bytes)) => {
                size_bytes += bytes.len() as u64;
                writer.write(bytes).await?;
            }
            Some(None) => {
                writer.finish().await?;
                return Ok(size_bytes);
            }
            None => return Err(given_up()),
        }
    }
}
