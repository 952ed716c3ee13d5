//! What of an answer has gone out, so that another model can go on with it.

use plasma_protocols::chat::{Delta, PartStart};

/// Characters beyond which an answer is not gone on with: it would have to be sent again as a prompt.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// The text of an answer so far, and how the next model's pieces join it.
#[derive(Default)]
pub(super) struct Spoken {
    pub(super) text: String,
    /// Another model goes on: its beginning is left out.
    pub(super) goes_on: bool,
    text_is_open: bool,
    /// Thoughts, tool calls or several answers cannot be gone on with.
    has_other: bool,
}

impl Spoken {
    /// Whether another model can go on: there is text and nothing else.
    pub(super) fn can_go_on(&self) -> bool {
        !self.text.is_empty() && !self.has_other && self.text.len() <= TEXT_BYTES_MAX
    }

    /// Notes pieces on their way out. Those with which a second model begins are left out, so that one answer remains.
    pub(super) fn take(&mut self, deltas: Vec<Delta>) -> Vec<Delta> {
        let mut out = Vec::with_capacity(deltas.len());
        for delta in deltas {
            match &delta {
                Delta::Start { .. } if self.goes_on => continue,
                Delta::Open { choice: 0, part: PartStart::Text } if self.text_is_open => continue,
                Delta::Open { choice: 0, part: PartStart::Text } => self.text_is_open = true,
                Delta::Open { .. } => {
                    if std::mem::take(&mut self.text_is_open) {
                        out.push(Delta::Close { choice: 0 });
                    }
                    self.has_other = true;
                }
                Delta::Append { choice: 0, text } if self.text_is_open => self.text.push_str(text),
                Delta::Close { choice: 0 } => self.text_is_open = false,
                Delta::Append { choice, .. } | Delta::Stop { choice, .. } if *choice != 0 => self.has_other = true,
                _ => {}
            }
            out.push(delta);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use plasma_protocols::chat::StopReason;

    use super::*;

    fn start() -> Delta {
        Delta::Start { id: String::new(), model: "m".to_owned(), created: None }
    }

    fn open(part: PartStart) -> Delta {
        Delta::Open { choice: 0, part }
    }

    fn append(text: &str) -> Delta {
        Delta::Append { choice: 0, text: text.to_owned() }
    }

    #[test]
    fn two_streams_become_one_answer() {
        let mut spoken = Spoken::default();
        let first = vec![start(), open(PartStart::Text), append("Hel")];
        assert_eq!(spoken.take(first.clone()), first);
        assert!(spoken.can_go_on());
        spoken.goes_on = true;
        let stop = Delta::Stop { choice: 0, reason: StopReason::End, sequence: None };
        let second = vec![start(), open(PartStart::Text), append("lo"), Delta::Close { choice: 0 }, stop.clone()];
        assert_eq!(spoken.take(second), [append("lo"), Delta::Close { choice: 0 }, stop]);
        assert_eq!(spoken.text, "Hello");
    }

    #[test]
    fn a_second_model_that_thinks_first_closes_the_text() {
        let mut spoken = Spoken { goes_on: true, text_is_open: true, ..Spoken::default() };
        let thoughts = open(PartStart::Reasoning { summary: false, id: None });
        assert_eq!(spoken.take(vec![start(), thoughts.clone()]), [Delta::Close { choice: 0 }, thoughts]);
    }

    #[test]
    fn only_text_is_gone_on_with() {
        assert!(!Spoken::default().can_go_on());
        let mut spoken = Spoken::default();
        spoken.take(vec![open(PartStart::ToolCall { id: "1".to_owned(), name: "f".to_owned() }), append("{")]);
        assert!(!spoken.can_go_on());
    }
}
