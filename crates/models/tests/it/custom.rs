//! Weights on this machine as models of a workspace, and domains.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use plasma_kernel::{Code, Ctx, PageRequest, Permission, Permissions};
use plasma_models::{
    EmbedRequest, LocalModels, LocalSettings, Manifest, Model, ModelKind, ModelState, Models, NewCustomModel, NewModel,
    Price, Priority, Purpose, Rates, RouteSettings,
    manifest::{Precision, default_models_dir},
};
use plasma_store::Store;
use plasma_testkit::{on_each_database, system, tenant, with_permissions};
use serde_json::{Value, json};

use crate::{
    support::{Setup, config, ordered_route, serve},
    upstream::{Answer, whole_answer},
};

fn open(store: Store, models_dir: &Path, custom_dirs: Vec<PathBuf>) -> Models {
    let settings = LocalSettings { threads: 1, custom_dirs, ..LocalSettings::default() };
    let local = LocalModels::new(&Manifest::builtin().unwrap(), models_dir, &settings);
    Models::new(&system(), store, local, config()).unwrap()
}

fn new(name: &str, path: &str) -> NewCustomModel {
    NewCustomModel {
        name: name.to_owned(),
        path: path.to_owned(),
        domain: Some("legal".to_owned()),
        description: Some("Trained on contracts.".to_owned()),
        context_length: None,
        precision: None,
    }
}

/// A folder beside the weights of the manifest's embedding model, with links to them.
fn embedding_folder(folder: &Path) {
    let weights = std::env::var_os("PLASMA_MODELS_DIR").map(PathBuf::from).or_else(default_models_dir).unwrap();
    let weights = weights.join("local--all-minilm-l6-v2");
    assert!(
        weights.join("model.safetensors").exists(),
        "this test needs the weights of the local models: run `make models`"
    );
    fs::create_dir_all(folder).unwrap();
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        fs::copy(weights.join(file), folder.join(file)).unwrap();
    }
}

/// A GGUF header of a chat model with one tensor, and as many bytes of numbers.
fn gguf(template: bool, numbers: usize) -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    let text = |bytes: &mut Vec<u8>, text: &str| {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.as_bytes());
    };
    bytes.extend(3_u32.to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    let mut entries = vec![("general.architecture", "llama"), ("general.license", "mit")];
    if template {
        entries.push(("tokenizer.chat_template", "{{ messages }}"));
    }
    bytes.extend((entries.len() as u64 + 1).to_le_bytes());
    for (key, value) in entries {
        text(&mut bytes, key);
        bytes.extend(8_u32.to_le_bytes());
        text(&mut bytes, value);
    }
    text(&mut bytes, "llama.context_length");
    bytes.extend(4_u32.to_le_bytes());
    bytes.extend(8_192_u32.to_le_bytes());
    text(&mut bytes, "output.weight");
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(8_u64.to_le_bytes());
    bytes.extend(0_u32.to_le_bytes());
    bytes.extend(0_u64.to_le_bytes());
    bytes.resize(bytes.len().div_ceil(32) * 32 + numbers, 0);
    bytes
}

async fn ids(models: &Models, ctx: &Ctx, domain: Option<&str>) -> Vec<String> {
    models
        .models_of(ctx, domain, &PageRequest::default())
        .await
        .unwrap()
        .data
        .into_iter()
        .map(|model| model.id)
        .collect()
}

on_each_database! {
    async fn custom_embedding_models_embed_for_their_workspace_only(test: TestStore) {
        let folder = tempfile::tempdir().unwrap();
        embedding_folder(&folder.path().join("ours"));
        let models = open(test.store(), folder.path(), Vec::new());
        let ctx = tenant();
        let model = models.create_custom_model(&ctx, new("contracts", "ours")).await.unwrap();
        assert_eq!((model.id.as_str(), model.kind, model.state), ("local/contracts", ModelKind::Embedding, ModelState::Idle));
        assert_eq!((model.dimensions, model.context_length), (Some(384), Some(512)));
        assert_eq!((model.domain.as_deref(), model.description.as_deref()), (Some("legal"), Some("Trained on contracts.")));
        let embed = |ctx: Ctx, models: Models| async move {
            models.embed(&ctx, EmbedRequest {
                model: Some("local/contracts".to_owned()), inputs: vec!["the party of the first part".to_owned()],
                purpose: Purpose::Ingest, priority: Priority::Ordinary,
            }).await
        };
        let vectors = embed(ctx.clone(), models.clone()).await.unwrap().vectors;
        assert_eq!((vectors.len(), vectors[0].len()), (1, 384));
        assert!((vectors[0].iter().map(|number| number * number).sum::<f32>() - 1.0).abs() < 1e-3);
        assert_eq!(models.model(&ctx, "local/contracts").await.unwrap().state, ModelState::Ready);

        let stranger = tenant();
        assert_eq!(embed(stranger.clone(), models.clone()).await.unwrap_err().reason(), "model_not_found");
        assert!(!ids(&models, &stranger, None).await.contains(&"local/contracts".to_owned()));
        assert_eq!(models.delete_model(&stranger, "local/contracts").await.unwrap_err().code(), Code::NotFound);
        // Another process finds it in the database.
        let other = open(test.open_again().await, folder.path(), Vec::new());
        assert_eq!(embed(ctx.clone(), other.clone()).await.unwrap().vectors.len(), 1);
        models.delete_model(&ctx, "local/contracts").await.unwrap();
        assert_eq!(embed(ctx.clone(), models.clone()).await.unwrap_err().reason(), "model_not_found");
        assert!(folder.path().join("ours/model.safetensors").exists());
        models.shutdown().await;
        other.shutdown().await;
    }

    async fn precision_is_a_part_of_the_model(test: TestStore) {
        let folder = tempfile::tempdir().unwrap();
        embedding_folder(&folder.path().join("ours"));
        let models = open(test.store(), folder.path(), Vec::new());
        let ctx = tenant();
        let exact = models.create_custom_model(&ctx, new("exact", "ours")).await.unwrap();
        let wanted = NewCustomModel { precision: Some(Precision::Int8), ..new("quick", "ours") };
        let quick = models.create_custom_model(&ctx, wanted).await.unwrap();
        assert_eq!((exact.precision, quick.precision), (Some(Precision::F32), Some(Precision::Int8)));
        let mut vectors = Vec::new();
        for name in ["local/exact", "local/quick"] {
            let request = EmbedRequest {
                model: Some(name.to_owned()),
                inputs: vec!["the party of the first part".to_owned()],
                purpose: Purpose::Ingest,
                priority: Priority::Ordinary,
            };
            vectors.extend(models.embed(&ctx, request).await.unwrap().vectors);
        }
        let cosine: f32 = vectors[0].iter().zip(&vectors[1]).map(|(left, right)| left * right).sum();
        assert!(vectors[0] != vectors[1] && cosine >= 0.99, "{cosine}");
        models.shutdown().await;
    }

    async fn custom_models_are_only_weights_below_allowed_folders(test: TestStore) {
        let folder = tempfile::tempdir().unwrap();
        let (inside, allowed, outside) = (folder.path().join("models"), folder.path().join("allowed"), folder.path().join("outside"));
        for place in [&inside, &allowed, &outside] {
            fs::create_dir(place).unwrap();
            fs::write(place.join("chat.gguf"), gguf(true, 64)).unwrap();
        }
        fs::write(outside.join("secret.txt"), "marzipan").unwrap();
        symlink(outside.join("chat.gguf"), inside.join("link.gguf")).unwrap();
        symlink(&outside, inside.join("folder")).unwrap();
        let models = open(test.store(), &inside, vec![allowed.clone()]);
        let ctx = tenant();
        let model = models.create_custom_model(&ctx, new("one", "chat.gguf")).await.unwrap();
        assert_eq!((model.kind, model.context_length, model.license.as_deref()), (ModelKind::Chat, Some(4_096), Some("mit")));
        models.create_custom_model(&ctx, new("two", allowed.join("chat.gguf").to_str().unwrap())).await.unwrap();
        let refused = |path: String| {
            let (models, ctx) = (models.clone(), ctx.clone());
            async move {
                let error = models.create_custom_model(&ctx, new("three", &path)).await.unwrap_err();
                assert_eq!((error.code(), error.field_name()), (Code::Invalid, Some("path")), "{path}: {error}");
                error.message().to_owned()
            }
        };
        // What is outside looks as what does not exist.
        let absent = refused("no-such.gguf".to_owned()).await;
        let outside = outside.to_str().unwrap();
        for path in [
            "../outside/chat.gguf", "link.gguf", "folder/chat.gguf", "folder", "", ".", "/", "/etc/passwd",
            &format!("{outside}/chat.gguf"), &format!("{outside}/secret.txt"), &format!("{outside}/absent"),
            &format!("{}/../outside/chat.gguf", inside.display()),
        ] {
            assert_eq!(refused(path.to_owned()).await, absent, "{path}");
        }
    }

    async fn custom_weights_are_checked_before_they_are_used(test: TestStore) {
        let folder = tempfile::tempdir().unwrap();
        let models = open(test.store(), folder.path(), Vec::new());
        let ctx = tenant();
        let write = |name: &str, content: &[u8]| fs::write(folder.path().join(name), content).unwrap();
        write("text.gguf", b"{\"not\": \"weights\", \"but\": \"long enough for a header\"}");
        write("cut.gguf", &gguf(true, 64)[..150]);
        write("short.gguf", &gguf(true, 0));
        write("base.gguf", &gguf(false, 64));
        fs::create_dir(folder.path().join("empty")).unwrap();
        fs::create_dir(folder.path().join("other")).unwrap();
        write("other/config.json", br#"{"model_type": "gpt2", "hidden_size": 8, "max_position_embeddings": 8}"#);
        fs::create_dir(folder.path().join("leak")).unwrap();
        symlink("/etc/passwd", folder.path().join("leak/config.json")).unwrap();
        for (path, word) in [
            ("text.gguf", "text.gguf is not a GGUF file"),
            ("cut.gguf", "is cut off in its header"),
            ("short.gguf", "is cut off: its last tensor"),
            ("base.gguf", "has no chat template"),
            ("empty", "config.json is missing"),
            ("other", "its family is `gpt2`"),
            ("leak", "config.json is no file of this folder"),
        ] {
            let error = models.create_custom_model(&ctx, new("one", path)).await.unwrap_err();
            assert_eq!(error.field_name(), Some("path"), "{path}");
            assert!(error.message().contains(word) && !error.message().contains("root:"), "{path}: {error}");
        }
        write("chat.gguf", &gguf(true, 64));
        let error = models.create_custom_model(&ctx, NewCustomModel { context_length: Some(9_000), ..new("one", "chat.gguf") }).await.unwrap_err();
        assert_eq!(error.field_name(), Some("context_length"));
        for (wrong, field) in [
            (NewCustomModel { domain: Some("Legal!".to_owned()), ..new("one", "chat.gguf") }, "domain"),
            (NewCustomModel { description: Some("x".repeat(501)), ..new("one", "chat.gguf") }, "description"),
            (NewCustomModel { precision: Some(Precision::Int8), ..new("one", "chat.gguf") }, "precision"),
            (new("a/b", "chat.gguf"), "name"),
            (new("all-minilm-l6-v2", "chat.gguf"), "name"),
        ] {
            assert_eq!(models.create_custom_model(&ctx, wrong).await.unwrap_err().field_name(), Some(field));
        }
        models.create_custom_model(&ctx, new("one", "chat.gguf")).await.unwrap();
        assert_eq!(models.create_custom_model(&ctx, new("one", "chat.gguf")).await.unwrap_err().reason(), "model_exists");
        assert_eq!(models.set_price(&ctx, "local/one", None).await.unwrap_err().reason(), "model_is_local");
        // A file that changed afterwards is not loaded.
        let mut changed = gguf(true, 64);
        *changed.last_mut().unwrap() = 1;
        write("chat.gguf", &changed);
        let url = serve(&models, &ctx).await;
        let body = json!({ "model": "local/one", "messages": [{ "role": "user", "content": "hi" }] });
        let response = reqwest::Client::new().post(format!("{url}/v1/chat/completions")).json(&body).send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        // The engine is shared with whoever adds the same file, so that it knows no name.
        assert!(status == 503 && text.contains("chat.gguf of this model is damaged"), "{status}: {text}");
        fs::remove_file(folder.path().join("chat.gguf")).unwrap();
        assert_eq!(models.model(&ctx, "local/one").await.unwrap().state, ModelState::Missing);
        let reader = with_permissions(&ctx, Permissions::default().with(Permission::ModelsRead));
        assert_eq!(models.create_custom_model(&reader, new("two", "chat.gguf")).await.unwrap_err().code(), Code::Forbidden);
    }

    async fn custom_domains_are_listed_and_required_by_routes(test: TestStore) {
        let setup = Setup::new(test, Answer::json(whole_answer("Hello", 7, 2))).await;
        let (models, ctx) = (&setup.models, &setup.ctx);
        let tuned = NewModel {
            provider: setup.provider,
            name: "ft-contracts".to_owned(),
            upstream_name: Some("ft:large:acme::abc123".to_owned()),
            kind: ModelKind::Chat,
            context_length: None,
            dimensions: None,
            price: Some(Price { rates: Rates { input: Some(1), output: Some(1), ..Rates::default() }, ..Price::default() }),
            capabilities: None,
            domain: Some("legal".to_owned()),
            description: None,
        };
        let wrong = NewModel { domain: Some("two words".to_owned()), ..tuned.clone() };
        assert_eq!(models.create_model(ctx, wrong).await.unwrap_err().field_name(), Some("domain"));
        let model: Model = models.create_model(ctx, tuned).await.unwrap();
        assert_eq!(model.domain.as_deref(), Some("legal"));
        assert_eq!(ids(models, ctx, Some("legal")).await, ["acme/ft-contracts"]);
        assert!(ids(models, ctx, Some("medical")).await.is_empty());
        let (status, list) = setup.get("/api/v1/models?domain=legal").await;
        assert_eq!((status, list["data"][0]["id"].as_str(), list["data"][0]["domain"].as_str()), (200, Some("acme/ft-contracts"), Some("legal")));
        assert_eq!(setup.get("/api/v1/models?domain=Legal").await.0, 400);

        let settings = RouteSettings {
            requires_domain: Some("legal".to_owned()),
            ..ordered_route(&["acme/chat", "acme/ft-contracts"])
        };
        models.put_route(ctx, "law", settings.clone()).await.unwrap();
        let body = json!({ "model": "law", "messages": [{ "role": "user", "content": "hi" }] }).to_string();
        let response = setup.post("/v1/chat/completions", body.clone()).await;
        assert_eq!((response.status().as_u16(), response.headers()["plasma-model"].to_str().unwrap()), (200, "acme/ft-contracts"));
        let medical = RouteSettings { requires_domain: Some("medical".to_owned()), ..settings.clone() };
        models.put_route(ctx, "law", medical).await.unwrap();
        let response = setup.post("/v1/chat/completions", body).await;
        assert_eq!(response.status(), 503);
        let error: Value = response.json().await.unwrap();
        assert!(error["error"]["message"].as_str().unwrap().contains("not for the domain `medical`"), "{error}");
        let wrong = RouteSettings { requires_domain: Some("-".to_owned()), ..settings };
        assert_eq!(models.put_route(ctx, "law", wrong).await.unwrap_err().field_name(), Some("requires_domain"));
    }
}
