//! The columns of this crate that hold sealed values, and what each value is bound to.

use plasma_store::{SealedColumn, sealed_column};

use crate::{mail, second_factor};

/// All of them: a column that is not here would be lost when its owner's data key is rotated.
pub(crate) fn columns() -> [SealedColumn; 3] {
    [
        sealed_column!("mails", ["id"], "sealed", |_keys| mail::PURPOSE.to_owned()),
        sealed_column!(installation "user_totp", ["user_id"], "secret_sealed", |keys| second_factor::purpose(
            keys.concat()
        )),
        sealed_column!(installation "user_totp", ["user_id"], "pending_secret_sealed", |keys| second_factor::purpose(
            keys.concat()
        )),
    ]
}
