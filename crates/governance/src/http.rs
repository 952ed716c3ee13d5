//! The routes of governance.

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::Governance;

mod export;
mod log;
mod proofs;
mod records;
mod sinks;

/// Every route of this crate.
pub fn routes() -> OpenApiRouter<Governance> {
    OpenApiRouter::new()
        .routes(routes!(records::list_audit_records))
        .routes(routes!(records::get_audit_record))
        .routes(routes!(export::export_audit_log))
        .routes(routes!(log::get_audit_log))
        .routes(routes!(log::get_audit_key))
        .routes(routes!(log::set_audit_retention))
        .routes(routes!(log::erase_person_from_audit))
        .routes(routes!(proofs::list_audit_checkpoints))
        .routes(routes!(proofs::prove_audit_inclusion))
        .routes(routes!(proofs::prove_audit_consistency))
        .routes(routes!(sinks::list_audit_sinks, sinks::create_audit_sink))
        .routes(routes!(sinks::get_audit_sink, sinks::change_audit_sink, sinks::delete_audit_sink))
        .routes(routes!(sinks::test_audit_sink))
}
