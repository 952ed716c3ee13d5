//! Mail: written in the transaction of what it tells of, kept sealed, and sent by a durable job. Without a server for mail
//! it is put into a folder, as a file for each, so that everything that needs mail can be tried on one machine.

use std::{
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
};
use plasma_kernel::{Code, Ctx, Error, Result, Timestamp};
use plasma_store::Tx;
use plasma_workflows::{Queue, Run, Step, Workflows, enqueue};
use serde::{Deserialize, Serialize};

use crate::{Identity, IdentityConfig, Secret, events, links::SendLink, store, tokens};

/// What a mail is sealed for.
pub(crate) const PURPOSE: &str = "mail";
/// Who sends when nobody said: development only, no server would take it.
const DEFAULT_FROM: &str = "Plasma <plasma@localhost>";
/// A server that does not answer is asked again later.
const SMTP_TIMEOUT: Duration = Duration::from_secs(30);
/// Mails that the folder keeps; the oldest are removed.
const OUTBOX_FILES_MAX: usize = 500;
const SUBJECT_CHARS_MAX: usize = 200;
const TEXT_BYTES_MAX: usize = 100_000;

/// A mail to one person, in plain text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mail {
    /// Their address.
    pub to: String,
    /// One line.
    pub subject: String,
    /// What it says.
    pub text: String,
}

/// Where mail goes.
#[derive(Clone, Debug)]
pub struct Mailer {
    smtp_url: Option<Secret>,
    from: String,
    outbox: PathBuf,
}

impl Mailer {
    /// By the configured server, or into `outbox` under the data directory.
    pub(crate) fn new(config: &IdentityConfig, data_dir: &Path) -> Self {
        Self {
            smtp_url: config.smtp_url.clone(),
            from: config.mail_from.clone().unwrap_or_else(|| DEFAULT_FROM.to_owned()),
            outbox: data_dir.join("outbox"),
        }
    }

    /// Whether there is a server.
    pub fn has_server(&self) -> bool {
        self.smtp_url.is_some()
    }

    /// Hands a mail over. `id` tells two attempts at the same mail from two mails.
    ///
    /// # Errors
    /// `upstream` when the server does not take it now, `invalid` when it never will.
    pub async fn send(&self, id: &str, mail: &Mail, now: Timestamp) -> Result<()> {
        let message = self.message(id, mail, now)?;
        match &self.smtp_url {
            Some(url) => send_by_smtp(url, message).await,
            None => self.put_into_outbox(id, &message.formatted(), now).await,
        }
    }

    fn message(&self, id: &str, mail: &Mail, now: Timestamp) -> Result<Message> {
        let from = mailbox("mail_from", &self.from)?;
        let domain = from.email.domain().to_owned();
        let to: Address = mail.to.parse().map_err(|_| unsendable("its address cannot be written into a mail"))?;
        let sent_at = UNIX_EPOCH + Duration::from_micros(u64::try_from(now).unwrap_or(0));
        Message::builder()
            .from(from)
            .to(Mailbox::new(None, to))
            .subject(one_line(&mail.subject))
            .date(sent_at)
            .message_id(Some(format!("<{id}@{domain}>")))
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text.clone())
            .map_err(|error| unsendable(&error.to_string()))
    }

    async fn put_into_outbox(&self, id: &str, bytes: &[u8], now: Timestamp) -> Result<()> {
        let failed = |error: std::io::Error| {
            Error::unavailable("outbox_unavailable", format!("a mail cannot be written to {}", self.outbox.display()))
                .remedy("free space on the disk, or set smtp_url")
                .source(error)
        };
        tokio::fs::create_dir_all(&self.outbox).await.map_err(failed)?;
        // Names in the order of time.
        let name = format!("{now:020}-{id}.eml");
        let unfinished = self.outbox.join(format!("{name}.new"));
        let mut options = tokio::fs::OpenOptions::new();
        // Only for this user: it holds links that log in.
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished).await.map_err(failed)?;
        tokio::io::AsyncWriteExt::write_all(&mut file, bytes).await.map_err(failed)?;
        file.sync_all().await.map_err(failed)?;
        tokio::fs::rename(&unfinished, self.outbox.join(name)).await.map_err(failed)?;
        self.prune().await.map_err(failed)
    }

    async fn prune(&self) -> std::io::Result<()> {
        let mut names = Vec::new();
        let mut entries = tokio::fs::read_dir(&self.outbox).await?;
        while let Some(entry) = entries.next_entry().await? {
            let name = entry.file_name();
            if Path::new(&name).extension().is_some_and(|extension| extension == "eml") {
                names.push(name);
            }
        }
        names.sort();
        let surplus = names.len().saturating_sub(OUTBOX_FILES_MAX);
        for name in names.into_iter().take(surplus) {
            tokio::fs::remove_file(self.outbox.join(name)).await?;
        }
        Ok(())
    }
}

/// Checks what the configuration says about mail.
///
/// # Errors
/// `invalid`, naming the setting.
pub(crate) fn check_config(config: &IdentityConfig) -> Result<()> {
    if let Some(from) = &config.mail_from {
        mailbox("mail_from", from)?;
    }
    if let Some(url) = &config.smtp_url {
        transport(url)?;
        if config.mail_from.is_none() {
            return Err(Error::invalid("mail_from", "is needed with smtp_url")
                .remedy("give the address that mail comes from, as in `Plasma <plasma@example.com>`"));
        }
    }
    Ok(())
}

fn mailbox(setting: &str, text: &str) -> Result<Mailbox> {
    text.parse().map_err(|_| {
        Error::invalid(setting, "is no address of mail").remedy("use the form `Plasma <plasma@example.com>`")
    })
}

/// The URL holds a password: it never appears in an error.
fn transport(url: &Secret) -> Result<AsyncSmtpTransport<Tokio1Executor>> {
    let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose()).map_err(|_| {
        Error::invalid("smtp_url", "is not the address of a server for mail")
            .remedy("use smtps://user:password@host, smtp://user:password@host:587?tls=required, or smtp://host:25")
    })?;
    Ok(builder.timeout(Some(SMTP_TIMEOUT)).build())
}

async fn send_by_smtp(url: &Secret, message: Message) -> Result<()> {
    match transport(url)?.send(message).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_permanent() => {
            tracing::warn!(%error, "the server for mail refuses a mail");
            Err(unsendable("the server for mail refuses it"))
        }
        Err(error) => Err(Error::new(Code::Upstream, "mail_server_failed", "the server for mail did not take a mail")
            .remedy("check smtp_url and the server; it is tried again by itself")
            .source(error)),
    }
}

fn unsendable(what: &str) -> Error {
    Error::new(Code::Invalid, "mail_refused", format!("a mail cannot be sent: {what}"))
}

/// A line break in a subject could begin another header.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .take(SUBJECT_CHARS_MAX)
        .collect::<String>()
        .trim()
        .to_owned()
}

/// Sends one mail.
#[derive(Serialize, Deserialize)]
pub(crate) struct SendMail {
    mail: String,
}

impl Step for SendMail {
    type Domain = Identity;
    const KIND: &'static str = "identity.mail";
    const QUEUE: Queue = Queue { name: "mail", concurrency: 4 };
    /// About an hour and a half until it is given up; the links in it have ended long before.
    const ATTEMPTS_MAX: u32 = 12;
    // Its owners log in to a closed tenant too.
    const WHILE_SUSPENDED: bool = true;

    async fn run(self, identity: Identity, run: Run) -> Result<()> {
        let Some(mail) = identity.open_mail(run.ctx(), &self.mail).await? else { return Ok(()) };
        identity.inner.mailer.send(&self.mail, &mail, run.ctx().now()).await?;
        let mut tx = identity.inner.store.begin(run.ctx()).await?;
        store::mails::delete(&mut tx, &self.mail).await?;
        tx.emit(events::mail_sent(&self.mail, &mail.to)).await?;
        // A worker that dies before this sends the mail again, with the same Message-ID.
        run.complete(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn failed(&self, _identity: &Identity, _ctx: &Ctx, tx: &mut Tx, error: &Error) -> Result<()> {
        store::mails::delete(tx, &self.mail).await?;
        tx.emit(events::mail_failed(&self.mail, error.reason())).await?;
        Ok(())
    }
}

impl Identity {
    /// Makes this process able to send mail. Before [`Workflows::start`].
    pub fn register_steps(&self, workflows: &Workflows) {
        workflows.register::<SendMail>(self.clone());
        workflows.register::<SendLink>(self.clone());
    }

    /// Writes a mail in the caller's transaction, which is bound to a tenant: it is sent if and only if that commits.
    ///
    /// # Errors
    /// `internal` for a mail that is longer than any that we write, and as [`Tx::execute`].
    pub async fn queue_mail(&self, tx: &mut Tx, mail: Mail) -> Result<()> {
        if mail.text.len() > TEXT_BYTES_MAX {
            return Err(Error::internal("a mail is too long"));
        }
        let id = format!("mail_{}", tokens::random_text(tx.ctx().random(), 26));
        let text = serde_json::to_string(&mail)
            .map_err(|error| Error::from_source("a mail cannot be written as JSON", error))?;
        let sealed = self.inner.store.seal_secret(tx, PURPOSE, &text).await?;
        store::mails::insert(tx, &id, sealed).await?;
        enqueue(tx, &SendMail { mail: id.clone() }, &id, None).await?;
        tx.emit(events::mail_queued(&id)).await?;
        Ok(())
    }

    async fn open_mail(&self, ctx: &Ctx, id: &str) -> Result<Option<Mail>> {
        let mut tx = self.inner.store.read(ctx).await?;
        let Some(sealed) = store::mails::sealed(&mut tx, id).await? else { return Ok(None) };
        let text = self.inner.store.open_secret(&mut tx, PURPOSE, &sealed).await?;
        serde_json::from_str(&text).map(Some).map_err(|error| Error::from_source("a stored mail is damaged", error))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn config(smtp_url: Option<&str>, mail_from: Option<&str>) -> IdentityConfig {
        IdentityConfig {
            smtp_url: smtp_url.map(Secret::new),
            mail_from: mail_from.map(str::to_owned),
            ..IdentityConfig::default()
        }
    }

    #[test]
    fn a_wrong_configuration_is_named() {
        let field = |config: IdentityConfig| check_config(&config).unwrap_err().field_name().unwrap().to_owned();
        assert!(check_config(&config(None, None)).is_ok());
        assert!(check_config(&config(Some("smtp://127.0.0.1:25"), Some("Plasma <a@example.org>"))).is_ok());
        assert_eq!(field(config(Some("http://127.0.0.1"), Some("a@example.org"))), "smtp_url");
        assert_eq!(field(config(Some("smtp://127.0.0.1:25"), None)), "mail_from");
        assert_eq!(field(config(None, Some("nobody"))), "mail_from");
    }

    #[test]
    fn a_subject_cannot_begin_another_header() {
        let mailer = Mailer::new(&config(None, None), Path::new("."));
        let mail = Mail {
            to: "kaethe@example.org".to_owned(),
            subject: "Hello\r\nBcc: everybody@example.org".to_owned(),
            text: "Ümlaut".to_owned(),
        };
        let message = mailer.message("mail_1", &mail, 1_800_000_000_000_000).unwrap();
        let text = String::from_utf8(message.formatted()).unwrap();
        assert!(!text.contains("\nBcc:"), "{text}");
        assert!(text.contains("Message-ID: <mail_1@localhost>") && text.contains("Date: "), "{text}");
        assert!(mailer.message("mail_1", &Mail { to: "a\nb@c".to_owned(), ..mail }, 0).is_err());
    }

    #[tokio::test]
    async fn the_outbox_keeps_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let mailer = Mailer::new(&config(None, None), folder.path());
        let mail = Mail { to: "a@example.org".to_owned(), subject: "Hello".to_owned(), text: "Hello".to_owned() };
        let outbox = folder.path().join("outbox");
        std::fs::create_dir_all(&outbox).unwrap();
        for number in 0..OUTBOX_FILES_MAX {
            std::fs::write(outbox.join(format!("{number:020}-mail_old.eml")), "old").unwrap();
        }
        mailer.send("mail_new", &mail, 1_800_000_000_000_000).await.unwrap();
        let mut names: Vec<_> = std::fs::read_dir(&outbox).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names.len(), OUTBOX_FILES_MAX);
        assert!(names.last().unwrap().to_str().unwrap().ends_with("-mail_new.eml"));
        assert!(names.first().unwrap().to_str().unwrap().starts_with("00000000000000000001-"));
    }
}
