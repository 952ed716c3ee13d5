//! Places outside: where checkpoints are anchored, so that nobody who rules the database can make a shorter or another log look
//! right, and where records are exported to.

mod deliver;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod guard;
mod otlp;
mod send;
mod sigv4;
mod syslog;

use std::fmt::Display;

use plasma_kernel::{
    AuditSinkId, Code, Ctx, Error, Page, PageRequest,
    Permission::{self, AuditRead, AuditWrite, InstallationManage, InstallationRead},
    Result, TenantId,
};
use plasma_store::{NewEvent, Tx};
use serde_json::{Value, json};

use crate::{
    Bucket, Governance, Log, NewSink, Sink, SinkChange, SinkTarget, SinkTest, SyslogTransport,
    store::{self, sinks::SinkRow},
};

pub(crate) use deliver::deliver;
pub(crate) use guard::Reach;

/// Sinks of one log at most.
const SINKS_MAX: i64 = 20;
const NAME_CHARS_MAX: usize = 100;
const SECRET_CHARS_MAX: usize = 500;
/// A webhook's secret that is shorter could be guessed.
const SIGNING_SECRET_CHARS_MIN: usize = 16;
const RETAIN_DAYS_MAX: u32 = 36_500;

/// What a sink's secret is sealed for.
pub(crate) fn secret_purpose(id: impl Display) -> String {
    format!("audit-sink/{id}")
}

impl Governance {
    /// A page of a log's sinks, the newest first.
    ///
    /// # Errors
    /// `forbidden` without `audit:read`, for the installation's log also without `installation:read`.
    pub async fn sinks(&self, ctx: &Ctx, log: Log, page: &PageRequest) -> Result<Page<Sink>> {
        let ctx = log.bind(ctx, AuditRead, InstallationRead)?;
        let mut tx = self.inner.store.read(&ctx).await?;
        store::sinks::page(&mut tx, ctx.tenant()?, page).await
    }

    /// One sink.
    ///
    /// # Errors
    /// As [`Governance::sinks`]; `not_found` (`audit_sink_not_found`).
    pub async fn sink(&self, ctx: &Ctx, log: Log, id: AuditSinkId) -> Result<Sink> {
        let ctx = log.bind(ctx, AuditRead, InstallationRead)?;
        let mut tx = self.inner.store.read(&ctx).await?;
        Ok(store::sinks::get(&mut tx, ctx.tenant()?, id).await?.sink)
    }

    /// Makes a sink, which begins to send at once.
    ///
    /// # Errors
    /// `forbidden` without `audit:write`, for the installation's log and for file anchors also without `installation:manage`;
    /// `invalid` naming the field; `conflict` (`audit_sink_exists`); `too_large` beyond 20 sinks.
    pub async fn create_sink(&self, ctx: &Ctx, log: Log, new: NewSink) -> Result<Sink> {
        let bound = log.bind(ctx, AuditWrite, InstallationManage)?;
        ctx.require_recent_authentication()?;
        let tenant = bound.tenant()?;
        let private_network = is_operator(ctx);
        check_name(&new.name)?;
        self.check_target(ctx, &new.target, private_network)?;
        check_secret(&new.target, new.secret.as_deref())?;
        let mut tx = self.inner.store.begin(&bound).await?;
        if store::sinks::count(&mut tx, tenant).await? >= SINKS_MAX {
            return Err(Error::too_large("name", format!("an audit log has at most {SINKS_MAX} sinks")));
        }
        let state = store::logs::get(&mut tx, tenant).await?;
        let next_leaf = match new.from_leaf {
            // An anchor sends the newest checkpoint that there is.
            _ if new.target.anchors() => 0,
            Some(leaf) if leaf > state.size => {
                return Err(Error::invalid("from_leaf", format!("the log has {} records", state.size)));
            }
            Some(leaf) => leaf.max(state.retained_from),
            None => state.size,
        };
        let id = AuditSinkId::new(&bound);
        let secret_sealed = self.seal(&mut tx, id, new.secret.as_deref()).await?;
        let now = bound.now();
        let sink = Sink {
            id,
            name: new.name,
            target: new.target,
            enabled: true,
            has_secret: secret_sealed.is_some(),
            next_leaf,
            failures: 0,
            delivered_at: None,
            error: None,
            failed_at: None,
            next_attempt_at: now,
            created_at: now,
            updated_at: now,
        };
        let row = SinkRow { log: tenant, sink, secret_sealed, private_network };
        store::sinks::insert(&mut tx, &row).await.map_err(|error| taken(error, &row.sink.name))?;
        let event = NewEvent::new("audit.sink.created", id, json!({ "name": row.sink.name }));
        tx.emit(event.changed(Value::Null, described(&row.sink))).await?;
        tx.commit().await?;
        Ok(row.sink)
    }

    /// Changes a sink. What is not in `change` stays; it is tried at once.
    ///
    /// # Errors
    /// As [`Governance::create_sink`]; `not_found`; `invalid` also when it would send to another place and the secret is not
    /// given again, so that nobody sends a stored secret to a place of their own.
    pub async fn change_sink(&self, ctx: &Ctx, log: Log, id: AuditSinkId, change: SinkChange) -> Result<Sink> {
        let bound = log.bind(ctx, AuditWrite, InstallationManage)?;
        ctx.require_recent_authentication()?;
        let tenant = bound.tenant()?;
        let mut tx = self.inner.store.begin(&bound).await?;
        let mut row = store::sinks::get(&mut tx, tenant, id).await?;
        let before = described(&row.sink);
        let had_secret = row.secret_sealed.is_some();
        if let Some(name) = change.name {
            check_name(&name)?;
            row.sink.name = name;
        }
        if let Some(target) = change.target
            && target != row.sink.target
        {
            if std::mem::discriminant(&target) != std::mem::discriminant(&row.sink.target) {
                return Err(Error::invalid("target.kind", "stays as it is; make another sink"));
            }
            if had_secret && change.secret.is_none() && place(&target) != place(&row.sink.target) {
                return Err(Error::invalid("secret", "the sink would send to another place: give the secret again"));
            }
            row.private_network = is_operator(ctx);
            self.check_target(ctx, &target, row.private_network)?;
            row.sink.target = target;
        }
        if change.secret.is_some() {
            check_secret(&row.sink.target, change.secret.as_deref())?;
            row.secret_sealed = self.seal(&mut tx, id, change.secret.as_deref()).await?;
            row.sink.has_secret = true;
        }
        row.sink.enabled = change.enabled.unwrap_or(row.sink.enabled);
        row.sink.failures = 0;
        row.sink.next_attempt_at = bound.now();
        row.sink.updated_at = bound.now();
        store::sinks::update(&mut tx, &row).await.map_err(|error| taken(error, &row.sink.name))?;
        let data = json!({ "name": row.sink.name, "secret_changed": change.secret.is_some() });
        let event = NewEvent::new("audit.sink.changed", id, data);
        tx.emit(event.changed(before, described(&row.sink))).await?;
        tx.commit().await?;
        Ok(row.sink)
    }

    /// Removes a sink. What it delivered stays where it is.
    ///
    /// # Errors
    /// `forbidden` as for [`Governance::create_sink`]; `not_found`.
    pub async fn delete_sink(&self, ctx: &Ctx, log: Log, id: AuditSinkId) -> Result<()> {
        let bound = log.bind(ctx, AuditWrite, InstallationManage)?;
        ctx.require_recent_authentication()?;
        let tenant = bound.tenant()?;
        let mut tx = self.inner.store.begin(&bound).await?;
        let row = store::sinks::get(&mut tx, tenant, id).await?;
        store::sinks::delete(&mut tx, tenant, id).await?;
        let event = NewEvent::new("audit.sink.deleted", id, json!({ "name": row.sink.name }));
        tx.emit(event.changed(described(&row.sink), Value::Null)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Sends the newest checkpoint or record now, to see whether it is taken. What goes wrong is in the answer.
    ///
    /// # Errors
    /// `forbidden` as for [`Governance::create_sink`]; `not_found`; `conflict` (`audit_log_empty`) when there is nothing to
    /// send yet.
    pub async fn test_sink(&self, ctx: &Ctx, log: Log, id: AuditSinkId) -> Result<SinkTest> {
        let bound = log.bind(ctx, AuditWrite, InstallationManage)?;
        let tenant = bound.tenant()?;
        let mut tx = self.inner.store.read(&bound).await?;
        let row = store::sinks::get(&mut tx, tenant, id).await?;
        drop(tx);
        let begun = std::time::Instant::now();
        let sent = Box::pin(self.inner.send_newest(&row)).await;
        let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        match sent {
            Ok(()) => Ok(SinkTest { ok: true, error: None, duration_ms }),
            Err(error) if error.reason() == "audit_log_empty" => Err(error),
            Err(error) => Ok(SinkTest { ok: false, error: Some(error.to_string()), duration_ms }),
        }
    }

    fn check_target(&self, ctx: &Ctx, target: &SinkTarget, private_network: bool) -> Result<()> {
        if matches!(target, SinkTarget::AnchorFile {}) {
            ctx.require(InstallationManage).map_err(|error| error.field("target.kind"))?;
        }
        check_place(&self.inner.reach, target, private_network)
    }

    async fn seal(&self, tx: &mut Tx, id: AuditSinkId, secret: Option<&str>) -> Result<Option<Vec<u8>>> {
        match secret {
            Some(secret) => self.inner.store.seal_secret(tx, &secret_purpose(id), secret).await.map(Some),
            None => Ok(None),
        }
    }
}

/// Whether something can be sent there.
fn check_place(reach: &Reach, target: &SinkTarget, private_network: bool) -> Result<()> {
    match target {
        SinkTarget::AnchorFile {} => Ok(()),
        SinkTarget::AnchorS3 { bucket, retain_days, .. } => {
            if !(1..=RETAIN_DAYS_MAX).contains(retain_days) {
                return Err(Error::invalid("target.retain_days", format!("must be 1 to {RETAIN_DAYS_MAX} days")));
            }
            check_bucket(reach, bucket, private_network)
        }
        SinkTarget::S3 { bucket } => check_bucket(reach, bucket, private_network),
        SinkTarget::AnchorWebhook { url } => reach.check_url("target.url", url, private_network).map(drop),
        SinkTarget::Otlp { endpoint } => {
            let url = reach.check_url("target.endpoint", endpoint, private_network)?;
            if url.query().is_some() {
                return Err(Error::invalid("target.endpoint", "must not have a query"));
            }
            Ok(())
        }
        SinkTarget::Syslog { host, port, transport, ca_pem } => {
            reach.check_host("target.host", host, private_network)?;
            if *port == 0 {
                return Err(Error::invalid("target.port", "must be 1 to 65535"));
            }
            if ca_pem.is_some() && *transport != SyslogTransport::Tls {
                return Err(Error::invalid("target.ca_pem", "is only for the transport `tls`"));
            }
            syslog::certificates(ca_pem.as_deref().unwrap_or_default()).map(drop)
        }
    }
}

/// Whoever manages the installation knows its network; others could look into it through a sink.
fn is_operator(ctx: &Ctx) -> bool {
    ctx.permissions().contains(Permission::InstallationManage)
}

fn taken(error: Error, name: &str) -> Error {
    if error.code() == Code::Conflict {
        return Error::conflict("audit_sink_exists", format!("there is an audit sink `{name}` already"))
            .field("name")
            .source(error);
    }
    error
}

/// What the log says of a sink.
fn described(sink: &Sink) -> Value {
    json!({ "name": sink.name, "target": sink.target, "enabled": sink.enabled })
}

/// Where a secret would go.
fn place(target: &SinkTarget) -> String {
    match target {
        SinkTarget::AnchorFile {} => String::new(),
        SinkTarget::AnchorS3 { bucket, .. } | SinkTarget::S3 { bucket } => bucket.endpoint.clone(),
        SinkTarget::AnchorWebhook { url } => url.clone(),
        SinkTarget::Otlp { endpoint } => endpoint.clone(),
        SinkTarget::Syslog { host, port, .. } => format!("{host}:{port}"),
    }
}

fn check_name(name: &str) -> Result<()> {
    let chars = name.chars().count();
    if chars == 0 || chars > NAME_CHARS_MAX || name.chars().any(char::is_control) || name.trim() != name {
        let message = format!("must be 1 to {NAME_CHARS_MAX} characters without line breaks or space around them");
        return Err(Error::invalid("name", message));
    }
    Ok(())
}

fn check_bucket(reach: &Reach, bucket: &Bucket, private_network: bool) -> Result<()> {
    let url = reach.check_url("target.bucket.endpoint", &bucket.endpoint, private_network)?;
    if url.query().is_some() {
        return Err(Error::invalid("target.bucket.endpoint", "must not have a query"));
    }
    let is_plain = |text: &str, chars_max: usize, more: &[char]| {
        text.len() <= chars_max && text.chars().all(|letter| letter.is_ascii_alphanumeric() || more.contains(&letter))
    };
    for (field, text, chars_max, more) in [
        ("target.bucket.region", &bucket.region, 50, &['-'][..]),
        ("target.bucket.name", &bucket.name, 63, &['-', '.', '_'][..]),
        ("target.bucket.access_key_id", &bucket.access_key_id, 200, &['-', '.', '_', '/'][..]),
    ] {
        if text.is_empty() || !is_plain(text, chars_max, more) {
            return Err(Error::invalid(field, format!("must be 1 to {chars_max} letters, digits or {}", listed(more))));
        }
    }
    let steps = |part: &str| part == "." || part == "..";
    if steps(&bucket.name) {
        return Err(Error::invalid("target.bucket.name", "is no name of a bucket"));
    }
    let prefix = &bucket.prefix;
    let steps_up = prefix.split('/').any(steps);
    if !is_plain(prefix, 200, &['-', '.', '_', '/']) || steps_up || prefix.contains("//") {
        return Err(Error::invalid("target.bucket.prefix", "must be folders of letters, digits, -, . and _"));
    }
    Ok(())
}

fn listed(letters: &[char]) -> String {
    letters.iter().map(char::to_string).collect::<Vec<_>>().join(" ")
}

/// Finds now what would make every delivery fail later.
fn check_secret(target: &SinkTarget, secret: Option<&str>) -> Result<()> {
    if let Some(secret) = secret
        && (secret.is_empty()
            || secret.len() > SECRET_CHARS_MAX
            || !secret.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()))
    {
        let message = format!("must be 1 to {SECRET_CHARS_MAX} visible ASCII characters");
        return Err(Error::invalid("secret", message));
    }
    match target {
        SinkTarget::AnchorS3 { .. } | SinkTarget::S3 { .. } if secret.is_none() => {
            Err(Error::invalid("secret", "a bucket needs the secret of its access key"))
        }
        SinkTarget::AnchorWebhook { .. } if secret.is_none_or(|secret| secret.len() < SIGNING_SECRET_CHARS_MIN) => {
            let message = format!("a webhook needs a secret of at least {SIGNING_SECRET_CHARS_MIN} characters");
            Err(Error::invalid("secret", message))
        }
        SinkTarget::AnchorFile {} | SinkTarget::Syslog { .. } if secret.is_some() => {
            Err(Error::invalid("secret", "this kind of sink has none"))
        }
        _ => Ok(()),
    }
}

/// Names the log whose sink it is, for messages.
pub(crate) fn reason(log: TenantId) -> String {
    format!("deliver the audit log {log}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use plasma_http::outbound::Outbound;

    use super::*;

    fn bucket() -> Bucket {
        Bucket {
            endpoint: "https://s3.example.com".to_owned(),
            region: "eu-central-1".to_owned(),
            name: "audit".to_owned(),
            prefix: "plasma/logs".to_owned(),
            access_key_id: "AKIA".to_owned(),
        }
    }

    fn field_of(result: Result<()>) -> Option<String> {
        result.err().and_then(|error| error.field_name().map(str::to_owned))
    }

    #[test]
    fn buckets_are_checked() {
        let reach = Reach::new(&Outbound::guarded(Vec::new())).unwrap();
        assert_eq!(field_of(check_bucket(&reach, &bucket(), false)), None);
        for (wrong, field) in [
            (Bucket { endpoint: "https://127.0.0.1".to_owned(), ..bucket() }, "target.bucket.endpoint"),
            (Bucket { endpoint: "https://e.com/?a".to_owned(), ..bucket() }, "target.bucket.endpoint"),
            (Bucket { region: "eu central".to_owned(), ..bucket() }, "target.bucket.region"),
            (Bucket { name: String::new(), ..bucket() }, "target.bucket.name"),
            (Bucket { name: "..".to_owned(), ..bucket() }, "target.bucket.name"),
            (Bucket { prefix: "a/../b".to_owned(), ..bucket() }, "target.bucket.prefix"),
            (Bucket { prefix: "a//b".to_owned(), ..bucket() }, "target.bucket.prefix"),
            (Bucket { access_key_id: "a b".to_owned(), ..bucket() }, "target.bucket.access_key_id"),
        ] {
            assert_eq!(field_of(check_bucket(&reach, &wrong, false)).as_deref(), Some(field));
        }
    }

    #[test]
    fn secrets_fit_their_kinds() {
        let webhook = SinkTarget::AnchorWebhook { url: "https://e.com".to_owned() };
        assert_eq!(field_of(check_secret(&webhook, Some("short"))).as_deref(), Some("secret"));
        assert_eq!(field_of(check_secret(&webhook, Some("long enough to sign with"))), None);
        assert_eq!(field_of(check_secret(&SinkTarget::S3 { bucket: bucket() }, None)).as_deref(), Some("secret"));
        assert_eq!(field_of(check_secret(&SinkTarget::AnchorFile {}, Some("x"))).as_deref(), Some("secret"));
        let otlp = SinkTarget::Otlp { endpoint: "https://e.com".to_owned() };
        assert_eq!(field_of(check_secret(&otlp, None)), None);
        assert_eq!(field_of(check_secret(&otlp, Some("Bearer x"))), None);
        assert_eq!(field_of(check_secret(&otlp, Some("a\nb"))).as_deref(), Some("secret"));
    }

    #[test]
    fn a_target_survives_its_json_and_refuses_what_it_does_not_know() {
        let target = SinkTarget::AnchorS3 { bucket: bucket(), lock: crate::ObjectLock::Compliance, retain_days: 400 };
        let text = serde_json::to_string(&target).unwrap();
        assert!(text.starts_with("{\"kind\":\"anchor_s3\""), "{text}");
        assert_eq!(serde_json::from_str::<SinkTarget>(&text).unwrap(), target);
        assert!(serde_json::from_str::<SinkTarget>("{\"kind\":\"anchor_file\",\"path\":\"/etc/passwd\"}").is_err());
        assert!(serde_json::from_str::<SinkTarget>("{\"kind\":\"shell\"}").is_err());
    }
}
