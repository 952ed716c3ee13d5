//! The number under which a passage stands in its collection's vector index.

use std::ops::RangeInclusive;

use plasma_kernel::KnowledgeDocumentId;

use super::low_bits;

/// Document, version and ordinal in one number: what a hit of the vector index says, without SQL. All passages of a document are
/// one range of numbers, and so are those of a version.
///
/// Of the document's id it has the lower half, 64 random bits, as the text index has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PassageKey {
    pub(crate) document_low: u64,
    pub(crate) version: u32,
    pub(crate) ordinal: u32,
}

impl PassageKey {
    pub(crate) fn new(document: KnowledgeDocumentId, version: u32, ordinal: u32) -> Self {
        Self { document_low: low_bits(document), version, ordinal }
    }

    pub(crate) fn bits(self) -> u128 {
        (u128::from(self.document_low) << 64) | (u128::from(self.version) << 32) | u128::from(self.ordinal)
    }

    pub(crate) fn from_bits(bits: u128) -> Self {
        let narrow = |bits: u128| u32::try_from(bits & u128::from(u32::MAX)).unwrap_or(0);
        Self {
            document_low: u64::try_from(bits >> 64).unwrap_or(0),
            version: narrow(bits >> 32),
            ordinal: narrow(bits),
        }
    }
}

/// The numbers of all versions of documents whose ids end in `document_low`.
pub(crate) fn document_keys(document_low: u64) -> RangeInclusive<u128> {
    let first = u128::from(document_low) << 64;
    first..=first | u128::from(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_passage_and_lies_in_its_documents_range() {
        let document = KnowledgeDocumentId::from_bits((7 << 64) | u128::from(u64::MAX));
        for (version, ordinal) in [(1, 0), (u32::MAX, u32::MAX), (3, 49_999)] {
            let key = PassageKey::new(document, version, ordinal);
            assert_eq!(PassageKey::from_bits(key.bits()), key);
            assert!(document_keys(low_bits(document)).contains(&key.bits()));
            assert!(!document_keys(low_bits(document) - 1).contains(&key.bits()));
        }
    }
}
