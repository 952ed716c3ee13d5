use plasma_kernel::{Code, Error};

use super::*;
use crate::Told;

#[test]
fn errors_of_every_shape_are_read() {
    let full = json!({"error": {
        "code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT",
        "details": [
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"},
            {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": "contents[0]", "description": "x"}]},
        ],
    }});
    let told = Told {
        status: Some(400),
        kind: "INVALID_ARGUMENT API_KEY_INVALID".to_owned(),
        message: "API key not valid.".to_owned(),
        param: Some("contents[0]".to_owned()),
    };
    assert_eq!(read_error(full.to_string().as_bytes()), told);
    assert_eq!(read_error(json!([full]).to_string().as_bytes()), told);
    let status = |body: &str| read_error(body.as_bytes()).status;
    assert_eq!(status(r#"{"error":{"status":"RESOURCE_EXHAUSTED"}}"#), Some(429));
    assert_eq!(status(r#"{"error":{"code":8,"status":"RESOURCE_EXHAUSTED"}}"#), Some(429));
    assert_eq!(status(r#"{"error":{"code":99999999999}}"#), None);
    assert_eq!(read_error(br#"{"error":"no"}"#).message, "no");
    for nothing in [
        &b""[..],
        b"<!DOCTYPE html><html><title>502</title></html>",
        b"{\"error\":{\"code\":",
        b"\xff\xfe",
        b"[]",
        b"[[]]",
        b"{\"error\":null}",
        b"7",
    ] {
        assert_eq!(read_error(nothing), Told::default());
    }
    for odd in [r#"{"error":7}"#, r#"{"error":{"details":{},"message":[],"code":"x"}}"#] {
        assert_eq!(read_error(odd.as_bytes()).message, "", "{odd}");
    }
}

#[test]
fn errors_are_written_in_the_words_of_google_rpc() {
    let error = Error::invalid("contents[0].parts", "is missing").retry_after_ms(20);
    let body = write_error(&error, "contents[0].parts: is missing", 400);
    assert_eq!(
        body,
        json!({"error": {
            "code": 400, "message": "contents[0].parts: is missing", "status": "INVALID_ARGUMENT",
            "details": [
                {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "invalid", "domain": "plasma"},
                {"@type": "type.googleapis.com/google.rpc.BadRequest",
                    "fieldViolations": [{"field": "contents[0].parts", "description": "contents[0].parts: is missing"}]},
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.020s"},
            ],
        }})
    );
    let told = read_error(body.to_string().as_bytes());
    assert_eq!((told.status, told.param.as_deref()), (Some(400), Some("contents[0].parts")));
    for (code, word) in [
        (Code::Unauthenticated, "UNAUTHENTICATED"),
        (Code::Forbidden, "PERMISSION_DENIED"),
        (Code::NotFound, "NOT_FOUND"),
        (Code::RateLimited, "RESOURCE_EXHAUSTED"),
        (Code::OverBudget, "RESOURCE_EXHAUSTED"),
        (Code::Timeout, "DEADLINE_EXCEEDED"),
        (Code::Upstream, "UNAVAILABLE"),
        (Code::Internal, "INTERNAL"),
    ] {
        assert_eq!(write_error(&Error::new(code, "x", "y"), "y", 500)["error"]["status"], word);
    }
}

#[test]
fn times_are_read_and_written() {
    for (text, seconds) in [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-11-26T18:59:24Z", 1_795_719_564),
        ("2000-02-29T23:59:59Z", 951_868_799),
        ("0001-01-01T00:00:00Z", -62_135_596_800),
        ("9999-12-31T23:59:59Z", 253_402_300_799),
    ] {
        assert_eq!(time::to_seconds(text), Some(seconds), "{text}");
        assert_eq!(time::from_seconds(seconds).as_deref(), Some(text));
    }
    for same in ["2026-11-26T19:59:24.123456789+01:00", "2026-11-26t13:29:24-05:30", "2026-11-26 18:59:24z"] {
        assert_eq!(time::to_seconds(same), Some(1_795_719_564), "{same}");
    }
    for wrong in [
        "",
        "now",
        "2026-11-26",
        "2026-13-26T18:59:24Z",
        "2026-11-26T18:59:24",
        "2026-11-26T99:59:24Z",
        "+26-1-1T1:1:1Z",
    ] {
        assert_eq!(time::to_seconds(wrong), None, "{wrong}");
    }
    assert_eq!(time::from_seconds(i64::MAX), None);
    assert_eq!(time::from_seconds(i64::MIN), None);
}
