//! temporary
#![allow(clippy::unwrap_used)]
use axum::{extract::Request, middleware::Next, response::Response};
use plasma_models::{http, local::LocalModels, LocalSettings, Manifest, Models, ModelsConfig, manifest};
use plasma_testkit::{TestStore, system, tenant};
#[tokio::main]
async fn main() {
    let test = TestStore::sqlite().await;
    let local = LocalModels::new(&Manifest::builtin().unwrap(), &manifest::default_models_dir().unwrap(), &LocalSettings::default());
    let models = Models::new(&system(), test.store(), local, ModelsConfig::default()).unwrap();
    let ctx = tenant();
    let (router, _) = http::routes().split_for_parts();
    let app = router.with_state(models.clone()).layer(axum::middleware::from_fn(move |mut request: Request, next: Next| {
        let ctx = ctx.clone();
        async move {
            if request.headers().get("authorization").is_some_and(|value| value == "Bearer plk_test") {
                request.extensions_mut().insert(ctx);
            }
            let answer: Response = next.run(request).await;
            answer
        }
    }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:18099").await.unwrap();
    axum::serve(listener, app).with_graceful_shutdown(async { tokio::time::sleep(std::time::Duration::from_secs(900)).await }).await.unwrap();
}
