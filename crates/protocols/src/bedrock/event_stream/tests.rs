use proptest::prelude::*;

use super::*;

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digits: Vec<u32> = hexadecimal.chars().map(|digit| digit.to_digit(16).unwrap()).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

fn decode(bytes: &[u8]) -> Result<Vec<EventMessage>, Wrong> {
    let mut messages = Vec::new();
    EventStreamDecoder::new(100_000).push(bytes, &mut messages)?;
    Ok(messages)
}

fn event(event_type: &str, payload: &[u8]) -> Vec<u8> {
    encode(&[(":event-type", event_type), (":content-type", "application/json"), (":message-type", "event")], payload)
}

/// Messages that AWS's SDKs test their decoders with, and one with a header of every type. botocore reads them so too.
#[test]
fn published_messages_are_read() {
    let empty = bytes("000000100000000005c248eb7d98c8ff");
    assert_eq!(decode(&empty).unwrap(), [EventMessage::default()]);
    assert_eq!(encode(&[], b""), empty);

    let payload = bytes("0000001d00000000fd528c5a7b27666f6f273a27626172277dc3653936");
    assert_eq!(decode(&payload).unwrap()[0].payload, b"{'foo':'bar'}");
    assert_eq!(encode(&[], b"{'foo':'bar'}"), payload);

    let number = bytes("0000002d0000001041c424b80a6576656e742d74797065040000a00c7b27666f6f273a27626172277d36f480a0");
    assert_eq!(decode(&number).unwrap()[0].payload, b"{'foo':'bar'}");

    let all = bytes(
        "0000009000000074e34c4d5c01610001620101630280016403fff9016504fffffff80166050000000000000009016706000300010\
         20b3a6576656e742d747970650700086d657461646174610169080000018bcfe56800016a09000102030405060708090a0b0c0d0e\
         0f0d3a6d6573736167652d747970650700056576656e747b227573616765223a7b7d7de60dadaa",
    );
    let expected = EventMessage {
        message_type: "event".to_owned(),
        event_type: Some("metadata".to_owned()),
        payload: br#"{"usage":{}}"#.to_vec(),
        ..EventMessage::default()
    };
    assert_eq!(decode(&all).unwrap(), [expected]);
}

#[test]
fn exceptions_and_errors_are_told_apart_from_events() {
    let exception = encode(
        &[(":message-type", "exception"), (":exception-type", "throttlingException")],
        br#"{"message":"slow down"}"#,
    );
    let error = encode(&[(":message-type", "error"), (":error-code", "Odd"), (":error-message", "it broke")], b"");
    let messages = decode(&[exception, error].concat()).unwrap();
    assert_eq!(messages[0].message_type, "exception");
    assert_eq!(messages[0].exception_type.as_deref(), Some("throttlingException"));
    assert_eq!(messages[0].event_type, None);
    assert_eq!(messages[1].exception_type.as_deref(), Some("Odd"));
    assert_eq!(messages[1].error_message.as_deref(), Some("it broke"));
}

#[test]
fn every_cut_gives_the_same_messages() {
    let stream = [
        event("messageStart", br#"{"role":"assistant"}"#),
        event("contentBlockDelta", r#"{"delta":{"text":"ü"}}"#.as_bytes()),
        encode(&[], b""),
        event("messageStop", b"{}"),
    ]
    .concat();
    let whole = decode(&stream).unwrap();
    assert_eq!(whole.len(), 4);
    for cut in 0..=stream.len() {
        let mut decoder = EventStreamDecoder::new(1_000);
        let mut messages = Vec::new();
        decoder.push(&stream[..cut], &mut messages).unwrap();
        decoder.push(&stream[cut..], &mut messages).unwrap();
        assert_eq!(messages, whole, "cut at {cut}");
        assert!(!decoder.is_within_message());
    }
    let mut decoder = EventStreamDecoder::new(1_000);
    let mut messages = Vec::new();
    for byte in stream.chunks(1) {
        decoder.push(byte, &mut messages).unwrap();
    }
    assert_eq!(messages, whole);
    decoder.push(&stream[..5], &mut messages).unwrap();
    assert!(decoder.is_within_message());
}

#[test]
fn a_damaged_bit_is_noticed() {
    let message = event("metadata", b"{\"usage\":{}}");
    for bit in 0..message.len() * 8 {
        let mut damaged = message.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(decode(&damaged).is_err(), "bit {bit}");
    }
}

fn with_lengths(total: u32, headers: u32, rest: &[u8]) -> Vec<u8> {
    let mut message = [total.to_be_bytes(), headers.to_be_bytes()].concat();
    message.extend(crc32fast::hash(&message).to_be_bytes());
    message.extend(rest);
    message.extend(crc32fast::hash(&message).to_be_bytes());
    message
}

#[test]
fn lengths_that_cannot_be_are_refused_before_the_message_has_come() {
    let refused = |message: &[u8]| match decode(message) {
        Err(Wrong::Malformed(what)) => what,
        other => panic!("{other:?}"),
    };
    assert!(refused(&with_lengths(u32::MAX, 0, b"")).contains("100000 bytes"));
    assert!(refused(&with_lengths(100_001, 0, b"")).contains("100000 bytes"));
    assert!(refused(&with_lengths(15, 0, b"")).contains("contradict"));
    assert!(refused(&with_lengths(0, 0, b"")).contains("contradict"));
    assert!(refused(&with_lengths(20, 5, b"")).contains("contradict"));
    assert!(refused(&with_lengths(16, u32::MAX, b"")).contains("contradict"));
}

#[test]
fn wrongly_built_headers_are_refused() {
    let refused: [&[u8]; 6] = [
        // Names and values that end too early, and a type that does not exist.
        b"\x05abc",
        b"\x01a",
        b"\x01a\x07\x00",
        b"\x01a\x07\x00\x05abc",
        b"\x01a\x09abc",
        b"\x01a\x0a",
    ];
    for headers in refused {
        let length = u32::try_from(headers.len()).unwrap();
        let outcome = decode(&with_lengths(16 + length, length, headers));
        assert!(matches!(&outcome, Err(Wrong::Malformed(what)) if what.contains("headers")), "{outcome:?}");
    }
}

#[test]
fn what_is_too_long_to_encode_is_cut() {
    let long = "x".repeat(70_000);
    let message = encode(&[(&long, "value"), (":event-type", &long)], b"");
    let messages = decode(&message).unwrap();
    assert_eq!(messages[0].event_type.as_ref().unwrap().len(), 65_535);
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(name in "\\PC{0,20}", payload in prop::collection::vec(any::<u8>(), 0..200)) {
        let messages = decode(&event(&name, &payload)).unwrap();
        prop_assert_eq!(messages.len(), 1);
        prop_assert_eq!(messages[0].event_type.as_deref(), Some(name.as_str()));
        prop_assert_eq!(&messages[0].payload, &payload);
    }

    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..100), cut in 0_usize..100) {
        let mut decoder = EventStreamDecoder::new(50);
        let (head, tail) = bytes.split_at(cut.min(bytes.len()));
        let _ = decoder.push(head, &mut Vec::new());
        let _ = decoder.push(tail, &mut Vec::new());
    }

    #[test]
    fn no_headers_do_harm(headers in prop::collection::vec(any::<u8>(), 0..100)) {
        let length = u32::try_from(headers.len()).unwrap();
        let _ = decode(&with_lengths(16 + length, length, &headers));
    }
}
