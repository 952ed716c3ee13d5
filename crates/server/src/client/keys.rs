//! `plasma keys …`: the keys that seal secrets.

use anyhow::Result;
use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::{ServerArgs, api::Api, printable, table};

/// What every `plasma keys` command takes.
#[derive(Debug, Args)]
pub struct KeysArgs {
    #[command(flatten)]
    server: ServerArgs,
}

fn text(value: &Value, name: &str) -> String {
    match value.get(name) {
        Some(Value::String(text)) => printable(text),
        Some(Value::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    }
}

fn rows<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// Which master keys wrap how many data keys, and how far rotations are.
///
/// # Errors
/// What the server or the connection says.
pub async fn keys_status(arguments: KeysArgs) -> Result<bool> {
    let api = Api::new(&arguments.server)?;
    let status: Value = api.json(Method::GET, &["api", "v1", "installation", "encryption"], None).await?;
    if arguments.server.json {
        println!("{}", serde_json::to_string_pretty(&status)?);
        return Ok(true);
    }
    let mut lines = vec![["MASTER KEY", "WHERE", "CURRENT", "DATA KEYS"].map(str::to_owned).to_vec()];
    for key in rows(&status, "/master_keys") {
        let current = if key.get("current") == Some(&Value::Bool(true)) { "yes" } else { "no" };
        lines.push(vec![text(key, "key"), text(key, "place"), current.to_owned(), text(key, "data_keys")]);
    }
    print!("{}", table(&lines));
    if let Some(problem) = status.get("problem").and_then(Value::as_str) {
        eprintln!("{}", printable(problem));
    }
    for rotation in rows(&status, "/own/rotations").take(1) {
        println!(
            "installation's data key {}: {}, {} of {}",
            text(rotation, "version"),
            text(rotation, "state"),
            text(rotation, "done"),
            text(rotation, "total")
        );
    }
    Ok(true)
}

/// Gives the API key's workspace a new data key.
///
/// # Errors
/// What the server or the connection says.
pub async fn rotate_data_key(arguments: KeysArgs) -> Result<bool> {
    let api = Api::new(&arguments.server)?;
    let rotation: Value = api.json(Method::POST, &["api", "v1", "encryption", "rotate"], None).await?;
    if arguments.server.json {
        println!("{}", serde_json::to_string_pretty(&rotation)?);
    } else {
        println!(
            "data key {} seals from now on; what the old one sealed is being sealed again",
            text(&rotation, "version")
        );
    }
    Ok(true)
}

/// Makes a new master key, and has every data key wrapped with it.
///
/// # Errors
/// What the server or the connection says.
pub async fn rotate_master_key(arguments: KeysArgs) -> Result<bool> {
    post(&arguments, "rotate-master-key").await?;
    println!(
        "there is a new master key, and data keys are being wrapped with it: `plasma keys status` shows how many are left"
    );
    println!(
        "save the key file anew; the old key in it is needed for backups from before, until `plasma keys forget-old`"
    );
    Ok(true)
}

/// Has every data key wrapped with the current master key.
///
/// # Errors
/// What the server or the connection says.
pub async fn rewrap_keys(arguments: KeysArgs) -> Result<bool> {
    post(&arguments, "rewrap").await?;
    println!("data keys are being wrapped with the current master key: `plasma keys status` shows how many are left");
    Ok(true)
}

/// Removes master keys that wrap nothing any more.
///
/// # Errors
/// What the server or the connection says.
pub async fn forget_old_keys(arguments: KeysArgs) -> Result<bool> {
    let api = Api::new(&arguments.server)?;
    let path = ["api", "v1", "installation", "encryption", "forget-old-master-keys"];
    let answer: Value = api.json(Method::POST, &path, None).await?;
    let forgotten: Vec<&Value> = rows(&answer, "/forgotten").collect();
    if arguments.server.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
    } else if forgotten.is_empty() {
        println!("no master key was removed: there is no older one, or each still wraps data keys");
    } else {
        println!("removed {} master keys; backups from their time cannot be used any more", forgotten.len());
    }
    Ok(true)
}

async fn post(arguments: &KeysArgs, verb: &str) -> Result<()> {
    let api = Api::new(&arguments.server)?;
    let path = ["api", "v1", "installation", "encryption", verb];
    api.send(|api| api.request(Method::POST, &path)).await.map(drop)
}
