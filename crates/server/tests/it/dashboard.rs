//! The dashboard's files, or the word that they are missing.

use reqwest::{Method, header};

use crate::harness::{Place, problem};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dashboard_is_served_with_its_policy() {
    let server = Place::sqlite().start();
    let exported = "../../apps/web/out/index.html";
    if !std::path::Path::new(exported).exists() {
        // Built without `make web`: it says so, and the API works.
        let told = problem(server.request(Method::GET, "/"), 503).await;
        assert!(told["remedy"].as_str().unwrap().contains("make web"), "{told}");
        return;
    }
    let page = server.request(Method::GET, "/").send().await.unwrap();
    assert_eq!(
        (page.status().as_u16(), page.headers()[header::CONTENT_TYPE].to_str().unwrap()),
        (200, "text/html; charset=utf-8")
    );
    assert_eq!(page.headers()[header::CACHE_CONTROL], "no-cache");
    let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("'unsafe-eval'"), "{policy}");
    let script_policy = policy.split("; ").find(|part| part.starts_with("script-src")).unwrap();
    assert!(!script_policy.contains("unsafe-inline"), "{policy}");
    assert!(!policy.contains("unsafe-") && policy.contains("default-src 'none'"), "{policy}");
    assert!(policy.split("; ").any(|part| part == "style-src 'self'"), "{policy}");
    let host = server.url.strip_prefix("http://").unwrap();
    assert!(policy.ends_with(&format!("connect-src 'self' ws://{host} wss://{host}")), "{policy}");
    let etag = page.headers()[header::ETAG].clone();
    let html = page.text().await.unwrap();
    let known = server.request(Method::GET, "/").header(header::IF_NONE_MATCH, etag).send().await.unwrap();
    assert_eq!(known.status(), 304);
    // A script that the page names may be kept for ever.
    let script =
        html.split("src=\"").filter_map(|rest| rest.split('"').next()).find(|path| path.starts_with("/_next/static/"));
    let script =
        server.request(Method::GET, script.unwrap()).header(header::ACCEPT_ENCODING, "br").send().await.unwrap();
    assert_eq!(script.status(), 200);
    assert!(script.headers()[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
    assert!(script.headers()[header::CONTENT_TYPE].to_str().unwrap().contains("javascript"));
    assert_eq!(script.headers()[header::CONTENT_ENCODING], "br");
    let login = server.request(Method::GET, "/login/").send().await.unwrap();
    assert_eq!(login.status(), 200);
    let missing = server.request(Method::GET, "/no/such/page").send().await.unwrap();
    assert_eq!(
        (missing.status().as_u16(), missing.headers()[header::CONTENT_TYPE].to_str().unwrap()),
        (404, "text/html; charset=utf-8")
    );
    problem(server.request(Method::POST, "/login/").header("origin", &server.url), 405).await;
    let escape = server.request(Method::GET, "/..%2f..%2fCargo.toml").send().await.unwrap();
    assert_eq!(escape.status(), 404);
}
