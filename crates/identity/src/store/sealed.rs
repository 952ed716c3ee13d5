//! The columns of this crate that hold sealed values, and what each value is bound to.

use plasma_store::{SealedColumn, sealed_column};

use crate::{mail, oauth, second_factor, sso};

/// All of them: a column that is not here would be lost when its owner's data key is rotated.
pub(crate) fn columns() -> [SealedColumn; 7] {
    [
        sealed_column!("mails", ["id"], "sealed", |_keys| mail::PURPOSE.to_owned()),
        sealed_column!("oauth_refresh_tokens", ["id"], "successor_sealed", |keys| oauth::successor_purpose(
            &keys.concat()
        )),
        sealed_column!("sso_connections", ["id"], "client_secret_sealed", |keys| sso::connections::secret_purpose(
            keys.concat()
        )),
        sealed_column!("sso_sessions", ["session_id"], "id_token_sealed", |keys| sso::login::hint_purpose(
            keys.concat()
        )),
        sealed_column!(installation "oauth_signing_keys", ["id"], "private_key_sealed", |keys| oauth::key_purpose(
            &keys.concat()
        )),
        sealed_column!(installation "user_totp", ["user_id"], "secret_sealed", |keys| second_factor::purpose(
            keys.concat()
        )),
        sealed_column!(installation "user_totp", ["user_id"], "pending_secret_sealed", |keys| second_factor::purpose(
            keys.concat()
        )),
    ]
}
