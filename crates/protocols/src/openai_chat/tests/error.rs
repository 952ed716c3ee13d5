use plasma_kernel::{Code, Error};
use serde_json::json;

use super::*;
use crate::read::Told;

fn told(status: Option<u16>, kind: &str, message: &str, param: Option<&str>) -> Told {
    Told { status, kind: kind.to_owned(), message: message.to_owned(), param: param.map(str::to_owned) }
}

#[test]
fn errors_of_all_servers_are_read() {
    for (body, expected) in [
        (
            json!({"error": {"message": "m", "type": "invalid_request_error", "param": "tools", "code": "long"}}),
            told(None, "long invalid_request_error", "m", Some("tools")),
        ),
        (json!({"error": {"message": "m", "type": "t", "param": null, "code": null}}), told(None, "t", "m", None)),
        (json!({"error": "m"}), told(None, "", "m", None)),
        (json!({"error": "Bad Request", "message": "m"}), told(None, "Bad Request", "m", None)),
        (
            json!({"error": {"code": 429, "message": "m", "metadata": {"raw": "why"}}}),
            told(Some(429), "429", "m: why", None),
        ),
        (json!({"object": "error", "message": "m", "type": "t", "code": 400}), told(Some(400), "400 t", "m", None)),
        (
            json!({"object": "error", "message": "m", "type": "t", "code": "3051", "raw_status_code": 400}),
            told(Some(400), "3051 t", "m", None),
        ),
        (json!({"detail": "m"}), told(None, "", "m", None)),
        (json!({"detail": [{"loc": ["body"], "msg": "m"}]}), told(None, "", r#"[{"loc":["body"],"msg":"m"}]"#, None)),
        (
            json!([{"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT"}}]),
            told(Some(400), "400", "m", None),
        ),
        (json!({}), Told::default()),
        (json!([]), Told::default()),
        (json!("x"), Told::default()),
        (json!({"error": []}), told(None, "", "[]", None)),
    ] {
        assert_eq!(read_error(body.to_string().as_bytes()), expected, "{body}");
    }
    for body in [&b"<html><body>502 Bad Gateway</body></html>"[..], b"", b"{\"error\": {\"mess", b"\xff\xfe", b"null"] {
        assert_eq!(read_error(body), Told::default());
    }
}

#[test]
fn errors_for_clients_have_openais_shape() {
    let error = Error::invalid("messages[0].content", "is wrong").remedy("mend it");
    let expected = json!({"error": {
        "message": "shown", "type": "invalid_request_error", "param": "messages[0].content", "code": "invalid",
    }});
    assert_eq!(write_error(&error, "shown", 400), expected);
    for (code, kind) in [
        (Code::Unauthenticated, "authentication_error"),
        (Code::Forbidden, "permission_error"),
        (Code::RateLimited, "rate_limit_error"),
        (Code::OverBudget, "insufficient_quota"),
        (Code::NotFound, "invalid_request_error"),
        (Code::Conflict, "invalid_request_error"),
        (Code::TooLarge, "invalid_request_error"),
        (Code::Timeout, "server_error"),
        (Code::Upstream, "server_error"),
        (Code::Internal, "server_error"),
    ] {
        let body = write_error(&Error::new(code, "why", "m"), "m", 0);
        assert_eq!(body, json!({"error": {"message": "m", "type": kind, "param": null, "code": "why"}}));
    }
}

#[test]
fn a_stream_ends_with_an_error_that_says_no_secret() {
    let ended = |error: &Error| {
        let mut events = Vec::new();
        StreamWriter::new(true).error(error, &mut events);
        json_of(&events)
    };
    let error = Error::new(Code::Upstream, "provider_failed", "it broke").remedy("try again");
    let expected = json!({"error": {
        "message": "it broke (try again)", "type": "server_error", "param": null, "code": "provider_failed",
    }});
    assert_eq!(ended(&error), [expected]);
    let ours = ended(&Error::internal("password is 123"));
    assert!(!ours[0].to_string().contains("123"));
    // A client of ours that is a provider's reader sees it as what it is.
    let read = deltas(&ended(&error)).unwrap_err();
    assert!(matches!(read, Wrong::Told(told) if told.kind == "provider_failed server_error"));
}
