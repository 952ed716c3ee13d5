use plasma_kernel::{Error, Result};
use serde::Deserialize;

use crate::note;

/// Files larger than this are no anchors: a checkpoint a minute for some years.
const FILE_BYTES_MAX: usize = 1 << 30;

/// A checkpoint that was kept outside of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Where it was.
    pub source: String,
    /// The signed note.
    pub note: String,
}

#[derive(Deserialize)]
struct Line {
    note: String,
}

impl Anchor {
    /// Reads a file of anchors: what a file anchor wrote or a webhook received (JSON with `note`, a line each), or one signed
    /// note.
    ///
    /// # Errors
    /// `invalid` when it is neither, `too_large` beyond 1 GiB.
    pub fn read_all(source: &str, text: &str) -> Result<Vec<Self>> {
        if text.len() > FILE_BYTES_MAX {
            return Err(Error::too_large("anchor", format!("{source} is larger than 1 GiB")));
        }
        if !text.trim_start().starts_with('{') {
            // An editor or a shell may have added a line.
            return Ok(vec![Self::new(source.to_owned(), format!("{}\n", text.trim_end()))?]);
        }
        let lines = text.lines().zip(1_u64..).filter(|(line, _)| !line.trim().is_empty());
        lines
            .map(|(line, number)| {
                let line: Line = serde_json::from_str(line).map_err(|error| {
                    Error::invalid("anchor", format!("{source}, line {number} holds no checkpoint: {error}"))
                })?;
                Self::new(format!("{source}, line {number}"), line.note)
            })
            .collect()
    }

    fn new(source: String, note: String) -> Result<Self> {
        if note::unverified(&note).is_none() {
            return Err(Error::invalid("anchor", format!("{source} holds no checkpoint"))
                .remedy("give a signed note, or a file in which each line is JSON with `note`"));
        }
        Ok(Self { source, note })
    }

    /// The name of the log whose checkpoint it is.
    pub(crate) fn origin(&self) -> String {
        note::unverified(&self.note).map(|checkpoint| checkpoint.origin).unwrap_or_default()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const NOTE: &str = "origin\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\u{2014} origin AAAA\n";

    #[test]
    fn anchors_are_read_from_every_form() {
        let line = serde_json::json!({ "at": 1, "note": NOTE });
        let anchors = Anchor::read_all("file", &format!("{line}\n\n{line}\n")).unwrap();
        assert_eq!(anchors.iter().map(|anchor| anchor.note.as_str()).collect::<Vec<_>>(), [NOTE, NOTE]);
        assert_eq!((anchors[1].source.as_str(), anchors[1].origin().as_str()), ("file, line 3", "origin"));
        for text in [NOTE.to_owned(), format!("{NOTE}\n")] {
            assert_eq!(Anchor::read_all("file", &text).unwrap()[0].note, NOTE);
        }
        for wrong in ["{\"at\":1}", "{\"note\":\"x\"}", "x", ""] {
            assert_eq!(Anchor::read_all("file", wrong).unwrap_err().field_name(), Some("anchor"), "{wrong}");
        }
    }
}
