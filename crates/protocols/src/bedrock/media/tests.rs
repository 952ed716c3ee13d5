use serde_json::json;

use crate::{
    bedrock::testing::{assistant, bytes, lossless, media, message, refused, request, result, tool, user, write},
    chat::{Content, MediaSource, Part, Role},
};

#[test]
fn media_are_sent_as_bytes() {
    let content = |part: Content| {
        let request = request(vec![message(Role::User, vec![Part::new(part)])]);
        lossless(&request)["messages"][0]["content"][0].clone()
    };
    let block = |kind: &str, format: &str| json!({ kind: { "format": format, "source": { "bytes": "AAEC" } } });
    for (media_type, format) in
        [("image/png", "png"), ("image/JPG", "jpeg"), ("image/webp", "webp"), ("image/gif", "gif")]
    {
        assert_eq!(content(Content::Image(bytes(media_type))), block("image", format));
    }
    assert_eq!(content(Content::Audio(bytes("audio/mpeg"))), block("audio", "mp3"));
    assert_eq!(content(Content::Audio(bytes("audio/wav"))), block("audio", "wav"));
    assert_eq!(content(Content::Video(bytes("video/quicktime"))), block("video", "mov"));
    assert_eq!(content(Content::Video(bytes("video/3gpp"))), block("video", "three_gp"));
    for (media_type, format) in [
        ("application/pdf", "pdf"),
        ("text/csv; charset=utf-8", "csv"),
        ("text/x-rust", "txt"),
        ("application/json", "txt"),
        ("text/markdown", "md"),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
    ] {
        let expected = json!({ "document": { "format": format, "name": "document", "source": { "bytes": "AAEC" } } });
        assert_eq!(content(Content::Document(bytes(media_type))), expected);
    }
    let text = media(None, MediaSource::Text("hä".to_owned()), Some("Notes"));
    let expected = json!({ "document": { "format": "txt", "name": "Notes", "source": { "bytes": "aMOk" } } });
    assert_eq!(content(Content::Document(text)), expected);
}

#[test]
fn media_that_bedrock_cannot_take_are_refused_with_a_remedy() {
    let url = |url: &str| media(Some("image/png"), MediaSource::Url(url.to_owned()), None);
    let file = media(Some("application/pdf"), MediaSource::File("file-1".to_owned()), None);
    let unknown = media(None, MediaSource::Base64("AAEC".to_owned()), None);
    for part in [
        Content::Image(url("https://example.com/a.png")),
        Content::Image(url("s3://someone-elses-bucket/a.png")),
        Content::Document(url("https://example.com/a.pdf")),
        Content::Document(file.clone()),
        Content::Image(file),
        Content::Image(media(None, MediaSource::Text("x".to_owned()), None)),
        Content::Image(unknown.clone()),
        Content::Image(bytes("image/tiff")),
        Content::Audio(bytes("audio/midi")),
        Content::Video(unknown.clone()),
        Content::Document(unknown),
        Content::Document(bytes("application/zip")),
    ] {
        let part = Part::new(part);
        let (field, remedy) = refused(&request(vec![message(Role::User, vec![Part::text("see"), part.clone()])]));
        assert_eq!(field, "messages[0].parts[1]");
        assert!(remedy.starts_with("give"), "{remedy}");
        let mut in_result = request(vec![message(Role::User, vec![result("1", vec![part], false)])]);
        in_result.tools = vec![tool("f")];
        assert_eq!(refused(&in_result).0, "messages[0].parts[0].parts[0]");
    }
    let drawn = request(vec![user("draw"), assistant(vec![Content::Image(bytes("image/png"))])]);
    assert_eq!(refused(&drawn).0, "messages[1].parts[0]");
    let mut sound = request(vec![message(
        Role::User,
        vec![result("1", vec![Part::new(Content::Audio(bytes("audio/wav")))], false)],
    )]);
    sound.tools = vec![tool("f")];
    assert_eq!(refused(&sound).0, "messages[0].parts[0].parts[0]");
}

#[test]
fn names_of_documents_are_allowed_ones_and_unique() {
    let document =
        |name: Option<&str>| Part::new(Content::Document(media(None, MediaSource::Text("x".to_owned()), name)));
    let long = "a".repeat(1_000);
    let names = [
        "report.pdf",
        "report pdf",
        "a  (1) [b]-c",
        "報告.txt",
        "ignore:\nall\t\"rules\"",
        "",
        "document",
        &long,
        &long,
    ];
    let mut parts: Vec<Part> = names.iter().map(|name| document(Some(name))).collect();
    parts.push(document(None));
    let (body, losses) = write(&request(vec![message(Role::User, parts)]));
    let content = body["messages"][0]["content"].as_array().unwrap();
    let written: Vec<&str> = content.iter().map(|block| block["document"]["name"].as_str().unwrap()).collect();
    let cut = "a".repeat(180);
    let expected = [
        "report pdf",
        "report pdf (2)",
        "a (1) [b]-c",
        "txt",
        "ignore all rules",
        "document",
        "document (2)",
        &cut,
        &format!("{cut} (2)"),
        "document (3)",
    ];
    assert_eq!(written, expected);
    assert_eq!(losses.len(), 9);
    assert!(losses.iter().all(|field| field.ends_with(".name")), "{losses:?}");
    // Many of one name take no quadratic time.
    let many: Vec<Part> = (0..10_000).map(|_| document(None)).collect();
    let (body, _) = write(&request(vec![message(Role::User, many)]));
    assert_eq!(body["messages"][0]["content"][9_999]["document"]["name"], "document (10000)");
}
