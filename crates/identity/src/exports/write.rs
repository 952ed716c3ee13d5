//! The background step that writes an archive. An attempt that ends early leaves nothing, and the next one begins anew.

use futures::StreamExt as _;
use plasma_kernel::{Code, Ctx, Error, ExportId, PageRequest, Result, Timestamp};
use plasma_store::{BlobInfo, TenantTable, Tx};
use plasma_workflows::Run;
use serde_json::json;

use super::{
    KEPT_MICROS,
    archive::Archive,
    contents::{Manifest, ManifestTable, Plan, without_secrets},
};
use crate::{ExportState, Identity, events, store};

const FORMAT: &str = "plasma-export/1";
/// Rows read at once.
const ROWS_PAGE: u32 = 500;
/// Text that goes to the archive together.
const TEXT_BYTES: usize = 64 * 1024;
/// Progress is written at most this often.
const PROGRESS_MICROS: i64 = 1_000_000;

pub(crate) async fn run(identity: &Identity, export: ExportId, run: &Run) -> Result<()> {
    let (ctx, store) = (run.ctx(), &identity.inner.store);
    let found = store::exports::find(&mut store.read(ctx).await?, export).await?;
    // Somebody deleted it, or an attempt before this one has ended it.
    let under_way = |state| matches!(state, ExportState::Queued | ExportState::Running);
    let Some(wanted) = found.filter(|export| under_way(export.state)) else { return Ok(()) };
    let plan = Plan::read(identity, ctx).await?;
    let archive = Archive::begin(store.blobs().writer(ctx, &wanted.blob).await?);
    let mut work = Work { identity, run, export, archive, done: 0, total: plan.total(), noted_at: Timestamp::MIN };
    let written = Box::pin(work.write(&plan)).await;
    let size_bytes = match written {
        // The archive knows why nothing more could be written.
        Err(error) if error.reason() != "export_given_up" => return Err(error),
        _ => work.archive.finish().await?,
    };
    let mut tx = store.begin(ctx).await?;
    if !store::exports::set_ready(&mut tx, export, size_bytes, ctx.now().saturating_add(KEPT_MICROS)).await? {
        drop(tx);
        return store.blobs().delete(ctx, &wanted.blob).await;
    }
    tx.emit(events::export_ready(export, size_bytes)).await?;
    run.complete(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Notes, in the transaction that gives the job up, that there will be no archive.
pub(crate) async fn fail(tx: &mut Tx, export: ExportId, error: &Error) -> Result<()> {
    store::exports::set_failed(tx, export, error).await?;
    tx.emit(events::export_failed(export, error.reason())).await.map(drop)
}

struct Work<'a> {
    identity: &'a Identity,
    run: &'a Run,
    export: ExportId,
    archive: Archive,
    done: u64,
    total: u64,
    noted_at: Timestamp,
}

impl Work<'_> {
    fn ctx(&self) -> &Ctx {
        self.run.ctx()
    }

    async fn write(&mut self, plan: &Plan) -> Result<()> {
        self.step(0).await?;
        self.tenant().await?;
        self.people().await?;
        let mut tables = Vec::new();
        for (table, _) in &plan.tables {
            tables.push(self.table(table).await?);
        }
        let mut files = 0;
        for file in &plan.files {
            files += u64::from(self.file(file).await?);
        }
        let tenant = self.ctx().tenant()?;
        let name = store::tenants::get(&mut self.identity.inner.store.read(self.ctx()).await?, tenant).await?.name;
        let manifest = Manifest { format: FORMAT, tenant, name, exported_at: self.ctx().now(), tables, files };
        self.archive.entry("manifest.json").await?;
        self.archive.write(to_json(&manifest)?).await
    }

    /// Counts what was written and says so now and then.
    async fn step(&mut self, more: u64) -> Result<()> {
        self.done += more;
        if self.run.cancellation().is_cancelled() {
            return Err(Run::interrupted());
        }
        let now = self.ctx().now();
        if now.saturating_sub(self.noted_at) < PROGRESS_MICROS {
            return Ok(());
        }
        self.noted_at = now;
        let (done, total) = (self.done.min(self.total), self.total);
        let mut tx = self.identity.inner.store.begin(self.ctx()).await?;
        store::exports::set_progress(&mut tx, self.export, done, total).await?;
        tx.commit().await?;
        self.run.progress(done, total).await
    }

    async fn tenant(&self) -> Result<()> {
        let tenant = self.ctx().tenant()?;
        let tenant = store::tenants::get(&mut self.identity.inner.store.read(self.ctx()).await?, tenant).await?;
        let text = to_json(&json!({
            "id": tenant.id, "name": tenant.name, "state": tenant.state, "plan": tenant.plan,
            "created_at": tenant.created_at, "delete_at": tenant.delete_at,
        }))?;
        self.archive.entry("tenant.json").await?;
        self.archive.write(text).await
    }

    /// People belong to the installation; of them the tenant's own are here, without what proves who they are.
    async fn people(&self) -> Result<()> {
        self.archive.entry("users.jsonl").await?;
        let mut page = PageRequest { limit: PageRequest::LIMIT_MAX, cursor: None };
        loop {
            let mut tx = self.identity.inner.store.read(self.ctx()).await?;
            let users = store::users::page(&mut tx, &page).await?;
            drop(tx);
            let mut text = String::new();
            for user in users.data {
                let line = json!({
                    "id": user.id, "email": user.email, "name": user.name, "role": user.role,
                    "disabled": user.disabled, "created_at": user.created_at, "last_login_at": user.last_login_at,
                });
                text.push_str(&line.to_string());
                text.push('\n');
            }
            self.archive.write(text).await?;
            if !users.has_more {
                return Ok(());
            }
            page.cursor = users.next_cursor;
        }
    }

    /// The rows are as they are when their page is read; a table is no snapshot of one moment.
    async fn table(&mut self, table: &TenantTable) -> Result<ManifestTable> {
        self.archive.entry(format!("tables/{}.jsonl", table.name())).await?;
        let (mut rows, mut left_out, mut after) = (0, Vec::new(), None);
        let mut text = String::new();
        loop {
            let mut tx = self.identity.inner.store.read(self.ctx()).await?;
            let page = tx.tenant_rows(table, after.as_ref(), ROWS_PAGE).await?;
            drop(tx);
            let read = page.rows.len() as u64;
            for row in page.rows {
                text.push_str(&to_json(&without_secrets(row, &mut left_out))?);
                text.push('\n');
                if text.len() >= TEXT_BYTES {
                    self.archive.write(std::mem::take(&mut text)).await?;
                }
            }
            rows += read;
            self.step(read).await?;
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        self.archive.write(text).await?;
        Ok(ManifestTable { name: table.name().to_owned(), rows, columns_left_out: left_out })
    }

    /// `false` when it was removed since the files were listed.
    async fn file(&mut self, file: &BlobInfo) -> Result<bool> {
        let mut pieces = match self.identity.inner.store.blobs().stream(self.ctx(), &file.name, 0).await {
            Ok(pieces) => pieces,
            Err(error) if error.code() == Code::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        self.archive.entry(format!("files/{}", file.name)).await?;
        while let Some(piece) = pieces.next().await {
            self.archive.write(piece?).await?;
            self.step(0).await?;
        }
        self.step(1).await?;
        Ok(true)
    }
}

fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::from_source("a row cannot be written as JSON", error))
}
