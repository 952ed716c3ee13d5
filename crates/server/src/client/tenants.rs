use std::{
    fs::{self, File},
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{ServerArgs, api::Api, printable, table};

/// How often a copy that is being made is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// `plasma tenants …`
#[derive(Debug, Args)]
pub struct TenantsArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the workspaces that you may see: id, name, state, plan
    Ls {
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Make a workspace with its first owner
    Create(CreateArgs),
    /// Close a workspace: only its owners get in, to take their data out
    Suspend {
        /// The workspace's id (ten_…)
        id: String,
        /// Why, in words for its people
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Open a suspended workspace again
    Resume {
        /// The workspace's id (ten_…)
        id: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Make a copy of all that the API key's workspace has, and fetch it as a ZIP archive
    Export {
        /// Where to [default: the copy's id with .zip]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        server: ServerArgs,
    },
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// What people call the workspace
    name: String,
    /// The e-mail of its first owner, new to the installation
    #[arg(long)]
    owner_email: String,
    /// What to call them
    #[arg(long)]
    owner_name: String,
    /// Their first password; prefer the variable, a flag is seen by other users
    #[arg(long, env = "PLASMA_TENANT_OWNER_PASSWORD", hide_env_values = true)]
    owner_password: String,
    #[command(flatten)]
    server: ServerArgs,
}

/// Lists, makes, closes and copies workspaces.
///
/// # Errors
/// What the server, the connection or the disk says.
pub async fn tenants(arguments: TenantsArgs) -> Result<bool> {
    match arguments.verb {
        Verb::Ls { server } => list(&Api::new(&server)?, server.json).await?,
        Verb::Create(arguments) => create(arguments).await?,
        Verb::Suspend { id, reason, server } => {
            let path = ["api", "v1", "tenants", &id, "suspend"];
            let body = json!({ "reason": reason });
            let tenant = Api::new(&server)?.json(Method::POST, &path, Some(&body)).await?;
            say(&tenant, server.json)?;
        }
        Verb::Resume { id, server } => {
            let path = ["api", "v1", "tenants", &id, "resume"];
            let tenant = Api::new(&server)?.json(Method::POST, &path, None).await?;
            say(&tenant, server.json)?;
        }
        Verb::Export { output, server } => return export(&Api::new(&server)?, output, server.json).await,
    }
    Ok(true)
}

async fn list(api: &Api, as_json: bool) -> Result<()> {
    let tenants = api.list(&["api", "v1", "tenants"]).await?;
    if as_json {
        println!("{}", serde_json::to_string_pretty(&tenants)?);
        return Ok(());
    }
    let mut rows = vec![["ID", "NAME", "STATE", "PLAN"].map(str::to_owned).to_vec()];
    rows.extend(tenants.iter().map(|tenant| ["id", "name", "state", "plan"].map(|name| text(tenant, name)).to_vec()));
    print!("{}", table(&rows));
    Ok(())
}

async fn create(arguments: CreateArgs) -> Result<()> {
    let CreateArgs { name, owner_email, owner_name, owner_password, server } = arguments;
    let owner = json!({ "email": owner_email, "name": owner_name, "password": owner_password });
    let body = json!({ "name": name, "owner": owner });
    let tenant = Api::new(&server)?.json(Method::POST, &["api", "v1", "tenants"], Some(&body)).await?;
    say(&tenant, server.json)
}

/// One workspace in a line.
fn say(tenant: &Value, as_json: bool) -> Result<()> {
    if as_json {
        println!("{}", serde_json::to_string_pretty(tenant)?);
    } else {
        println!("{}  {}  {}", text(tenant, "id"), text(tenant, "name"), text(tenant, "state"));
    }
    Ok(())
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).map(printable).unwrap_or_default()
}

async fn export(api: &Api, output: Option<PathBuf>, as_json: bool) -> Result<bool> {
    const EXPORTS: [&str; 4] = ["api", "v1", "tenants", "current"];
    let path = |more: &[&'static str]| [EXPORTS.as_slice(), &["exports"], more].concat();
    if let Some(output) = output.as_deref().filter(|output| output.exists()) {
        bail!("{} exists already: name another file with --output", output.display());
    }
    let mut export: Value = api.json(Method::POST, &path(&[]), None).await?;
    let id = text(&export, "id");
    while matches!(text(&export, "state").as_str(), "queued" | "running") {
        tell_progress(&export);
        tokio::time::sleep(LOOK_INTERVAL).await;
        let one = [path(&[]).as_slice(), &[id.as_str()]].concat();
        export = api.json(Method::GET, &one, None).await?;
    }
    if text(&export, "state") != "ready" {
        let why = export.pointer("/error/detail").and_then(Value::as_str).map(printable).unwrap_or_default();
        bail!("the copy could not be made: {why}");
    }
    let output = output.unwrap_or_else(|| PathBuf::from(format!("{id}.zip")));
    let content = [path(&[]).as_slice(), &[id.as_str(), "content"]].concat();
    let bytes = fetch(api, &content, &output).await?;
    if as_json {
        println!("{}", serde_json::to_string_pretty(&export)?);
    } else {
        println!("{} ({bytes} bytes)", output.display());
    }
    Ok(true)
}

fn tell_progress(export: &Value) {
    let number = |name: &str| export.get(name).and_then(Value::as_u64).unwrap_or(0);
    if std::io::stderr().is_terminal() {
        eprint!("\r{} of {} rows and files", number("done"), number("total"));
    }
}

/// Writes beside the file first, so that a connection that breaks leaves no half of an archive under its name.
async fn fetch(api: &Api, path: &[&str], output: &Path) -> Result<u64> {
    let mut name = output.file_name().ok_or_else(|| anyhow!("--output must name a file"))?.to_owned();
    name.push(".part");
    let unfinished = output.with_file_name(name);
    let failed = || format!("cannot write {}", unfinished.display());
    let mut response = api.send(|api| api.request(Method::GET, path)).await?;
    let mut file = File::create(&unfinished).with_context(failed)?;
    let mut bytes = 0;
    while let Some(piece) = response.chunk().await.context("the connection broke; run it again")? {
        file.write_all(&piece).with_context(failed)?;
        bytes += piece.len() as u64;
    }
    file.sync_all().with_context(failed)?;
    fs::rename(&unfinished, output).with_context(|| format!("cannot write {}", output.display()))?;
    Ok(bytes)
}
