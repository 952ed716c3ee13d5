//! Input that is too large, too deep, broken or a lie: each gets a clear problem or a failed document that says why, and the
//! server stays up and small.

use std::{
    io::{Cursor, Write as _},
    time::Duration,
};

use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::{Value, json};

use crate::harness::{Place, Plasma, problem};

/// Whatever comes, the program never needs more. The embedding model in memory is 100 MB of it.
const RESIDENT_BYTES_MAX: u64 = 500 << 20;

fn upload(server: &Plasma, collection: &str, name: &str, bytes: Vec<u8>) -> reqwest::RequestBuilder {
    let form = Form::new().part("file", Part::bytes(bytes).file_name(name.to_owned()));
    server.owner(Method::POST, &format!("/api/v1/collections/{collection}/documents")).multipart(form)
}

/// The document's error once it has failed, or the problem that refused it at once.
async fn failure(server: &Plasma, collection: &str, name: &str, bytes: Vec<u8>) -> Value {
    let response = upload(server, collection, name, bytes).send().await.unwrap();
    let status = response.status();
    let body: Value = response.json().await.unwrap();
    if status.is_client_error() {
        return body;
    }
    assert_eq!(status, 202, "{body}");
    let id = body["id"].as_str().unwrap();
    for _ in 0..600 {
        let document = server.get(&format!("/api/v1/collections/{collection}/documents/{id}")).await;
        match document["state"].as_str() {
            Some("failed") => return document["error"].clone(),
            Some("ready") => panic!("{name} was taken for a good document: {document}"),
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    panic!("{name} neither failed nor became ready\n{}", server.log());
}

/// A DOCX of a few kilobytes whose text is 400 MB.
fn zip_bomb() -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    archive.start_file("[Content_Types].xml", options).unwrap();
    archive.write_all(b"<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"/>").unwrap();
    archive.start_file("word/document.xml", options).unwrap();
    archive.write_all(b"<w:document xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"><w:body><w:p><w:r><w:t>").unwrap();
    let block = vec![b'a'; 1 << 20];
    for _ in 0..400 {
        archive.write_all(&block).unwrap();
    }
    archive.write_all(b"</w:t></w:r></w:p></w:body></w:document>").unwrap();
    archive.finish().unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_files_fail_with_a_reason() {
    let mut server = Place::sqlite().start();
    let collection = server.create_collection("hostile").await;
    let bomb = zip_bomb();
    assert!(bomb.len() < 1 << 20, "{} bytes", bomb.len());
    let mut truncated_docx = bomb.clone();
    truncated_docx.truncate(bomb.len() / 2);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("bomb.docx", bomb),
        ("truncated.docx", truncated_docx),
        (
            "broken.pdf",
            b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\ntrailer << /Root 1 0 R >>\n%%EOF".to_vec(),
        ),
        ("empty.txt", Vec::new()),
        ("program.txt", [b"\x7fELF\x02\x01\x01\x00".as_slice(), &[0; 4096]].concat()),
        ("picture.png", [b"\x89PNG\r\n\x1a\n".as_slice(), &[0; 4096]].concat()),
        ("spaces.md", b" \n\n   \n".to_vec()),
    ];
    for (name, bytes) in cases {
        let error = failure(&server, &collection, name, bytes).await;
        for field in ["reason", "detail"] {
            assert!(error[field].as_str().is_some_and(|text| !text.is_empty()), "{name}: {error}");
        }
        assert_ne!(error["reason"], "internal", "{name}: {error}");
        println!("{name}: {error}");
    }
    // Text with a few broken bytes is text all the same: read, or refused with a reason, but never an internal error.
    let broken_text = [b"Otters hold hands. ".as_slice(), &[0xff, 0xfe, 0xc3], b" They do."].concat();
    let response = upload(&server, &collection, "broken.txt", broken_text).send().await.unwrap();
    assert!(response.status() == 202 || response.status().is_client_error(), "{}", response.status());
    server.settled(&collection).await;
    assert!(server.is_running());
    assert!(server.resident_bytes() < RESIDENT_BYTES_MAX, "{} bytes", server.resident_bytes());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_50_mb_is_refused_and_the_answer_arrives() {
    let mut server = Place::sqlite().start();
    let collection = server.create_collection("large").await;
    let before = server.resident_bytes();
    for _ in 0..4 {
        let body = problem(upload(&server, &collection, "large.txt", vec![b'a'; 50 << 20]), 413).await;
        assert_eq!(body["code"], "too_large");
        assert!(body["detail"].as_str().unwrap().contains("accepts"), "{body}");
    }
    // Without a stated length, the limit is met while reading.
    let blocks = futures::stream::iter((0..50).map(|_| Ok::<_, std::io::Error>(vec![b'a'; 1 << 20])));
    let endless = Part::stream(reqwest::Body::wrap_stream(blocks)).file_name("endless.txt");
    let request = server
        .owner(Method::POST, &format!("/api/v1/collections/{collection}/documents"))
        .multipart(Form::new().part("file", endless));
    let body = problem(request, 413).await;
    assert_eq!(body["code"], "too_large");
    assert!(server.is_running());
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 150 << 20, "grew by {grown} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_json_is_refused_with_its_place() {
    let mut server = Place::sqlite().start();
    let collection = server.create_collection("json").await;
    let search = |body: String| {
        server.owner(Method::POST, "/api/v1/search").header("content-type", "application/json").body(body)
    };
    let long = json!({"collection": collection, "query": "a".repeat(10 << 20)}).to_string();
    assert_eq!(problem(search(long), 413).await["code"], "too_large");
    // Within the body's limit, but longer than any query.
    let long = json!({"collection": collection, "query": "word ".repeat(100_000)}).to_string();
    let refused = search(long).send().await.unwrap();
    assert!(matches!(refused.status().as_u16(), 400 | 413), "{}", refused.status());
    assert_eq!(refused.json::<Value>().await.unwrap()["field"], "query");
    let deep = format!("{{\"collection\":\"{collection}\",\"query\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(problem(search(deep), 400).await["code"], "invalid");
    let filter = format!(
        "{{\"collection\":\"json\",\"query\":\"a\",\"filter\":{}1{}}}",
        "{\"a\":".repeat(10_000),
        "}".repeat(10_000)
    );
    assert_eq!(problem(search(filter), 400).await["code"], "invalid");
    let unknown = json!({"collection": collection, "query": "a", "colour": "red"}).to_string();
    assert_eq!(problem(search(unknown), 400).await["field"], "colour");
    let wrong_type = json!({"collection": collection, "query": 7}).to_string();
    assert_eq!(problem(search(wrong_type), 400).await["field"], "query");
    let not_utf8 = server
        .owner(Method::POST, "/api/v1/search")
        .header("content-type", "application/json")
        .body(b"{\"collection\":\"\xff\",\"query\":\"a\"}".to_vec());
    assert!(problem(not_utf8, 400).await["detail"].as_str().unwrap().contains("UTF-8"));
    let no_type = server.owner(Method::POST, "/api/v1/search").body("{}");
    assert_eq!(problem(no_type, 400).await["field"], "content-type");
    assert!(server.is_running());
    assert!(server.resident_bytes() < RESIDENT_BYTES_MAX, "{} bytes", server.resident_bytes());
}
