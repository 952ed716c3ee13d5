//! An answer that is kept while it goes to the caller, for those who need all of it after its end.

use plasma_protocols::chat::{Answer, Collector, Delta};

/// Bytes of an answer that are kept; a longer one is not.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// The answer so far.
#[derive(Default)]
pub(crate) struct KeptAnswer {
    collector: Collector,
    bytes: usize,
}

impl KeptAnswer {
    /// Takes the next pieces; `false` when the answer has become too long to be kept.
    pub(crate) fn take(&mut self, deltas: &[Delta]) -> bool {
        for delta in deltas {
            if let Delta::Append { text, .. } = delta {
                self.bytes = self.bytes.saturating_add(text.len());
            }
            self.collector.push(delta.clone());
        }
        self.bytes <= KEPT_BYTES_MAX
    }

    pub(crate) fn finish(self) -> Answer {
        self.collector.finish()
    }
}

impl From<&Answer> for KeptAnswer {
    fn from(answer: &Answer) -> Self {
        Self { collector: Collector::from(answer.clone()), bytes: 0 }
    }
}
