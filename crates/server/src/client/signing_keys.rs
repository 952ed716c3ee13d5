use anyhow::{Context as _, Result};
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::{ServerArgs, api::Api, printable};

/// `plasma signing-keys rotate`
#[derive(Debug, Args)]
#[command(
    after_help = "A new key is made every 90 days by itself. It signs an hour after it was made, and the one before it is shown for a \
                  week longer."
)]
pub struct RotateSigningKeysArgs {
    /// A key was stolen: let the new one sign now, and take all others away; ID tokens that they signed are refused from then on
    #[arg(long)]
    at_once: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Makes a new key that signs ID tokens.
///
/// # Errors
/// What the server or the connection says.
pub async fn rotate_signing_keys(arguments: RotateSigningKeysArgs) -> Result<bool> {
    let api = Api::new(&arguments.server)?;
    let body = json!({ "at_once": arguments.at_once });
    let key: Value = api.json(Method::POST, &["api", "v1", "oauth", "signing-keys"], Some(&body)).await?;
    if arguments.server.json {
        println!("{}", serde_json::to_string_pretty(&key)?);
        return Ok(true);
    }
    let id = key.get("id").and_then(Value::as_str).map(printable).context("the answer holds no key")?;
    println!("the new key is {id}; it signs {}", if arguments.at_once { "from now on" } else { "in an hour" });
    Ok(true)
}
