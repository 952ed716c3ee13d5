use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

fn guarded() -> Outbound {
    Outbound::guarded(Vec::new())
}

fn allowing(networks: &[&str]) -> Outbound {
    Outbound::guarded(networks.iter().map(|network| network.parse().unwrap()).collect())
}

/// A server that answers every request with the same text, and counts them.
async fn server(answer: impl Fn(u16) -> String) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (answer, count) = (answer(port), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut head = [0; 2_048];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (port, count)
}

fn redirect_to(location: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

#[test]
fn addresses_are_checked_in_every_spelling() {
    let guard = guarded();
    for refused in [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://%31%32%37.0.0.1/",
        "http://0/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://localhost/",
        "http://LOCALHOST./",
        "http://plasma.localhost/",
        "http://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1:8443/",
        "http://192.168.1.1:11434/v1",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "https://user@example.com/",
        "https://:password@example.com/",
        "https://example.com:22/",
        "https://example.com:6379/",
        "https://example.com:0/",
    ] {
        assert!(guard.check(&url(refused)).is_err(), "{refused}");
    }
    for called in [
        "https://example.com/",
        "http://example.com:8000/v1",
        "https://1.1.1.1/",
        "https://[2606:4700::1111]/",
        "https://localhost.example.com/",
        "https://example.com:443/",
    ] {
        guard.check(&url(called)).unwrap();
    }
}

#[test]
fn allowed_networks_are_exceptions_whatever_the_spelling_and_the_port() {
    let guard = allowing(&["10.1.0.0/16", "fd00::/8", "127.0.0.1/32"]);
    for called in [
        "http://10.1.2.3/",
        "http://[::ffff:10.1.2.3]/",
        "http://10.1.2.3:25/",
        "http://[fd12::1]:8080/",
        "http://localhost:11434/",
    ] {
        guard.check(&url(called)).unwrap();
    }
    for refused in ["http://10.2.0.1/", "http://127.0.0.2/", "http://user@10.1.2.3/", "ftp://10.1.2.3/"] {
        assert!(guard.check(&url(refused)).is_err(), "{refused}");
    }
    let unguarded = Outbound::unguarded();
    unguarded.check(&url("http://127.0.0.1:25/")).unwrap();
    assert!(unguarded.check(&url("file:///etc/passwd")).is_err());
}

#[test]
fn a_refusal_names_the_remedy() {
    let refused = guarded().check(&url("http://192.168.0.7/v1")).unwrap_err();
    let error = Error::from(refused.clone());
    assert_eq!((error.code(), error.reason()), (Code::Invalid, "outbound_address_refused"));
    assert_eq!(error.message(), "`192.168.0.7` is not called: its address is in a private network");
    assert!(error.remedy_text().unwrap().contains("outbound_allowed_networks"));
    let error = refused.into_upstream_error("the provider `acme`");
    assert_eq!(error.code(), Code::Upstream);
    assert!(error.message().starts_with("the provider `acme`: ") && error.remedy_text().is_some());
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_not_connected_to() {
    let (port, count) = server(|_| OK.to_owned()).await;
    // As an attacker's name server would answer; `localhost` is the name that every machine has.
    let client = guarded().client(reqwest::Client::builder(), 3).unwrap();
    let request = client.http.get(format!("http://localhost:{port}/"));
    let error = request.send().await.unwrap_err();
    assert!(refusal(&error).is_some(), "{error:?}");
    let error = failure("the provider", error);
    assert_eq!((error.code(), error.reason()), (Code::Upstream, "outbound_address_refused"));
    assert_eq!(count.load(Ordering::SeqCst), 0);
    let client = allowing(&["127.0.0.0/8", "::1/128"]).client(reqwest::Client::builder(), 3).unwrap();
    let answer = client.request(Method::GET, url(&format!("http://localhost:{port}/"))).unwrap().send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "ok");
}

#[tokio::test]
async fn every_redirect_is_checked() {
    let (target, reached) = server(|_| OK.to_owned()).await;
    // Allowed is 127.0.0.1 only; the redirect leads to another address of this machine.
    let (port, _) = server(|_| redirect_to(&format!("http://127.0.0.2:{target}/"))).await;
    let client = allowing(&["127.0.0.1/32"]).client(reqwest::Client::builder(), 3).unwrap();
    let get = |port: u16| client.request(Method::GET, url(&format!("http://127.0.0.1:{port}/"))).unwrap();
    let error = get(port).send().await.unwrap_err();
    assert!(refusal(&error).is_some_and(|refused| refused.to_string().contains("127.0.0.2")), "{error:?}");
    assert_eq!(reached.load(Ordering::SeqCst), 0);
    // To an allowed one it is followed, to another scheme it is not, and a loop ends.
    let (port, _) = server(|_| redirect_to(&format!("http://127.0.0.1:{target}/"))).await;
    assert_eq!(get(port).send().await.unwrap().text().await.unwrap(), "ok");
    let (port, looped) = server(|port| redirect_to(&format!("http://127.0.0.1:{port}/"))).await;
    assert!(refusal(&get(port).send().await.unwrap_err()).is_some());
    assert_eq!(looped.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn without_redirects_their_answer_is_the_answer() {
    let (port, _) = server(|port| redirect_to(&format!("http://127.0.0.1:{port}/again"))).await;
    let client = allowing(&["127.0.0.1/32"]).client(reqwest::Client::builder(), 0).unwrap();
    let answer = client.request(Method::GET, url(&format!("http://127.0.0.1:{port}/"))).unwrap().send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 302);
}

#[tokio::test]
async fn other_protocols_get_addresses_to_connect_to() {
    let error = guarded().resolve("localhost", 514).await.unwrap_err();
    assert_eq!(error.reason(), "outbound_address_refused");
    assert_eq!(guarded().resolve("192.168.7.7", 514).await.unwrap_err().reason(), "outbound_address_refused");
    let found = allowing(&["127.0.0.0/8"]).resolve("127.0.0.1", 514).await.unwrap();
    assert_eq!(found, ["127.0.0.1:514".parse::<SocketAddr>().unwrap()]);
}

#[tokio::test]
async fn what_fails_for_other_reasons_is_no_refusal() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let client = allowing(&["127.0.0.1/32"]).client(reqwest::Client::builder(), 0).unwrap();
    let request = client.request(Method::GET, url(&format!("http://127.0.0.1:{unused}/?token=hush"))).unwrap();
    let error = request.send().await.unwrap_err();
    assert!(refusal(&error).is_none());
    let error = failure("the identity provider", error);
    assert_eq!((error.code(), error.reason()), (Code::Upstream, "outbound_failed"));
    assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    assert!(refusal(&io::Error::other("something else")).is_none());
    assert!(client.request(Method::GET, url("http://10.0.0.1/")).is_err());
}
