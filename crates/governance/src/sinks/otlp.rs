//! Records as logs of OpenTelemetry: OTLP in JSON (opentelemetry-proto, `logs/v1`).

use plasma_kernel::{Result, TenantId};
use serde_json::{Value, json};

use crate::{
    record::{Record, actor_names},
    store::records::RecordRow,
};

/// INFO, and WARN for what was refused or failed.
const SEVERITY: (u32, &str) = (9, "INFO");
const SEVERITY_WARNING: (u32, &str) = (13, "WARN");

/// Whether somebody should look at it.
pub(super) fn is_warning(kind: &str) -> bool {
    [".denied", ".failed", ".refused", ".cloned", ".token_reused"].iter().any(|end| kind.ends_with(end))
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// The body of a request to `/v1/logs`.
pub(super) fn logs(origin: &str, log: TenantId, rows: &[RecordRow]) -> Result<Value> {
    let records = rows.iter().map(|row| log_record(row, &Record::read(&row.text)?)).collect::<Result<Vec<_>>>()?;
    Ok(json!({
        "resourceLogs": [{
            "resource": {
                "attributes": [
                    text("service.name", "plasma"),
                    text("service.version", env!("CARGO_PKG_VERSION")),
                    text("plasma.audit.log", &log.to_string()),
                    text("plasma.audit.origin", origin),
                ],
            },
            "scopeLogs": [{ "scope": { "name": "plasma.audit" }, "logRecords": records }],
        }],
    }))
}

fn log_record(row: &RecordRow, record: &Record) -> Result<Value> {
    let (number, name) = if is_warning(&record.kind) { SEVERITY_WARNING } else { SEVERITY };
    let nanoseconds = i128::from(record.at.max(0)) * 1_000;
    let mut attributes = vec![
        text("event.name", &record.kind),
        text("plasma.audit.id", &record.id.to_string()),
        json!({ "key": "plasma.audit.leaf", "value": { "intValue": row.leaf.to_string() } }),
        text("plasma.audit.subject", &record.subject),
        text("plasma.request_id", &record.request_id),
    ];
    attributes.extend(actor_names(&record.actor).first().map(|name| text("plasma.audit.actor", name)));
    attributes.extend(record.address().map(|address| text("client.address", &address)));
    let user_agent = record.origin.as_ref().and_then(|origin| origin.user_agent.as_deref());
    attributes.extend(user_agent.map(|agent| text("user_agent.original", agent)));
    Ok(json!({
        "timeUnixNano": nanoseconds.to_string(),
        "observedTimeUnixNano": nanoseconds.to_string(),
        "severityNumber": number,
        "severityText": name,
        "eventName": record.kind,
        "body": { "stringValue": row.text },
        "attributes": attributes,
    }))
}
