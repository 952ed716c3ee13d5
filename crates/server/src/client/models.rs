use anyhow::Result;
use clap::Args;
use serde_json::Value;

use super::{
    ServerArgs,
    api::Api,
    printable, table,
    weights::{self, ModelsDirArgs},
};

/// `plasma models ls`
#[derive(Debug, Args)]
pub struct ModelsArgs {
    /// Only the weights in the models directory of this machine, those that were pulled included; needs no server
    #[arg(long)]
    local: bool,
    #[command(flatten)]
    place: ModelsDirArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// Lists the models.
///
/// # Errors
/// What the server or the connection says.
pub async fn models(arguments: ModelsArgs) -> Result<bool> {
    if arguments.local {
        return weights::list(&arguments.place, arguments.server.json);
    }
    let api = Api::new(&arguments.server)?;
    let models = api.list(&["api", "v1", "models"]).await?;
    if arguments.server.json {
        println!("{}", serde_json::to_string_pretty(&models)?);
        return Ok(true);
    }
    print_table(&models);
    Ok(true)
}

fn print_table(models: &[Value]) {
    let text = |model: &Value, name: &str| model.get(name).and_then(Value::as_str).map(printable).unwrap_or_default();
    let mut rows = vec![["MODEL", "KIND", "STATE", "SIZE", "LICENSE"].map(str::to_owned).to_vec()];
    for model in models {
        let size = match model.get("size_bytes").and_then(Value::as_u64) {
            Some(bytes) => format!("{} MB", bytes.div_ceil(1_000_000)),
            None => "-".to_owned(),
        };
        let license = match text(model, "license") {
            license if license.is_empty() => "-".to_owned(),
            license => license,
        };
        rows.push(vec![text(model, "id"), text(model, "kind"), text(model, "state"), size, license]);
    }
    print!("{}", table(&rows));
    for model in models {
        if let Some(remedy) = model.get("remedy").and_then(Value::as_str) {
            eprintln!("{}: {}", text(model, "id"), printable(remedy));
        }
    }
}
