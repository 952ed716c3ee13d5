//! Applications and the command line log in to the real program.

use std::{
    collections::HashSet,
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::harness::{EMAIL, PASSWORD, Place, Plasma, on_each_database, problem, program, success};

const VERIFIER: &str = "a-verifier-that-is-long-enough-for-the-specification";
const CALLBACK: &str = "https://app.example/callback";
/// Requests on their way at the same moment: each takes an open file here and in the server.
const AT_ONCE: usize = 250;

/// The owner's session.
pub async fn session(server: &Plasma) -> String {
    let login = json!({"email": EMAIL, "password": PASSWORD});
    let session = success(server.request(Method::POST, "/api/v1/auth/login").json(&login).send().await.unwrap()).await;
    session["token"].as_str().unwrap().to_owned()
}

/// An authorization request of an application, as its page sends it.
pub fn asked(client_id: &str, scope: &str) -> Value {
    json!({
        "response_type": "code", "client_id": client_id, "redirect_uri": CALLBACK, "scope": scope, "state": "s",
        "code_challenge": BASE64URL.encode(Sha256::digest(VERIFIER.as_bytes())), "code_challenge_method": "S256"
    })
}

/// Allows a request, and returns the address to which the browser goes.
pub async fn allow(server: &Plasma, session: &str, request: Value) -> url::Url {
    let path = "/api/v1/oauth/authorization-requests";
    let decision = json!({"request": request, "allow": true});
    let decided = server.request(Method::POST, path).bearer_auth(session).json(&decision).send().await.unwrap();
    success(decided).await["redirect_to"].as_str().unwrap().parse().unwrap()
}

fn carried(url: &url::Url, name: &str) -> String {
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned()).unwrap()
}

async fn form(server: &Plasma, path: &str, pairs: &[(&str, &str)]) -> Response {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let request = server.request(Method::POST, path).header("content-type", "application/x-www-form-urlencoded");
    request.body(body).send().await.unwrap()
}

/// A public application of the owner's workspace.
pub async fn application(server: &Plasma) -> String {
    let new = json!({
        "name": "Letters", "kind": "public", "redirect_uris": [CALLBACK], "scopes": ["content:read", "content:write"], "device": true
    });
    server.post("/api/v1/applications", new).await["id"].as_str().unwrap().to_owned()
}

async fn tokens(server: &Plasma, session: &str, client_id: &str, scope: &str) -> Value {
    let redirect = allow(server, session, asked(client_id, scope)).await;
    let code = carried(&redirect, "code");
    let pairs = [
        ("grant_type", "authorization_code"),
        ("client_id", client_id),
        ("code", code.as_str()),
        ("code_verifier", VERIFIER),
    ];
    success(form(server, "/oauth/token", &pairs).await).await
}

on_each_database! {
    async fn a_thousand_refreshes_at_once_leave_one_family_and_log_nobody_out(place: Place) {
        place.set("PLASMA_CONCURRENCY_MAX", "2000");
        let server = Arc::new(place.start());
        let session = session(&server).await;
        let client_id = application(&server).await;
        let first = tokens(&server, &session, &client_id, "offline_access content:read").await;
        let refresh_token = first["refresh_token"].as_str().unwrap().to_owned();
        let room = Arc::new(Semaphore::new(AT_ONCE));
        let clients: Vec<_> = (0..1_000)
            .map(|_| {
                let (server, room) = (Arc::clone(&server), Arc::clone(&room));
                let (client_id, refresh_token) = (client_id.clone(), refresh_token.clone());
                tokio::spawn(async move {
                    let _place = room.acquire().await.unwrap();
                    let pairs = [
                        ("grant_type", "refresh_token"),
                        ("client_id", client_id.as_str()),
                        ("refresh_token", refresh_token.as_str()),
                    ];
                    let answer = success(form(&server, "/oauth/token", &pairs).await).await;
                    (answer["access_token"].as_str().unwrap().to_owned(), answer["refresh_token"].as_str().unwrap().to_owned())
                })
            })
            .collect();
        let mut pairs = HashSet::new();
        for client in clients {
            pairs.insert(client.await.unwrap());
        }
        assert_eq!(pairs.len(), 1, "everybody got the same pair");
        let (access_token, refresh_token) = pairs.into_iter().next().unwrap();
        let me = server.request(Method::GET, "/api/v1/me").bearer_auth(&access_token).send().await.unwrap();
        assert_eq!(success(me).await["actor"]["kind"], "application");
        let path = "/api/v1/me/grants";
        let grants = success(server.request(Method::GET, path).bearer_auth(&session).send().await.unwrap()).await;
        assert_eq!(grants["data"][0]["authorizations"], 1, "{grants}");
        // Everybody can go on.
        let pairs = [("grant_type", "refresh_token"), ("client_id", client_id.as_str()), ("refresh_token", refresh_token.as_str())];
        success(form(&server, "/oauth/token", &pairs).await).await;
        let events = server.get("/api/v1/events?type=identity.application.*&limit=200").await;
        let reused = events["data"].as_array().unwrap().iter().filter(|event| event["type"] == "identity.application.token_reused");
        assert_eq!(reused.count(), 0);
    }

    async fn an_application_does_what_was_allowed_and_no_more(place: Place) {
        place.set("PLASMA_LOG_LEVEL", "trace");
        let server = place.start();
        let session = session(&server).await;
        let client_id = application(&server).await;
        let tokens = tokens(&server, &session, &client_id, "openid content:read").await;
        let access_token = tokens["access_token"].as_str().unwrap();
        let call = |method: Method, path: &str| server.request(method, path).bearer_auth(access_token);
        success(call(Method::GET, "/api/v1/content/documents").send().await.unwrap()).await;
        let refused = problem(call(Method::POST, "/api/v1/content/documents").json(&json!({"title": "A", "body": "B"})), 403).await;
        assert!(refused["detail"].as_str().unwrap().contains("content:write"), "{refused}");
        problem(call(Method::GET, "/api/v1/users"), 403).await;
        problem(call(Method::GET, "/api/v1/me/grants"), 403).await;
        problem(call(Method::POST, "/api/v1/oauth/authorization-requests").json(&json!({"request": asked(&client_id, "content:write"), "allow": true})), 403).await;
        let info = success(call(Method::GET, "/oauth/userinfo").send().await.unwrap()).await;
        assert!(info["sub"].as_str().unwrap().starts_with("usr_"));
        // A page of another site cannot decide for whoever is signed in.
        let path = "/api/v1/oauth/authorization-requests";
        let decision = json!({"request": asked(&client_id, "content:read"), "allow": true});
        let forged = server.request(Method::POST, path).header("cookie", format!("plasma_session={session}"));
        let forged = forged.header("sec-fetch-site", "cross-site").json(&decision);
        assert_eq!(problem(forged, 403).await["reason"], "cross_origin");
        let log = server.log();
        assert!(log.contains("/oauth/token"), "the log is not that of this test");
        for secret in [access_token, VERIFIER, session.as_str()] {
            assert!(!log.contains(secret), "a secret is in the log");
        }
        // The pages cannot be put into a frame.
        for path in ["/oauth/authorize/", "/device/"] {
            let page = server.request(Method::GET, path).send().await.unwrap();
            assert_eq!(page.status(), StatusCode::OK, "{path}");
            assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("frame-ancestors 'none'"), "{path}");
        }
    }
}

/// A machine on which somebody uses the command line.
struct Machine<'a> {
    server: &'a Plasma,
    folder: PathBuf,
}

impl<'a> Machine<'a> {
    fn new(server: &'a Plasma, folder: &Path) -> Self {
        Self { server, folder: folder.join("config") }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.args(arguments).env("PLASMA_URL", &self.server.url).env("XDG_CONFIG_HOME", &self.folder);
        command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
        command
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    /// Begins a login, and returns what it prints first.
    fn begin(&self, how: &str) -> (Child, BufReader<std::process::ChildStdout>, String) {
        let mut child = self.command(&["login", how]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut printed = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        printed.read_line(&mut line).unwrap();
        (child, printed, line)
    }

    fn file(&self) -> PathBuf {
        self.folder.join("plasma/credentials.json")
    }

    fn kept(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.file()).unwrap()).unwrap()
    }
}

fn end(mut child: Child, mut printed: BufReader<std::process::ChildStdout>) -> String {
    let mut text = String::new();
    std::io::Read::read_to_string(&mut printed, &mut text).unwrap();
    assert!(child.wait().unwrap().success(), "{text}");
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_logs_in_by_a_code() {
    let place = Place::sqlite();
    let server = place.start();
    let session = session(&server).await;
    let machine = Machine::new(&server, place.folder.path());
    let (code, _, said) = machine.run(&["models", "ls"]);
    assert!(code == 1 && said.contains("plasma login"), "{said}");

    let (child, printed, line) = machine.begin("--device");
    let user_code = line.trim().rsplit(' ').next().unwrap();
    assert!(line.contains("/device/"), "{line}");
    let decision = json!({"user_code": user_code, "allow": true});
    let path = "/api/v1/oauth/device-decisions";
    let decided = server.request(Method::POST, path).bearer_auth(&session).json(&decision).send().await.unwrap();
    assert_eq!(decided.status(), StatusCode::NO_CONTENT);
    let said = end(child, printed);
    assert!(said.contains(&format!("as Owner ({EMAIL})")), "{said}");
    assert_eq!(fs::metadata(machine.file()).unwrap().permissions().mode() & 0o777, 0o600);

    let (code, said, failed) = machine.run(&["models", "ls"]);
    assert!(code == 0 && said.contains("local/all-minilm-l6-v2"), "{failed}");
    // A key that is given goes first.
    let output = machine.command(&["models", "ls"]).env("PLASMA_API_KEY", "plk_wrong").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let (code, said, _) = machine.run(&["logout"]);
    assert!(code == 0 && said.contains("logged out"), "{said}");
    assert_eq!(machine.kept()["servers"], json!({}));
    assert_eq!(machine.run(&["models", "ls"]).0, 1);
    let grants = server.request(Method::GET, "/api/v1/me/grants").bearer_auth(&session).send().await.unwrap();
    assert_eq!(success(grants).await["data"][0]["authorizations"], 0, "the server has heard of it");
    assert_eq!(machine.run(&["logout"]).0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_logs_in_by_a_browser_and_renews_its_login() {
    let place = Place::sqlite();
    let server = place.start();
    let session = session(&server).await;
    let machine = Machine::new(&server, place.folder.path());
    let (child, printed, line) = machine.begin("--browser");
    let page: url::Url = line.trim().rsplit(' ').next().unwrap().parse().unwrap();
    assert_eq!(page.path(), "/oauth/authorize/");
    let request: Value = page.query_pairs().map(|(name, value)| (name.into_owned(), json!(value))).collect();
    let redirect = allow(&server, &session, request).await;
    assert_eq!(redirect.host_str(), Some("127.0.0.1"));
    let brought = reqwest::get(redirect).await.unwrap();
    assert_eq!(brought.status(), StatusCode::OK);
    let said = end(child, printed);
    assert!(said.contains(&format!("as Owner ({EMAIL})")), "{said}");

    // When the access token is due, commands renew it; two at the same moment too.
    let before = machine.kept()["servers"][&server.url]["access_token"].clone();
    let mut content = machine.kept();
    content["servers"][&server.url]["expires_at"] = json!(1);
    fs::write(machine.file(), content.to_string()).unwrap();
    let running: Vec<Child> = (0..2)
        .map(|_| machine.command(&["models", "ls"]).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap())
        .collect();
    for mut command in running {
        assert!(command.wait().unwrap().success());
    }
    let after = machine.kept();
    let renewed = &after["servers"][&server.url];
    assert_ne!(renewed["access_token"], before);
    assert!(renewed["expires_at"].as_i64().unwrap() > 1);
    // A login that was ended elsewhere says so.
    let grants = server.request(Method::GET, "/api/v1/me/grants").bearer_auth(&session).send().await.unwrap();
    let grant = success(grants).await["data"][0]["id"].as_str().unwrap().to_owned();
    let revoked = server.request(Method::DELETE, &format!("/api/v1/me/grants/{grant}")).bearer_auth(&session);
    assert_eq!(revoked.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    let (code, _, failed) = machine.run(&["models", "ls"]);
    assert!(code == 1 && failed.contains("plasma login"), "{failed}");
}
