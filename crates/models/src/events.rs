//! The events that this crate writes.

/// A provider was added: `{name, kind, base_url}`.
pub const PROVIDER_CREATED: &str = "models.provider.created";
/// A provider's address or key was changed: `{name, base_url, api_key_changed}`.
pub const PROVIDER_CHANGED: &str = "models.provider.changed";
/// A provider was removed, and its models with it: `{name, models}`.
pub const PROVIDER_DELETED: &str = "models.provider.deleted";
/// A provider's model was added: `{kind, provider_id}`.
pub const MODEL_CREATED: &str = "models.model.created";
/// An administrator set or took away the price of a provider's model: `{price}`, null when the snapshot's counts again.
pub const MODEL_PRICED: &str = "models.model.priced";
/// A provider's model was removed: `{}`.
pub const MODEL_DELETED: &str = "models.model.deleted";
/// A call ended, well or not: the fields of the call's record, with the one who called as `actor` and its `request_id`.
pub const CALL_COMPLETED: &str = "models.call.completed";
/// A route was added or changed: `{name, settings}`.
pub const ROUTE_CHANGED: &str = "models.route.changed";
/// A route was removed: `{}`.
pub const ROUTE_DELETED: &str = "models.route.deleted";
