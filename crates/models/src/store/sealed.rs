//! The columns of this crate that hold sealed values, and what each value is bound to.

use plasma_store::{SealedColumn, sealed_column};

use super::payloads::{self, ANSWER, REQUEST};
use crate::{providers, quality};

/// All of them: a column that is not here would be lost when its tenant's data key is rotated.
pub(crate) fn columns() -> [SealedColumn; 4] {
    [
        sealed_column!("model_providers", ["id"], "api_key_sealed", |keys| providers::secret_purpose(keys.concat())),
        sealed_column!("model_call_payloads", ["call_id"], "request_sealed", |keys| payloads::purpose(
            keys.concat(),
            REQUEST
        )),
        sealed_column!("model_call_payloads", ["call_id"], "answer_sealed", |keys| payloads::purpose(
            keys.concat(),
            ANSWER
        )),
        sealed_column!("model_judge_work", ["call_id"], "sealed", |keys| quality::seal_purpose(keys.concat())),
    ]
}
