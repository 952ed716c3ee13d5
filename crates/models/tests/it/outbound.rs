//! Where addresses may lead that somebody enters: an administrator of a workspace must not reach the server's own network by a provider.

use std::path::Path;

use plasma_http::outbound::Outbound;
use plasma_kernel::{Code, Ctx, Error, Permission, Permissions};
use plasma_models::{
    LocalModels, LocalSettings, Manifest, ModelKind, Models, NewProvider, ProviderChange, ProviderKind,
};
use plasma_testkit::{TestStore, on_each_database, system, with_permissions};
use serde_json::json;

use crate::{
    support::{Setup, add_model, add_provider, config},
    upstream::{Answer, Upstream, whole_answer},
};

/// The same workspace's administrator, who does not manage the installation.
fn administrator(ctx: &Ctx) -> Ctx {
    let permissions = Permission::ALL.iter().copied().filter(|one| *one != Permission::InstallationManage);
    with_permissions(ctx, permissions.collect::<Permissions>())
}

fn provider(name: &str, base_url: &str) -> NewProvider {
    NewProvider {
        name: name.to_owned(),
        kind: ProviderKind::Openai,
        base_url: base_url.to_owned(),
        api_key: None,
        options: Default::default(),
    }
}

fn moved(base_url: &str) -> ProviderChange {
    ProviderChange { base_url: Some(base_url.to_owned()), api_key: Some(None), ..ProviderChange::default() }
}

fn assert_refused(error: &Error) {
    assert_eq!((error.code(), error.reason()), (Code::Invalid, "outbound_address_refused"), "{error:?}");
    assert_eq!(error.field_name(), Some("base_url"));
    assert!(error.remedy_text().unwrap().contains("outbound_allowed_networks"));
}

on_each_database! {
    async fn only_who_manages_the_installation_enters_private_addresses(test: TestStore) {
        let setup = Setup::new(test, Answer::json(whole_answer("Hello", 1, 1))).await;
        let (models, ctx) = (&setup.models, administrator(&setup.ctx));
        assert!(models.provider(&ctx, setup.provider).await.unwrap().unguarded);
        for private in ["http://127.0.0.1:1/v1", "http://localhost/v1", "http://[::ffff:10.0.0.1]/v1", "http://169.254.169.254"] {
            assert_refused(&models.create_provider(&ctx, provider("inside", private)).await.unwrap_err());
            assert_refused(&models.change_provider(&ctx, setup.provider, moved(private)).await.unwrap_err());
        }
        let public = models.create_provider(&ctx, provider("public", "https://api.example.com/v1")).await.unwrap();
        assert!(!public.unguarded);
        // What was entered by who may is used by everybody, and stays so until another enters another address.
        let hello = r#"{"model":"acme/chat","messages":[]}"#;
        assert_eq!(setup.post("/v1/chat/completions", hello).await.status(), 200);
        let renamed_key = ProviderChange { api_key: Some(Some("another".to_owned())), ..ProviderChange::default() };
        assert!(models.change_provider(&ctx, setup.provider, renamed_key).await.unwrap().unguarded);
        let elsewhere = models.change_provider(&ctx, setup.provider, moved("https://api.example.com/v1")).await.unwrap();
        assert!(!elsewhere.unguarded);
        assert!(models.change_provider(&setup.ctx, public.id, moved("http://10.0.0.1/v1")).await.unwrap().unguarded);
    }

    async fn an_address_that_turns_out_to_be_private_is_not_called(test: TestStore) {
        let setup = Setup::new(test, Answer::json(whole_answer("Hello", 1, 1))).await;
        // As if an administrator had entered a name that later leads here.
        let mut tx = setup.test.begin(&setup.ctx).await.unwrap();
        let update = "UPDATE model_providers SET unguarded = 0 WHERE tenant_id = $1";
        tx.execute(update, [setup.ctx.tenant().unwrap().into()]).await.unwrap();
        tx.commit().await.unwrap();
        let response = setup.post("/v1/chat/completions", r#"{"model":"acme/chat","messages":[]}"#).await;
        assert_eq!(response.status(), 502);
        let body: serde_json::Value = response.json().await.unwrap();
        assert_eq!(body["error"]["code"], json!("outbound_address_refused"), "{body}");
        let test = setup.models.test_provider(&setup.ctx, setup.provider).await.unwrap();
        assert!(test.error.unwrap().contains("outbound_allowed_networks"));
        assert!(setup.upstream.seen().is_empty());
    }
}

#[tokio::test]
async fn allowed_networks_are_open_to_administrators() {
    let test = TestStore::sqlite().await;
    let local =
        LocalModels::new(&Manifest::builtin().unwrap(), Path::new("/nonexistent/models"), &LocalSettings::default());
    let outbound = Outbound::guarded(vec!["127.0.0.1/32".parse().unwrap()]);
    let models = Models::with_outbound(&system(), test.store(), local, config(), &outbound).unwrap();
    let ctx = administrator(&plasma_testkit::tenant());
    let upstream = Upstream::start(Answer::json(json!({ "object": "list", "data": [{ "id": "a" }] }))).await;
    let id = add_provider(&models, &ctx, "acme", &upstream.url).await;
    add_model(&models, &ctx, id, "chat", ModelKind::Chat).await;
    let tried = models.test_provider(&ctx, id).await.unwrap();
    assert_eq!((tried.error, tried.models), (None, vec!["a".to_owned()]));
    assert!(!models.provider(&ctx, id).await.unwrap().unguarded);
    assert_refused(&models.create_provider(&ctx, provider("other", "http://127.0.0.2/v1")).await.unwrap_err());
}
