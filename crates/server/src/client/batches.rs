use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use reqwest::{
    Method, Response,
    multipart::{Form, Part},
};
use serde_json::{Value, json};

use super::{ServerArgs, api::Api, printable};

/// How often a batch is asked for.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
const UNEXPECTED: &str = "the server's answer is not what this version of plasma expects";

/// `plasma batches run`
#[derive(Debug, Args)]
#[command(
    after_help = "With --wait the answers go to standard output, one JSON line each; errors of lines go to standard error.\n\
                        With --json the batch itself is printed instead.\n\
                        Exit codes: 0 the batch was created, or with --wait every line has an answer; 1 anything else.\n\
                        Example: plasma batches run questions.jsonl --wait > answers.jsonl"
)]
pub struct RunBatchArgs {
    /// JSON lines: {"custom_id": …, "method": "POST", "url": the endpoint, "body": a request}
    file: PathBuf,
    /// What every line asks for
    #[arg(long, default_value = "/v1/chat/completions", value_parser = ["/v1/chat/completions", "/v1/responses", "/v1/embeddings"])]
    endpoint: String,
    /// Wait until the batch has ended
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Uploads the file and creates a batch of it; with `--wait` also waits and prints the results.
///
/// # Errors
/// What the server or the connection says.
pub async fn run_batch(arguments: RunBatchArgs) -> Result<bool> {
    let api = Api::new(&arguments.server)?;
    let file = upload(&api, &arguments).await?;
    let body = json!({"input_file_id": file, "endpoint": arguments.endpoint, "completion_window": "24h"});
    let mut batch: Value = api.json(Method::POST, &["v1", "batches"], Some(&body)).await?;
    let id = text(&batch, "id").context(UNEXPECTED)?;
    if !arguments.wait {
        show(&arguments, &batch)?;
        return Ok(true);
    }
    while !matches!(text(&batch, "status").as_deref(), Some("completed" | "failed" | "expired" | "cancelled")) {
        tokio::time::sleep(POLL_INTERVAL).await;
        batch = api.json(Method::GET, &["v1", "batches", &id], None).await?;
    }
    if arguments.server.json {
        show(&arguments, &batch)?;
    } else {
        for error in batch.pointer("/errors/data").and_then(Value::as_array).into_iter().flatten() {
            eprintln!("{}", printable(&text(error, "message").unwrap_or_default()));
        }
        if let Some(errors) = text(&batch, "error_file_id") {
            copy(content(&api, &errors).await?, &mut std::io::stderr().lock()).await?;
        }
        if let Some(output) = text(&batch, "output_file_id") {
            copy(content(&api, &output).await?, &mut std::io::stdout().lock()).await?;
        }
    }
    let failed = batch.pointer("/request_counts/failed").and_then(Value::as_u64);
    Ok(text(&batch, "status").as_deref() == Some("completed") && failed == Some(0))
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn show(arguments: &RunBatchArgs, batch: &Value) -> Result<()> {
    if arguments.server.json {
        println!("{}", serde_json::to_string_pretty(batch)?);
    } else {
        println!("{}", printable(&text(batch, "id").unwrap_or_default()));
    }
    Ok(())
}

/// The id of the file.
async fn upload(api: &Api, arguments: &RunBatchArgs) -> Result<String> {
    let path = &arguments.file;
    let size = tokio::fs::metadata(path).await.with_context(|| format!("cannot read {}", path.display()))?.len();
    if size > 200_000_000 {
        bail!("{} has {size} bytes; a batch's file has at most 200 MB", path.display());
    }
    let bytes =
        bytes::Bytes::from(tokio::fs::read(path).await.with_context(|| format!("cannot read {}", path.display()))?);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let response = api
        .send(|api| {
            let part = Part::stream_with_length(bytes.clone(), bytes.len() as u64).file_name(name.clone());
            let form = Form::new().text("purpose", "batch").part("file", part);
            Ok(api.request(Method::POST, &["v1", "files"])?.multipart(form))
        })
        .await?;
    let file: Value = response.json().await.context(UNEXPECTED)?;
    text(&file, "id").context(UNEXPECTED)
}

async fn content(api: &Api, file: &str) -> Result<Response> {
    api.send(|api| api.request(Method::GET, &["v1", "files", file, "content"])).await
}

/// Writes a body as it comes. JSON escapes control characters, so that it is safe for a terminal.
async fn copy(mut response: Response, to: &mut impl std::io::Write) -> Result<()> {
    while let Some(piece) = response.chunk().await.context("the connection broke")? {
        to.write_all(&piece)?;
    }
    to.flush().context("cannot write")
}
