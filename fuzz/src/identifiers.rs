//! Short texts from outside: ids, dates, permissions, addresses; and pictures.

use plasma_http::{outbound::Outbound, picture};
use plasma_identity::{RoleName, is_spiffe_id};
use plasma_kernel::{
    ApiKeyId, ApplicationId, CollectionId, ConnectionId, DocumentId, EventId, Permission, PolicyId, ProviderId, Role,
    RoleId, TenantId, UserId,
};
use url::Url;

use crate::Target;

pub const TARGETS: &[Target] =
    &[("identifiers", identifiers), ("date", date), ("outbound_address", address), ("picture", logo)];

fn identifiers(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    macro_rules! ids {
        ($($id:ident)*) => {$(
            if let Ok(id) = text.parse::<$id>() {
                // One id has one text.
                assert_eq!(id.to_string(), text);
            }
        )*};
    }
    ids!(ApiKeyId ApplicationId CollectionId ConnectionId DocumentId EventId PolicyId ProviderId RoleId TenantId UserId);
    if let Ok(permission) = text.parse::<Permission>() {
        assert_eq!(permission.as_str(), text);
    }
    let _ = text.parse::<Role>();
    if let Ok(name) = text.parse::<RoleName>() {
        assert_eq!(name.to_string(), text);
    }
    if is_spiffe_id(text) {
        // Nothing that two readers read in different ways.
        let rest = text.strip_prefix("spiffe://").unwrap_or_default();
        assert!(rest.is_ascii() && !rest.contains(['%', '?', '#', '@', ':', '\\']), "{text}");
        let path = rest.split_once('/').map_or("", |(_, path)| path);
        assert!(path.split('/').all(|part| !matches!(part, "" | "." | "..")), "{text}");
    }
}

/// A year, a month and a day.
fn date(bytes: &[u8]) {
    let [high, low, month, day, ..] = bytes else { return };
    let year = i64::from(i16::from_be_bytes([*high, *low]));
    let (month, day) = (i64::from(*month), i64::from(*day));
    if let Some(number) = plasma_kernel::day_of_date(year, month, day) {
        assert_eq!(plasma_kernel::date_of_day(number), (year, month, day));
    }
}

fn address(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(url) = Url::parse(text) else { return };
    if Outbound::guarded(Vec::new()).check(&url).is_ok() {
        assert!(matches!(url.scheme(), "http" | "https") && url.username().is_empty());
        match url.host() {
            Some(url::Host::Ipv4(address)) => {
                assert!(!address.is_private() && !address.is_loopback() && !address.is_link_local())
            }
            Some(url::Host::Ipv6(address)) => {
                assert!(!address.is_loopback() && !address.is_unspecified() && !address.is_unique_local())
            }
            Some(url::Host::Domain(name)) => assert!(!name.eq_ignore_ascii_case("localhost")),
            None => unreachable!("an address without a host was allowed"),
        }
    }
}

fn logo(bytes: &[u8]) {
    if let Ok(kind) = picture("logo", None, bytes, 64 << 10) {
        assert!(kind.starts_with("image/") && kind != "image/svg+xml");
    }
}
