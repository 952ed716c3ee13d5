use super::*;

const KEY_ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const EMPTY_HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn credentials(session_token: Option<&str>) -> Credentials {
    Credentials {
        access_key_id: KEY_ID.to_owned(),
        secret_access_key: SECRET.to_owned(),
        session_token: session_token.map(str::to_owned),
    }
}

/// The signature of a case of AWS's Signature Version 4 test suite.
fn suite(method: &str, path: &str, query: &str, headers: &[(&str, &str)], body: &str) -> String {
    let time = "20150830T123600Z";
    let mut headers = headers.to_vec();
    headers.extend([("x-amz-date", time), ("host", "example.amazonaws.com")]);
    let body_hash = hexadecimal(&Sha256::digest(body));
    let request = Canonical { method, path, query, headers, body_hash: &body_hash };
    let authorization = request.authorization(&credentials(None), "us-east-1", "service", time);
    let head = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=";
    authorization.strip_prefix(head).unwrap().to_owned()
}

#[test]
fn cases_of_the_test_suite() {
    assert_eq!(
        suite("GET", "/", "", &[], ""),
        "host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        "get-vanilla"
    );
    assert_eq!(
        suite("GET", "/", "Param2=value2&Param1=value1", &[], ""),
        "host;x-amz-date, Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        "get-vanilla-query-order-key-case"
    );
    assert_eq!(
        suite("POST", "", "", &[], ""),
        "host;x-amz-date, Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        "post-vanilla"
    );
    assert_eq!(
        suite("POST", "/", "Param1=value1", &[], ""),
        "host;x-amz-date, Signature=28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
        "post-vanilla-query"
    );
    assert_eq!(
        suite("POST", "/", "", &[("content-type", "application/x-www-form-urlencoded")], "Param1=value1"),
        "content-type;host;x-amz-date, Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        "post-x-www-form-urlencoded"
    );
}

#[test]
fn the_canonical_request_is_as_documented() {
    let headers = vec![("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")];
    let request = Canonical { method: "GET", path: "/", query: "", headers, body_hash: EMPTY_HASH };
    let expected =
        format!("GET\n/\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-date\n{EMPTY_HASH}");
    assert_eq!(request.text("service", "host;x-amz-date"), expected);
}

/// Expected values of botocore 1.44.8, whose `SigV4Auth` signed the same request at the same time.
const NOW: i64 = 1_795_719_007;
const BODY: &str = r#"{"messages":[{"role":"user","content":[{"text":"hä?"}]}]}"#;
const HOST: &str = "bedrock-runtime.eu-central-1.amazonaws.com";

#[test]
fn an_inference_profile_with_a_temporary_key_is_signed_as_by_botocore() {
    let arn =
        "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0";
    let path = super::super::path(arn, true);
    assert_eq!(
        path,
        "/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012%3Ainference-profile%2F\
         eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream"
    );
    let token = Some("IQoJb3JpZ2luX2VjE+/==");
    let headers = sign(&credentials(token), "eu-central-1", "bedrock", "POST", HOST, &path, "", BODY.as_bytes(), NOW);
    let authorization = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261126/eu-central-1/bedrock/aws4_request, \
         SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, \
         Signature=03549743aa8268df24876ae0d52751a50bd930de8058388c6c9d8e463db0b315";
    let expected = [
        ("x-amz-date", "20261126T185007Z"),
        ("x-amz-content-sha256", "9cd3b038e16c6560a8956f19a835ec8124f50aa4eb46905c193f2e61105739d7"),
        ("x-amz-security-token", "IQoJb3JpZ2luX2VjE+/=="),
        ("authorization", authorization),
    ];
    assert_eq!(headers, expected.map(|(name, value)| (name, value.to_owned())));
}

#[test]
fn a_model_with_a_lasting_key_is_signed_as_by_botocore() {
    let path = super::super::path("anthropic.claude-3-haiku-20240307-v1:0", false);
    let query = "b=2&a=x%20y&a=";
    let body = BODY.as_bytes();
    let headers = sign(&credentials(None), "eu-central-1", "bedrock", "POST", HOST, &path, query, body, NOW);
    let authorization = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261126/eu-central-1/bedrock/aws4_request, \
         SignedHeaders=host;x-amz-content-sha256;x-amz-date, \
         Signature=372bb6a05fa96ec00e36fa8e217f6ea33f5999e206934d2861ddf256d633b3ba";
    assert_eq!(headers.last().unwrap(), &("authorization", authorization.to_owned()));
    assert_eq!(headers.len(), 3);
}

#[test]
fn s3_signs_the_path_as_it_is_sent() {
    let request = |path| Canonical { method: "GET", path, query: "", headers: Vec::new(), body_hash: "" };
    assert!(request("/a%20b").text("s3", "").starts_with("GET\n/a%20b\n"));
    assert!(request("/a%20b").text("bedrock", "").starts_with("GET\n/a%2520b\n"));
}

/// RFC 4231, test cases 2 and 6: a short key, and one that is longer than a block.
#[test]
fn hmac_is_that_of_the_rfc() {
    let short = hmac(b"Jefe", "what do ya want for nothing?");
    assert_eq!(hexadecimal(&short), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    let long = hmac(&[0xaa; 131], "Test Using Larger Than Block-Size Key - Hash Key First");
    assert_eq!(hexadecimal(&long), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

#[test]
fn times_are_written_in_the_gregorian_calendar() {
    for (seconds, expected) in [
        (0, "19700101T000000Z"),
        (951_782_399, "20000228T235959Z"),
        (951_782_400, "20000229T000000Z"),
        (1_440_938_160, "20150830T123600Z"),
        (4_107_542_400, "21000301T000000Z"),
        (-1, "19691231T235959Z"),
    ] {
        assert_eq!(basic_time(seconds), expected);
    }
    // Absurd clocks do no harm.
    assert!(!basic_time(i64::MAX).is_empty() && !basic_time(i64::MIN).is_empty());
}

#[test]
fn secrets_are_not_printed() {
    let printed = format!("{:?}", credentials(Some("a-session-token")));
    assert!(printed.contains(KEY_ID), "{printed}");
    assert!(!printed.contains(SECRET) && !printed.contains("a-session-token"), "{printed}");
}
