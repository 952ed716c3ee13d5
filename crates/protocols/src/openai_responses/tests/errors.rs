use crate::{Told, openai_responses::read_error};

#[test]
fn an_error_body_is_read() {
    let body = br#"{"error":{"message":"bad","type":"invalid_request_error","param":"input","code":"invalid_value"}}"#;
    let expected = Told {
        status: None,
        kind: "invalid_value invalid_request_error".to_owned(),
        message: "bad".to_owned(),
        param: Some("input".to_owned()),
    };
    assert_eq!(read_error(body), expected);
}

#[test]
fn error_bodies_of_other_servers_are_read() {
    let message = |body: &str| read_error(body.as_bytes()).message;
    assert_eq!(message(r#"{"error":"out of memory"}"#), "out of memory");
    assert_eq!(message(r#"{"detail":"Not Found"}"#), "Not Found");
    assert_eq!(message(r#"{"detail":[{"loc":["body"]}]}"#), r#"[{"loc":["body"]}]"#);
    let flat =
        read_error(br#"{"object":"error","message":"too long","type":"BadRequestError","code":400,"param":null}"#);
    assert_eq!((flat.status, flat.message.as_str(), flat.param), (Some(400), "too long", None));
    let nothing = read_error(br#"{"error":null}"#);
    assert_eq!(nothing, Told::default());
}

#[test]
fn what_is_no_error_body_says_nothing() {
    for body in [&b""[..], b"<html>502</html>", b"{\"error\":{\"mess", b"\xff\xfe", b"7", b"[]"] {
        assert_eq!(read_error(body), Told::default());
    }
}
