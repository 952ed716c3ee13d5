//! Links that were asked for by mail. They belong to an e-mail, which may be nobody's: no statement has a tenant.

use plasma_kernel::{Result, Timestamp, UserId};
use plasma_store::{Row, Tx};

use crate::tokens::Fingerprint;

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Login,
    PasswordReset,
}

impl Purpose {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::PasswordReset => "password_reset",
        }
    }
}

/// A link that somebody asked for.
pub(crate) struct Link {
    pub(crate) id: String,
    pub(crate) purpose: Purpose,
    pub(crate) email: String,
    /// The browser that it is bound to.
    pub(crate) browser: Option<Fingerprint>,
    pub(crate) base_url: String,
    pub(crate) next_path: Option<String>,
    pub(crate) expires_at: Timestamp,
}

fn from_row(row: &Row) -> Result<Link> {
    let purpose = match row.get::<String>("purpose")?.as_str() {
        "login" => Purpose::Login,
        _ => Purpose::PasswordReset,
    };
    Ok(Link {
        id: row.get("id")?,
        purpose,
        email: row.get("email")?,
        browser: row.get::<Option<Vec<u8>>>("browser_hash")?.as_deref().and_then(Fingerprint::from_bytes),
        base_url: row.get("base_url")?,
        next_path: row.get("next_path")?,
        expires_at: row.get("expires_at")?,
    })
}

/// Also removes the links that have ended.
pub(crate) async fn insert(tx: &mut Tx, link: &Link) -> Result<()> {
    let now = tx.ctx().now();
    tx.execute("DELETE FROM login_links WHERE expires_at <= $1", [now.into()]).await?;
    tx.execute(
        "INSERT INTO login_links (id, purpose, email, browser_hash, base_url, next_path, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        [
            link.id.as_str().into(),
            link.purpose.as_str().into(),
            link.email.as_str().into(),
            link.browser.as_ref().map(|browser| browser.as_bytes().to_vec()).into(),
            link.base_url.as_str().into(),
            link.next_path.as_deref().into(),
            link.expires_at.into(),
        ],
    )
    .await?;
    Ok(())
}

/// The link, if no mail was written for it yet.
pub(crate) async fn unsent(tx: &mut Tx, id: &str) -> Result<Option<Link>> {
    let row = tx.fetch_optional("SELECT * FROM login_links WHERE id = $1 AND token_hash IS NULL", [id.into()]).await?;
    row.as_ref().map(from_row).transpose()
}

/// Gives the link its token and its person. False when a mail was written for it already.
pub(crate) async fn arm(tx: &mut Tx, id: &str, token: &Fingerprint, user: UserId) -> Result<bool> {
    let changed = tx
        .execute(
            "UPDATE login_links SET token_hash = $2, user_id = $3 WHERE id = $1 AND token_hash IS NULL",
            [id.into(), token.as_bytes().into(), user.into()],
        )
        .await?;
    Ok(changed > 0)
}

/// Looks at the link with this token: whose it is and to which browser it is bound. `None` when it has ended.
pub(crate) async fn find(tx: &mut Tx, token: &Fingerprint, purpose: Purpose) -> Result<Option<(Link, UserId)>> {
    let now = tx.ctx().now();
    let row = tx
        .fetch_optional(
            "SELECT * FROM login_links WHERE token_hash = $1 AND purpose = $2 AND expires_at > $3",
            [token.as_bytes().into(), purpose.as_str().into(), now.into()],
        )
        .await?;
    row.map(|row| Ok((from_row(&row)?, row.get("user_id")?))).transpose()
}

/// False when it was used already.
pub(crate) async fn take(tx: &mut Tx, id: &str) -> Result<bool> {
    Ok(tx.execute("DELETE FROM login_links WHERE id = $1", [id.into()]).await? > 0)
}

/// Ends every link of the person: whoever changed their password or signs out everywhere wants none to be left.
pub(crate) async fn delete_of(tx: &mut Tx, user: UserId) -> Result<()> {
    tx.execute("DELETE FROM login_links WHERE user_id = $1", [user.into()]).await?;
    Ok(())
}
