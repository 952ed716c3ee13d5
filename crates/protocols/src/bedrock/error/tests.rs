use super::*;
use crate::bedrock::event_stream::EventMessage;

#[test]
fn the_class_stands_in_the_header_or_in_the_body() {
    let expected = |status, kind: &str, message: &str| Told {
        status,
        kind: kind.to_owned(),
        message: message.to_owned(),
        param: None,
    };
    let body = br#"{"message":"Malformed input request"}"#;
    assert_eq!(
        read_error(body, Some("ValidationException")),
        expected(Some(400), "ValidationException", "Malformed input request")
    );
    assert_eq!(
        read_error(
            br#"{"Message":"User is not authorized"}"#,
            Some("AccessDeniedException:http://internal.amazon.com/x/")
        ),
        expected(Some(403), "AccessDeniedException", "User is not authorized")
    );
    let body = br#"{"__type":"com.amazon.coral.service#UnrecognizedClientException","message":"The security token"}"#;
    assert_eq!(read_error(body, None), expected(Some(403), "UnrecognizedClientException", "The security token"));
    let body = br#"{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}"#;
    assert_eq!(read_error(body, None), expected(Some(404), "UnknownOperationException", ""));
    assert_eq!(read_error(body, Some("NewException")), expected(None, "NewException", ""));
}

#[test]
fn each_class_has_its_status() {
    for (class, status) in [
        ("ValidationException", 400),
        ("AccessDeniedException", 403),
        ("ExpiredTokenException", 403),
        ("ResourceNotFoundException", 404),
        ("ModelTimeoutException", 408),
        ("ModelErrorException", 424),
        ("ModelNotReadyException", 429),
        ("ThrottlingException", 429),
        ("InternalServerException", 500),
        ("ServiceUnavailableException", 503),
    ] {
        assert_eq!(read_error(b"{}", Some(class)).status, Some(status), "{class}");
    }
}

#[test]
fn bodies_that_say_nothing_are_no_errors_of_ours() {
    let bodies: [&[u8]; 9] = [
        b"",
        b"<html><body>502 Bad Gateway</body></html>",
        br#"{"message":"cut o"#,
        b"[1]",
        b"null",
        b"\"text\"",
        br#"{"message":7,"Message":{},"__type":[]}"#,
        b"\xff\xfe",
        &[b'['; 10_000],
    ];
    for body in bodies {
        assert_eq!(read_error(body, None), Told::default());
    }
    let told = read_error(b"<html>", Some("ThrottlingException"));
    assert_eq!((told.status, told.kind.as_str(), told.message.as_str()), (Some(429), "ThrottlingException", ""));
}

#[test]
fn an_exception_of_a_stream_tells_what_the_model_said() {
    let exception = |class: &str, payload: &str| {
        read_exception(&EventMessage {
            message_type: "exception".to_owned(),
            exception_type: Some(class.to_owned()),
            payload: payload.as_bytes().to_vec(),
            ..EventMessage::default()
        })
    };
    let body = r#"{"message":"The model failed","originalStatusCode":500,"originalMessage":"out of memory"}"#;
    let told = exception("modelStreamErrorException", body);
    assert_eq!(told.status, Some(424));
    assert_eq!(told.message, "The model failed: out of memory");
    assert_eq!(exception("modelStreamErrorException", r#"{"originalMessage":"only this"}"#).message, "only this");
    let twice = exception("modelStreamErrorException", r#"{"message":"a: b","originalMessage":"b"}"#);
    assert_eq!(twice.message, "a: b");
    let error = EventMessage {
        message_type: "error".to_owned(),
        exception_type: Some("InternalError".to_owned()),
        error_message: Some("it broke".to_owned()),
        ..EventMessage::default()
    };
    let told = read_exception(&error);
    assert_eq!((told.status, told.kind.as_str(), told.message.as_str()), (None, "InternalError", "it broke"));
}
