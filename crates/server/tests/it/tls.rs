//! HTTPS by the program itself, seen by clients that others wrote.

use std::time::{Duration, Instant};

use futures::{SinkExt as _, StreamExt as _};
use reqwest::{Method, StatusCode, Version};
use rustls::{
    NamedGroup, ProtocolVersion,
    version::{TLS12, TLS13},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};
use x509_parser::parse_x509_certificate;

use crate::{
    certificates::{Authority, client_of},
    harness::{EMAIL, KEY, PASSWORD, PATIENCE, Place, Plasma},
};

const BILLING: &str = "spiffe://example.org/billing";

/// A place whose server shows a certificate of `authority`.
fn secured(authority: &Authority) -> Place {
    let mut place = Place::sqlite();
    let folder = place.folder.path().to_owned();
    authority.server("first.example").write(&folder);
    place.set("PLASMA_TLS_CERTIFICATE_FILE", folder.join("tls.pem").to_str().unwrap());
    place.set("PLASMA_TLS_KEY_FILE", folder.join("tls.key").to_str().unwrap());
    place
}

/// The same, trusting services of `authority`.
fn with_services(place: &mut Place, authority: &Authority) {
    let file = place.folder.path().join("clients.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    place.set("PLASMA_TLS_CLIENT_CA_FILE", file.to_str().unwrap());
}

fn port(server: &Plasma) -> u16 {
    server.url.rsplit_once(':').unwrap().1.parse().unwrap()
}

fn at(server: &Plasma, path: &str) -> String {
    format!("https://localhost:{}{path}", port(server))
}

async fn status(client: &reqwest::Client, server: &Plasma, path: &str) -> StatusCode {
    client.get(at(server, path)).send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browsers_and_programs_are_served_by_https() {
    let authority = Authority::new("servers");
    let server = secured(&authority).start();
    assert!(server.url.starts_with("https://"), "{}", server.url);
    let client = authority.client(None, port(&server));
    let health = client.get(at(&server, "/healthz")).send().await.unwrap();
    assert_eq!((health.status(), health.version()), (StatusCode::OK, Version::HTTP_2));
    assert_eq!(health.headers()["strict-transport-security"], "max-age=31536000");
    // Cookies are for HTTPS only without anybody having said so, and over HTTP/2 the page's own origin is known too.
    let login = json!({"email": EMAIL, "password": PASSWORD});
    let answer = client.post(at(&server, "/api/v1/auth/login")).json(&login).send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("; Secure"), "{cookie}");
    let create = |origin: &str| {
        let request = client.post(at(&server, "/api/v1/collections")).json(&json!({"name": "c"}));
        request.header("cookie", cookie.split(';').next().unwrap()).header("origin", origin).send()
    };
    assert_eq!(create("https://evil.example").await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(create(&at(&server, "")).await.unwrap().status(), StatusCode::CREATED);
    // Many requests of one connection at once.
    let all = (0..50).map(|_| client.get(at(&server, "/api/v1/collections")).bearer_auth(KEY).send());
    for answer in futures::future::join_all(all).await {
        let answer = answer.unwrap();
        assert_eq!((answer.status(), answer.version()), (StatusCode::OK, Version::HTTP_2));
        assert_eq!(answer.json::<Value>().await.unwrap()["data"][0]["name"], "c");
    }
    assert!(server.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_exchanged_so_that_a_quantum_computer_does_not_help() {
    let authority = Authority::new("servers");
    let server = secured(&authority).start();
    let stream = authority.connect(port(&server), &[&TLS13], None).await.unwrap();
    let (_, session) = stream.get_ref();
    assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    let group = session.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
    let client = authority.client(None, port(&server));
    let metrics = client.get(at(&server, "/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("plasma_tls_handshakes_total{version=\"TLSv1_3\",group=\"X25519MLKEM768\"}"), "{metrics}");
    assert!(metrics.contains("plasma_tls_certificate_expiry_seconds"));
    // The program's own commands trust whom they are told to.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    let listed = |ca_file: Option<&str>| {
        let mut command = crate::harness::program();
        command.args(["models", "ls"]).current_dir(folder.path());
        command.env("PLASMA_URL", at(&server, "")).env("PLASMA_API_KEY", KEY);
        if let Some(file) = ca_file {
            command.env("PLASMA_CA_FILE", file);
        }
        command.output().unwrap().status.success()
    };
    assert!(listed(Some("ca.pem")) && !listed(None) && !listed(Some("absent.pem")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_tls_is_refused_unless_it_is_allowed() {
    let authority = Authority::new("servers");
    let mut place = secured(&authority);
    let server = place.start();
    let error = authority.connect(port(&server), &[&TLS12], None).await.unwrap_err();
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
    drop(server);
    place.set("PLASMA_TLS_MIN_VERSION", "1.2");
    let server = place.start();
    let stream = authority.connect(port(&server), &[&TLS12], None).await.unwrap();
    assert_eq!(stream.get_ref().1.protocol_version(), Some(ProtocolVersion::TLSv1_2));
    let stream = authority.connect(port(&server), &[&TLS13, &TLS12], None).await.unwrap();
    assert_eq!(stream.get_ref().1.protocol_version(), Some(ProtocolVersion::TLSv1_3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_do_not_speak_tls_do_no_harm() {
    let authority = Authority::new("servers");
    let server = secured(&authority).start();
    let mut plain = TcpStream::connect(("127.0.0.1", port(&server))).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let _ = plain.read_to_string(&mut answer).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("https"), "{answer}");
    // A hundred that begin a handshake and say no more.
    let mut silent = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(("127.0.0.1", port(&server))).await.unwrap();
        stream.write_all(b"\x16\x03\x01\x02\x00\x01").await.unwrap();
        silent.push(stream);
    }
    assert_eq!(status(&authority.client(None, port(&server)), &server, "/healthz").await, StatusCode::OK);
    let gone = tokio::time::timeout(Duration::from_secs(20), silent[0].read_to_end(&mut Vec::new())).await;
    assert!(gone.is_ok(), "a silent client was kept");
    let mut nonsense = TcpStream::connect(("127.0.0.1", port(&server))).await.unwrap();
    nonsense.write_all(&[0x16; 300]).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(5), nonsense.read_to_end(&mut Vec::new())).await;
    assert!(ended.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_goes_through_tls() {
    let authority = Authority::new("servers");
    let server = secured(&authority).start();
    let stream = authority.connect(port(&server), &[&TLS13], None).await.unwrap();
    let mut request = format!("wss://localhost:{}/api/v1/live", port(&server)).into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {KEY}").parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    let subscribe = json!({"type": "subscribe", "topics": ["events.*"], "after": null}).to_string();
    socket.send(Message::text(subscribe)).await.unwrap();
    let ready = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
    let Message::Text(ready) = ready else { panic!("{ready:?}") };
    assert!(ready.contains("ready"), "{ready}");
}

/// The name that tells the server's certificates apart.
async fn shown_name(authority: &Authority, port: u16) -> Option<String> {
    let stream = authority.connect(port, &[&TLS13], None).await.ok()?;
    let chain = stream.get_ref().1.peer_certificates()?.to_vec();
    let (_, certificate) = parse_x509_certificate(&chain[0]).unwrap();
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    names.value.general_names.iter().map(ToString::to_string).find(|name| name.contains("example"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_certificate_is_shown_without_a_restart() {
    let authority = Authority::new("servers");
    let place = secured(&authority);
    let server = place.start();
    let shown = async || shown_name(&authority, port(&server)).await.unwrap();
    assert!(shown().await.contains("first.example"));
    // An open connection goes on while the certificate changes.
    let client = authority.client(None, port(&server));
    assert_eq!(status(&client, &server, "/healthz").await, StatusCode::OK);
    authority.server("second.example").write(place.folder.path());
    let begun = Instant::now();
    while !shown().await.contains("second.example") {
        assert!(begun.elapsed() < Duration::from_secs(30), "the old certificate is still shown");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(status(&client, &server, "/healthz").await, StatusCode::OK);
    // What is broken is not used, and told.
    std::fs::write(place.folder.path().join("tls.pem"), "nonsense").unwrap();
    let begun = Instant::now();
    while !server.log().contains("the old ones stay") {
        assert!(begun.elapsed() < Duration::from_secs(30), "{}", server.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(shown().await.contains("second.example"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_gets_in_by_its_certificate() {
    let (servers, services, foreign) =
        (Authority::new("servers"), Authority::new("services"), Authority::new("foreign"));
    let mut place = secured(&servers);
    with_services(&mut place, &services);
    let server = place.start();
    let billing = services.service(BILLING, 2090);
    let (nobody, service) = (servers.client(None, port(&server)), servers.client(Some(&billing), port(&server)));
    // A good certificate alone opens nothing.
    let refused = service.get(at(&server, "/api/v1/me")).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(refused.json::<Value>().await.unwrap()["reason"], "service_unknown");
    assert_eq!(status(&nobody, &server, "/api/v1/me").await, StatusCode::UNAUTHORIZED);
    let owner = |method: Method, path: &str| nobody.request(method, at(&server, path)).bearer_auth(KEY);
    let key = owner(Method::POST, "/api/v1/api-keys").json(&json!({"name": "billing", "role": "service"}));
    let key: Value = key.send().await.unwrap().json().await.unwrap();
    let mapped =
        owner(Method::POST, "/api/v1/service-identities").json(&json!({"spiffe_id": BILLING, "api_key": key["id"]}));
    let mapped = mapped.send().await.unwrap();
    assert_eq!(mapped.status(), StatusCode::CREATED);
    let mapped: Value = mapped.json().await.unwrap();
    // Within five seconds, for that it is unknown was remembered; in this process at once.
    let me = service.get(at(&server, "/api/v1/me")).send().await.unwrap();
    assert_eq!(me.status(), StatusCode::OK);
    let me: Value = me.json().await.unwrap();
    assert_eq!((me["actor"]["name"].as_str(), me["role"].as_str()), (Some("billing"), Some("service")), "{me}");
    // It may do what its key may, and no more.
    assert_eq!(status(&service, &server, "/api/v1/users").await, StatusCode::FORBIDDEN);
    let create = service.post(at(&server, "/api/v1/collections")).json(&json!({"name": "bills"}));
    assert_eq!(create.send().await.unwrap().status(), StatusCode::CREATED);
    // A browser that has such a certificate is not tricked by another site.
    let forged = service.post(at(&server, "/api/v1/collections")).json(&json!({"name": "forged"}));
    let forged = forged.header("origin", "https://evil.example").send().await.unwrap();
    assert_eq!(forged.status(), StatusCode::FORBIDDEN);
    // Its token, if it sends one, counts.
    let as_owner = service.get(at(&server, "/api/v1/me")).bearer_auth(KEY).send().await.unwrap();
    assert_eq!(as_owner.json::<Value>().await.unwrap()["role"], "owner");
    // Certificates that nobody trusts, or that have ended, do not get a connection.
    for bad in [foreign.service(BILLING, 2090), services.service(BILLING, 2021)] {
        let refused = servers.client(Some(&bad), port(&server)).get(at(&server, "/healthz")).send().await;
        assert!(refused.is_err(), "{refused:?}");
    }
    let delete = format!("/api/v1/service-identities/{}", mapped["id"].as_str().unwrap());
    assert_eq!(owner(Method::DELETE, &delete).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(status(&service, &server, "/api/v1/me").await, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_certificates_are_required_nobody_else_connects() {
    let (servers, services) = (Authority::new("servers"), Authority::new("services"));
    let mut place = secured(&servers);
    with_services(&mut place, &services);
    place.set("PLASMA_TLS_CLIENT_CERTIFICATES", "required");
    let server = place.start();
    let without = servers.client(None, port(&server)).get(at(&server, "/healthz")).send().await;
    assert!(without.is_err(), "{without:?}");
    // Somebody trusted that is no service still sends a token.
    let person = services.service("https://example.org/person", 2090);
    let person = servers.client(Some(&person), port(&server));
    assert_eq!(status(&person, &server, "/api/v1/me").await, StatusCode::UNAUTHORIZED);
    let me = person.get(at(&server, "/api/v1/me")).bearer_auth(KEY).send().await.unwrap();
    assert_eq!(me.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_http_is_sent_to_https() {
    let authority = Authority::new("servers");
    let mut place = secured(&authority);
    // A free port, which nobody else takes in the meantime as a rule.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    place.set("PLASMA_HTTP_REDIRECT_LISTEN", &free.to_string());
    let server = place.start();
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let redirected = client.get(format!("http://{free}/knowledge/?id=1")).send().await.unwrap();
    assert_eq!(redirected.status(), StatusCode::PERMANENT_REDIRECT);
    assert_eq!(redirected.headers()["location"], format!("https://127.0.0.1:{}/knowledge/?id=1", port(&server)));
    let login =
        client.post(format!("http://{free}/api/v1/auth/login")).json(&json!({"email": EMAIL, "password": PASSWORD}));
    assert_eq!(login.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let unknown = client.get(format!("http://{free}/.well-known/acme-challenge/nothing")).send().await.unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    assert!(server.stop().success());
}

#[test]
fn wrong_certificates_stop_the_start_and_are_named() {
    let authority = Authority::new("servers");
    let place = secured(&authority);
    std::fs::write(place.folder.path().join("tls.key"), authority.server("other.example").key).unwrap();
    let output = crate::harness::program()
        .args(["serve", "--data-dir", place.setup.data_dir.to_str().unwrap()])
        .envs(&place.setup.settings)
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("tls_certificate_file") && errors.contains("belong together"), "{errors}");
}

/// Of the test's OpenBao, which is a certificate authority that speaks ACME. It looks for proofs at port 80 or 443 of this machine:
/// where the test may not have these ports, `None`.
async fn acme(place: &mut Place, listen: &str) -> Option<String> {
    if std::net::TcpListener::bind(listen).is_err() {
        eprintln!("skipped: {listen}, where the authority looks, cannot be listened on here");
        return None;
    }
    let variable = |name: &str| {
        std::env::var(name).unwrap_or_else(|_| {
            panic!("{name} is not set: run the tests with `make test`, or `scripts/openbao.sh start` first")
        })
    };
    let (directory, ca_file) = (variable("PLASMA_TEST_ACME"), variable("PLASMA_TEST_ACME_CA"));
    place.set("PLASMA_ACME_DOMAINS", "localhost");
    place.set("PLASMA_ACME_CONTACT", "owner@example.com");
    place.set("PLASMA_ACME_DIRECTORY_URL", &directory);
    place.set("PLASMA_ACME_CA_FILE", &ca_file);
    // The certificate of the authority itself.
    let trusted = reqwest::Certificate::from_pem_bundle(&std::fs::read(ca_file).unwrap()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only(trusted).build().unwrap();
    let url = directory.replace("/acme/directory", "/ca/pem");
    Some(client.get(url).send().await.unwrap().text().await.unwrap())
}

async fn serves_with_a_certificate_of(authority: &str, server: &Plasma) {
    let begun = Instant::now();
    loop {
        let answer = client_of(authority, None, port(server)).get(at(server, "/healthz")).send().await;
        if answer.is_ok_and(|answer| answer.status() == StatusCode::OK) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "no certificate came: {}", server.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_fetched_from_an_authority_by_http() {
    let mut place = Place::sqlite();
    let Some(authority) = acme(&mut place, "127.0.0.1:80").await else { return };
    place.set("PLASMA_HTTP_REDIRECT_LISTEN", "127.0.0.1:80");
    let server = place.start();
    serves_with_a_certificate_of(&authority, &server).await;
    for name in ["account.json", "certificate.pem"] {
        use std::os::unix::fs::PermissionsExt as _;
        let kept = std::fs::metadata(place.setup.data_dir.join("acme").join(name)).unwrap();
        assert_eq!(kept.permissions().mode() & 0o777, 0o600, "{name}");
    }
    assert!(server.stop().success());
    // The next start shows it at once, without asking the authority.
    place.set("PLASMA_ACME_DIRECTORY_URL", "https://127.0.0.1:1/directory");
    let server = place.start();
    let answer = client_of(&authority, None, port(&server)).get(at(&server, "/healthz")).send().await;
    assert_eq!(answer.unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_fetched_from_an_authority_within_tls() {
    let mut place = Place::sqlite();
    let Some(authority) = acme(&mut place, "127.0.0.1:443").await else { return };
    place.set("PLASMA_LISTEN", "127.0.0.1:443");
    let server = place.start();
    serves_with_a_certificate_of(&authority, &server).await;
}
