//! The columns of this crate that hold sealed values, and what each value is bound to.

use plasma_store::{SealedColumn, sealed_column};

use crate::{keys, sinks};

/// All of them: a column that is not here would be lost when its owner's data key is rotated.
pub(crate) fn columns() -> [SealedColumn; 2] {
    [
        sealed_column!(installation "audit_keys", ["name"], "private_key_sealed", |_| keys::PURPOSE.to_owned()),
        sealed_column!("audit_sinks", ["id"], "secret_sealed", |keys| sinks::secret_purpose(keys.concat())),
    ]
}
