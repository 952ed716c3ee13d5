//! Deliveries to other systems: in order, at least once, with what goes wrong told.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, atomic::AtomicU16, atomic::Ordering},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
};
use plasma_governance::{
    Bucket, Log, NewSink, ObjectLock, Sink, SinkChange, SinkTarget, SyslogTransport,
    note::{self, PublicKey},
    verify::Anchor,
};
use plasma_kernel::{Clock, PageRequest, Permission, Permissions, Role};
use plasma_testkit::{TestStore, on_each_database, with_permissions};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    net::{TcpListener, UdpSocket},
};

use crate::support::World;

const SECRET: &str = "a secret that is long enough";

/// A request that the other side got.
#[derive(Clone, Debug)]
struct Got {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: String,
}

/// The other side of a sink that speaks HTTP.
#[derive(Clone, Default)]
struct Receiver {
    got: Arc<Mutex<Vec<Got>>>,
    /// What it answers; 0 means 200.
    status: Arc<AtomicU16>,
}

impl Receiver {
    async fn start() -> (Self, SocketAddr) {
        let receiver = Self::default();
        let router = Router::new().fallback(take).with_state(receiver.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (receiver, address)
    }

    fn answers(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

async fn take(
    State(receiver): State<Receiver>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let body = String::from_utf8(body.to_vec()).unwrap();
    receiver.got.lock().unwrap().push(Got { method, path: uri.path().to_owned(), headers, body });
    match receiver.status.load(Ordering::SeqCst) {
        0 => (StatusCode::OK, ""),
        status => (StatusCode::from_u16(status).unwrap(), "the disk is full"),
    }
}

async fn make(world: &World, target: SinkTarget, secret: Option<&str>, from_leaf: Option<u64>) -> Sink {
    let new = NewSink { name: "sink".to_owned(), target, secret: secret.map(str::to_owned), from_leaf };
    world.governance.create_sink(&world.owner, Log::Workspace, new).await.unwrap()
}

async fn state(world: &World, sink: &Sink) -> Sink {
    world.governance.sink(&world.owner, Log::Workspace, sink.id).await.unwrap()
}

fn bucket(address: SocketAddr) -> Bucket {
    Bucket {
        endpoint: format!("http://{address}"),
        region: "us-east-1".to_owned(),
        name: "audit".to_owned(),
        prefix: "plasma".to_owned(),
        access_key_id: "AKIA".to_owned(),
    }
}

/// Subjects of records in lines of JSON.
fn subjects(lines: &str) -> Vec<String> {
    let subject = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["record"]["subject"].as_str().unwrap().to_owned()
    };
    lines.lines().map(subject).collect()
}

/// Reads syslog messages with their lengths in front.
async fn frames(mut stream: impl AsyncRead + Unpin) -> Vec<String> {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let mut rest = text.as_str();
    let mut messages = Vec::new();
    while let Some((length, after)) = rest.split_once(' ') {
        let (message, after) = after.split_at(length.parse().unwrap());
        messages.push(message.to_owned());
        rest = after;
    }
    messages
}

on_each_database! {
    async fn a_webhook_gets_signed_checkpoints(test: TestStore) {
        let world = World::new(&test).await;
        let (receiver, address) = Receiver::start().await;
        let sink = make(&world, SinkTarget::AnchorWebhook { url: format!("http://{address}/hook") }, Some(SECRET), None).await;
        assert_eq!(world.governance.deliver_due().await.unwrap(), 0, "there is no checkpoint yet");
        world.fill(3).await;
        assert_eq!(world.governance.deliver_due().await.unwrap(), 1);
        assert_eq!(world.governance.deliver_due().await.unwrap(), 0);
        let got = receiver.got().remove(0);
        let body: Value = serde_json::from_str(&got.body).unwrap();
        let key = PublicKey::parse(&world.governance.key(&world.owner, Log::Workspace).unwrap().public_key).unwrap();
        let signed = note::open(body["note"].as_str().unwrap(), &key).unwrap();
        assert_eq!((signed.size, body["size"].as_u64()), (state(&world, &sink).await.next_leaf, Some(signed.size)));
        let signature = got.headers["plasma-signature"].to_str().unwrap();
        let seconds = world.clock.now() / 1_000_000;
        let mac_key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET.as_bytes());
        let mac = aws_lc_rs::hmac::sign(&mac_key, format!("{seconds}.{}", got.body).as_bytes());
        let mac: String = mac.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(signature, format!("t={seconds},v1={mac}"));
    }

    async fn what_fails_is_told_and_tried_again_until_it_is_taken(test: TestStore) {
        let world = World::new(&test).await;
        world.fill(2).await;
        let (receiver, address) = Receiver::start().await;
        receiver.answers(507);
        let sink = make(&world, SinkTarget::S3 { bucket: bucket(address) }, Some("secret"), Some(0)).await;
        assert_eq!(world.governance.deliver_due().await.unwrap(), 1);
        let failed = state(&world, &sink).await;
        assert_eq!((failed.failures, failed.next_leaf, failed.delivered_at), (1, 0, None));
        assert!(failed.error.as_ref().unwrap().contains("507") && failed.error.unwrap().contains("the disk is full"));
        // Not before its time.
        assert_eq!(world.governance.deliver_due().await.unwrap(), 0);
        world.clock.advance(Duration::from_secs(3));
        assert_eq!(world.governance.deliver_due().await.unwrap(), 1);
        assert_eq!(state(&world, &sink).await.failures, 2);
        receiver.answers(200);
        world.clock.advance(Duration::from_secs(600));
        assert_eq!(world.governance.deliver_due().await.unwrap(), 1);
        let delivered = state(&world, &sink).await;
        assert_eq!((delivered.failures, delivered.error, delivered.delivered_at), (0, None, Some(world.clock.now())));
        // A process that starts anew goes on where this one was.
        let other = world.other_process(&test).await;
        world.fill(3).await;
        while other.deliver_due().await.unwrap() > 0 {}
        let bodies: Vec<String> = receiver.got().split_off(2).into_iter().map(|got| got.body).collect();
        let sent: Vec<String> = bodies.iter().flat_map(|body| subjects(body)).filter(|name| name.starts_with("thing")).collect();
        assert_eq!(sent, ["thing_0", "thing_1", "thing_0", "thing_1", "thing_2"]);
    }

    async fn objects_are_signed_and_locked(test: TestStore) {
        let world = World::new(&test).await;
        world.fill(5).await;
        let (receiver, address) = Receiver::start().await;
        let target = SinkTarget::AnchorS3 { bucket: bucket(address), lock: ObjectLock::Compliance, retain_days: 400 };
        let sink = make(&world, target, Some("secret"), None).await;
        let tested = world.governance.test_sink(&world.owner, Log::Workspace, sink.id).await.unwrap();
        assert!(tested.ok, "{tested:?}");
        let got = receiver.got().remove(0);
        assert_eq!(got.method, Method::PUT);
        let size = got.path.rsplit('/').next().unwrap();
        assert_eq!(got.path, format!("/audit/plasma/{}/{size}", world.tenant()));
        assert_eq!(size, format!("{:020}.checkpoint", 5));
        assert_eq!(got.headers["x-amz-object-lock-mode"], "COMPLIANCE");
        assert!(got.headers["x-amz-object-lock-retain-until-date"].to_str().unwrap().starts_with("2028-"));
        let authorization = got.headers["authorization"].to_str().unwrap();
        assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIA/"), "{authorization}");
        for signed in ["host", "x-amz-checksum-sha256", "x-amz-content-sha256", "x-amz-object-lock-mode"] {
            assert!(authorization.contains(signed), "{signed} in {authorization}");
        }
        assert_eq!(got.body, world.newest_note().await);
    }

    async fn a_file_anchor_grows_and_is_read_back(test: TestStore) {
        let world = World::new(&test).await;
        let sink = make(&world, SinkTarget::AnchorFile {}, None, None).await;
        for _ in 0..2 {
            world.fill(4).await;
            assert_eq!(world.governance.deliver_due().await.unwrap(), 1);
        }
        let file = test.data_dir().join("anchors").join(format!("audit-{}-{}.jsonl", world.tenant(), sink.id));
        let text = std::fs::read_to_string(file).unwrap();
        let anchors = Anchor::read_all("file", &text).unwrap();
        assert_eq!(anchors.len(), 2);
        let report = world.verify(&[&anchors[0].note, &anchors[1].note]).await;
        assert!(report.intact && report.anchors == 2, "{report:#?}");
    }

    async fn a_collector_gets_logs_by_otlp(test: TestStore) {
        let world = World::new(&test).await;
        let (receiver, address) = Receiver::start().await;
        let target = SinkTarget::Otlp { endpoint: format!("http://{address}/") };
        make(&world, target, Some("Bearer x"), Some(0)).await;
        world.fill(2).await;
        assert_eq!(world.governance.deliver_due().await.unwrap(), 1);
        let got = receiver.got().remove(0);
        assert_eq!((got.path.as_str(), got.headers["authorization"].to_str().unwrap()), ("/v1/logs", "Bearer x"));
        let body: Value = serde_json::from_str(&got.body).unwrap();
        let records = body["resourceLogs"][0]["scopeLogs"][0]["logRecords"].as_array().unwrap();
        let made = records.iter().find(|record| record["eventName"] == "test.thing.made").unwrap();
        assert_eq!(made["timeUnixNano"], format!("{}000", world.clock.now()));
        let attributes = made["attributes"].as_array().unwrap();
        let address = json!({"key": "client.address", "value": {"stringValue": "203.0.113.7"}});
        assert!(attributes.contains(&address), "{made:#}");
    }

    async fn a_collector_gets_syslog_by_tcp_udp_and_tls(test: TestStore) {
        let world = World::new(&test).await;
        world.fill(3).await;
        let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tls = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let target = |host: &str, port, transport, ca_pem| SinkTarget::Syslog { host: host.to_owned(), port, transport, ca_pem };
        let ca = Some(certified.cert.pem());
        for (name, target) in [
            ("tcp", target("127.0.0.1", tcp.local_addr().unwrap().port(), SyslogTransport::Tcp, None)),
            ("udp", target("127.0.0.1", udp.local_addr().unwrap().port(), SyslogTransport::Udp, None)),
            ("tls", target("localhost", tls.local_addr().unwrap().port(), SyslogTransport::Tls, ca)),
        ] {
            let new = NewSink { name: name.to_owned(), target, secret: None, from_leaf: Some(0) };
            world.governance.create_sink(&world.owner, Log::Workspace, new).await.unwrap();
        }
        let by_tcp = tokio::spawn(async move { frames(tcp.accept().await.unwrap().0).await });
        let acceptor = tls_acceptor(&certified);
        let by_tls = tokio::spawn(async move {
            let stream = acceptor.accept(tls.accept().await.unwrap().0).await.unwrap();
            frames(stream).await
        });
        assert_eq!(world.governance.deliver_due().await.unwrap(), 3);
        let sinks = world.governance.sinks(&world.owner, Log::Workspace, &PageRequest::default()).await.unwrap().data;
        assert!(sinks.iter().all(|sink| sink.error.is_none() && sink.next_leaf == 3), "{sinks:#?}");
        let mut datagram = vec![0; 65_536];
        let length = udp.recv(&mut datagram).await.unwrap();
        let datagram = String::from_utf8(datagram[..length].to_vec()).unwrap();
        let by_tcp = by_tcp.await.unwrap();
        assert_eq!((by_tcp.len(), &by_tcp[0]), (3, &datagram));
        assert_eq!(by_tls.await.unwrap(), by_tcp);
        assert!(datagram.starts_with("<110>1 2027-") && datagram.contains("subject=\"thing_0\""), "{datagram}");
    }

    async fn whoever_manages_only_a_workspace_reaches_public_addresses_only(test: TestStore) {
        let world = World::new(&test).await;
        world.fill(1).await;
        let manager = with_permissions(&world.owner, Role::Owner.permissions());
        let refused = async |target: SinkTarget| {
            let secret = matches!(target, SinkTarget::AnchorWebhook { .. }).then(|| SECRET.to_owned());
            let new = NewSink { name: "a".to_owned(), target, secret, from_leaf: None };
            world.governance.create_sink(&manager, Log::Workspace, new).await.unwrap_err().reason()
        };
        let webhook = |url: &str| SinkTarget::AnchorWebhook { url: url.to_owned() };
        assert_eq!(refused(SinkTarget::AnchorFile {}).await, "forbidden");
        assert_eq!(refused(webhook("https://169.254.169.254/latest")).await, "outbound_address_refused");
        assert_eq!(refused(webhook("https://localhost:8443/")).await, "outbound_address_refused");
        assert_eq!(refused(webhook("http://hooks.example.com/")).await, "invalid");
        let new = NewSink {
            name: "name".to_owned(),
            target: webhook("https://hooks.example.com/"),
            secret: Some(SECRET.to_owned()),
            from_leaf: None,
        };
        let sink = world.governance.create_sink(&manager, Log::Workspace, new).await.unwrap();
        let reader = with_permissions(&world.owner, Permissions::none().with(Permission::AuditRead));
        let sinks = world.governance.sinks(&reader, Log::Workspace, &PageRequest::default()).await.unwrap();
        assert_eq!(sinks.data.len(), 1);
        let deleted = world.governance.delete_sink(&reader, Log::Workspace, sink.id).await.unwrap_err();
        assert_eq!(deleted.reason(), "forbidden");
        let foreign = world.governance.delete_sink(&world.stranger(), Log::Workspace, sink.id).await.unwrap_err();
        assert_eq!(foreign.reason(), "audit_sink_not_found");
    }

    async fn a_stored_secret_goes_to_no_other_place_and_is_never_shown(test: TestStore) {
        let world = World::new(&test).await;
        let target = |port| SinkTarget::AnchorWebhook { url: format!("http://127.0.0.1:{port}/") };
        let sink = make(&world, target(1), Some(SECRET), None).await;
        let governance = &world.governance;
        let change = async |change| governance.change_sink(&world.owner, Log::Workspace, sink.id, change).await;
        let moved = SinkChange { target: Some(target(2)), ..SinkChange::default() };
        assert_eq!(change(moved.clone()).await.unwrap_err().field_name(), Some("secret"));
        let with_secret = SinkChange { secret: Some("another secret, also long".to_owned()), ..moved };
        assert_eq!(change(with_secret).await.unwrap().target, target(2));
        let kind = SinkChange { target: Some(SinkTarget::AnchorFile {}), ..SinkChange::default() };
        assert_eq!(change(kind).await.unwrap_err().field_name(), Some("target.kind"));
        let off = SinkChange { enabled: Some(false), ..SinkChange::default() };
        assert!(!change(off).await.unwrap().enabled);
        world.fill(1).await;
        assert_eq!(governance.deliver_due().await.unwrap(), 0, "it is switched off");
        let same = NewSink { name: "sink".to_owned(), target: SinkTarget::AnchorFile {}, secret: None, from_leaf: None };
        let taken = governance.create_sink(&world.owner, Log::Workspace, same).await.unwrap_err();
        assert_eq!(taken.reason(), "audit_sink_exists");
        let mut tx = world.store.read(&world.system()).await.unwrap();
        for sql in ["SELECT data AS text FROM events", "SELECT target AS text FROM audit_sinks"] {
            for row in tx.fetch_all(sql, []).await.unwrap() {
                let text: String = row.get("text").unwrap();
                assert!(!text.contains("secret that") && !text.contains("another secret"), "{text}");
            }
        }
    }
}

/// `make test-audit-s3` starts the store and runs this.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the S3 store that `make test-audit-s3` starts"]
async fn a_real_store_takes_records_and_keeps_locked_checkpoints() {
    let endpoint = std::env::var("PLASMA_TEST_S3_URL").expect("run `make test-audit-s3`");
    let test = TestStore::sqlite().await;
    // The store refuses signatures of another time than its own.
    let world = World::on(&test, Clock::system()).await;
    world.fill(3).await;
    let http = reqwest::Client::new();
    let name = format!("audit-{}", world.clock.now());
    let created = http.put(format!("{endpoint}/{name}")).header("x-amz-bucket-object-lock-enabled", "true");
    assert!(created.send().await.unwrap().status().is_success());
    let bucket = Bucket {
        endpoint: endpoint.clone(),
        region: "us-east-1".to_owned(),
        name: name.clone(),
        prefix: "plasma".to_owned(),
        access_key_id: "AKIATEST".to_owned(),
    };
    let target = SinkTarget::AnchorS3 { bucket: bucket.clone(), lock: ObjectLock::Compliance, retain_days: 2 };
    let wrong = make(&world, target.clone(), Some("another secret"), None).await;
    let refused = world.governance.test_sink(&world.owner, Log::Workspace, wrong.id).await.unwrap();
    assert!(!refused.ok && refused.error.as_ref().unwrap().contains("403"), "{refused:?}");
    world.governance.delete_sink(&world.owner, Log::Workspace, wrong.id).await.unwrap();
    let anchor = make(&world, target, Some("a-secret-for-tests"), None).await;
    let tested = world.governance.test_sink(&world.owner, Log::Workspace, anchor.id).await.unwrap();
    assert!(tested.ok, "{tested:?}");
    let object = format!("{endpoint}/{name}/plasma/{}/{:020}.checkpoint", world.tenant(), 3);
    let kept = http.get(&object).send().await.unwrap();
    let version = kept.headers()["x-amz-version-id"].to_str().unwrap().to_owned();
    assert_eq!(kept.text().await.unwrap(), world.newest_note().await);
    let deleted = http.delete(format!("{object}?versionId={version}")).send().await.unwrap();
    assert_eq!(deleted.status(), 403, "the store let go of a locked checkpoint");
    let records = NewSink {
        name: "records".to_owned(),
        target: SinkTarget::S3 { bucket },
        secret: Some("a-secret-for-tests".to_owned()),
        from_leaf: Some(0),
    };
    world.governance.create_sink(&world.owner, Log::Workspace, records).await.unwrap();
    assert!(world.governance.deliver_due().await.unwrap() > 0);
    let object = format!("{endpoint}/{name}/plasma/{}/{:020}-{:020}.jsonl", world.tenant(), 0, 2);
    let lines = http.get(&object).send().await.unwrap().text().await.unwrap();
    assert_eq!(subjects(&lines), ["thing_0", "thing_1", "thing_2"]);
}

fn tls_acceptor(certified: &rcgen::CertifiedKey<rcgen::KeyPair>) -> tokio_rustls::TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key.into())
        .unwrap();
    tokio_rustls::TlsAcceptor::from(Arc::new(config))
}
