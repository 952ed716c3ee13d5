//! Files in OpenAI's format.

use axum::{
    body::Body,
    extract::{
        FromRequest as _, Multipart, Request, State,
        multipart::{Field, MultipartError},
    },
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use plasma_http::{Json, OpenAiProblem, PageQuery, Path, Query, attachment};
use plasma_kernel::{Ctx, Error, FileId, Page, Result};
use serde::{Deserialize, Serialize};

use super::{
    openai_chat::OpenAiError,
    protocol::{OpenAi, OpenAiCaller},
};
use crate::{
    File, FilePurpose, Models,
    files::{FileUpload, file_too_large},
};

/// Bytes of a form field other than the file.
const FIELD_BYTES_MAX: usize = 1_000;

/// A file, in OpenAI's format.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OpenAiFile {
    /// Its id.
    pub id: FileId,
    /// Always `file`.
    pub object: &'static str,
    /// Its length.
    pub bytes: u64,
    /// In seconds since 1970 UTC.
    pub created_at: i64,
    /// The name that it was given.
    pub filename: String,
    /// What it is for.
    pub purpose: FilePurpose,
    /// Always `processed`.
    pub status: &'static str,
    /// Always null: files stay until they are deleted.
    #[schema(required)]
    pub expires_at: Option<i64>,
}

impl From<File> for OpenAiFile {
    fn from(file: File) -> Self {
        Self {
            id: file.id,
            object: "file",
            bytes: file.size_bytes,
            created_at: file.created_at / 1_000_000,
            filename: file.filename,
            purpose: file.purpose,
            status: "processed",
            expires_at: None,
        }
    }
}

/// Files, in OpenAI's format.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OpenAiFileList {
    /// Always `list`.
    pub object: &'static str,
    /// Newest first.
    pub data: Vec<OpenAiFile>,
    /// Whether more follow.
    pub has_more: bool,
    /// The first one's id.
    #[schema(required)]
    pub first_id: Option<FileId>,
    /// The last one's id: pass it as `after` for the next page.
    #[schema(required)]
    pub last_id: Option<FileId>,
}

impl From<Page<File>> for OpenAiFileList {
    fn from(page: Page<File>) -> Self {
        let data: Vec<OpenAiFile> = page.data.into_iter().map(OpenAiFile::from).collect();
        Self {
            object: "list",
            first_id: data.first().map(|file| file.id),
            last_id: data.last().map(|file| file.id),
            data,
            has_more: page.has_more,
        }
    }
}

/// A file that was deleted, in OpenAI's format.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OpenAiFileDeleted {
    /// Its id.
    pub id: FileId,
    /// Always `file`.
    pub object: &'static str,
    /// Always true.
    pub deleted: bool,
}

/// A file to bring.
#[derive(utoipa::ToSchema)]
#[allow(dead_code)] // only its schema is used: the form is read part by part
pub(super) struct NewFileForm {
    /// Always `batch`.
    purpose: String,
    /// At most 200 MB.
    #[schema(value_type = String, format = Binary)]
    file: Bytes,
}

/// Upload a file (OpenAI format)
///
/// For batches: JSON lines, at most 200 MB. It is seen by its creator, the person or the key that brought it, and by those who
/// hold `models:write`. It stays until it is deleted.
#[utoipa::path(
    post, path = "/v1/files", tag = "openai", security(("bearer" = [])),
    request_body(content = NewFileForm, content_type = "multipart/form-data"),
    extensions(("x-permission" = json!("models:invoke"))),
    responses(
        (status = 200, body = OpenAiFile),
        (status = "default", body = OpenAiError, description = "What went wrong"),
    )
)]
pub(super) async fn create_file(
    State(models): State<Models>,
    OpenAiCaller(ctx): OpenAiCaller,
    request: Request,
) -> Result<Json<OpenAiFile>, OpenAiProblem> {
    // Before the body is read: who may not bring files uploads nothing.
    let upload = models.begin_file(&ctx).await?;
    Ok(Json(read_form(&models, &ctx, request, upload).await?.into()))
}

async fn read_form(models: &Models, ctx: &Ctx, request: Request, upload: FileUpload) -> Result<File> {
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|rejection| Error::invalid("content-type", format!("is no form: {}", rejection.body_text())))?;
    let (mut upload, mut filename, mut purpose) = (upload, None, None);
    while let Some(mut field) = form.next_field().await.map_err(broken)? {
        let name = field.name().unwrap_or_default().to_owned();
        match name.as_str() {
            "file" if filename.is_none() => {
                filename = Some(field.file_name().unwrap_or_default().to_owned());
                while let Some(piece) = field.chunk().await.map_err(broken)? {
                    upload.write(piece).await?;
                }
            }
            "purpose" if purpose.is_none() => purpose = Some(read_text(field).await?),
            "file" | "purpose" => return Err(Error::invalid(name, "is given twice")),
            _ => {
                let shown: String = name.chars().filter(|letter| !letter.is_control()).take(100).collect();
                return Err(Error::invalid(shown, "is not a field of this form; known are purpose and file"));
            }
        }
    }
    let filename = filename.ok_or_else(|| Error::invalid("file", "is missing"))?;
    match purpose.as_deref() {
        Some("batch") => models.finish_file(ctx, upload, &filename).await,
        Some(_) => Err(Error::invalid("purpose", "must be `batch`: files serve batches only")),
        None => Err(Error::invalid("purpose", "is missing")),
    }
}

async fn read_text(mut field: Field<'_>) -> Result<String> {
    let mut text = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(broken)? {
        if text.len() + piece.len() > FIELD_BYTES_MAX {
            return Err(Error::too_large("purpose", format!("has more than {FIELD_BYTES_MAX} bytes")));
        }
        text.extend_from_slice(&piece);
    }
    String::from_utf8(text).map_err(|_| Error::invalid("purpose", "is not UTF-8"))
}

fn broken(error: MultipartError) -> Error {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return file_too_large();
    }
    Error::invalid("body", "is not a complete form: it ends too early or its parts are malformed")
}

/// `?purpose=&limit=&after=`
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct FilesQuery {
    /// Only files for this.
    purpose: Option<FilePurpose>,
    /// 1 to 200, 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `last_id` of the page before.
    after: Option<String>,
}

/// List files (OpenAI format)
///
/// Newest first: the caller's own; with `models:write` all of the workspace.
#[utoipa::path(
    get, path = "/v1/files", tag = "openai", params(FilesQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("models:invoke"))),
    responses(
        (status = 200, body = OpenAiFileList),
        (status = "default", body = OpenAiError, description = "What went wrong"),
    )
)]
pub(super) async fn list_files(
    State(models): State<Models>,
    OpenAiCaller(ctx): OpenAiCaller,
    OpenAi(Query(query)): OpenAi<Query<FilesQuery>>,
) -> Result<Json<OpenAiFileList>, OpenAiProblem> {
    let page = PageQuery::request(query.limit, query.after)?;
    Ok(Json(models.files(&ctx, query.purpose, &page).await?.into()))
}

/// Get a file (OpenAI format)
#[utoipa::path(
    get, path = "/v1/files/{file_id}", tag = "openai", security(("bearer" = [])),
    params(("file_id" = FileId, Path, description = "The file's id")),
    extensions(("x-permission" = json!("models:invoke"))),
    responses(
        (status = 200, body = OpenAiFile),
        (status = "default", body = OpenAiError, description = "What went wrong"),
    )
)]
pub(super) async fn get_file(
    State(models): State<Models>,
    OpenAiCaller(ctx): OpenAiCaller,
    OpenAi(Path(id)): OpenAi<Path<FileId>>,
) -> Result<Json<OpenAiFile>, OpenAiProblem> {
    Ok(Json(models.file(&ctx, id).await?.into()))
}

/// Bytes as the specification knows them.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
#[allow(dead_code)] // only its schema is used
struct OpenAiFileBytes(Vec<u8>);

/// Get a file's content (OpenAI format)
#[utoipa::path(
    get, path = "/v1/files/{file_id}/content", tag = "openai", security(("bearer" = [])),
    params(("file_id" = FileId, Path, description = "The file's id")),
    extensions(("x-permission" = json!("models:invoke"))),
    responses(
        (status = 200, description = "The bytes", content_type = "application/octet-stream", body = inline(OpenAiFileBytes)),
        (status = "default", body = OpenAiError, description = "What went wrong"),
    )
)]
pub(super) async fn get_file_content(
    State(models): State<Models>,
    OpenAiCaller(ctx): OpenAiCaller,
    OpenAi(Path(id)): OpenAi<Path<FileId>>,
) -> Result<Response, OpenAiProblem> {
    let (file, bytes) = models.file_content(&ctx, id).await?;
    let name = format!("{id}.jsonl");
    let mut response = attachment(&name, "application/octet-stream", Body::from_stream(bytes));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(file.size_bytes));
    Ok(response)
}

/// Delete a file (OpenAI format)
///
/// Refused with 409 while a batch reads it.
#[utoipa::path(
    delete, path = "/v1/files/{file_id}", tag = "openai", security(("bearer" = [])),
    params(("file_id" = FileId, Path, description = "The file's id")),
    extensions(("x-permission" = json!("models:invoke"))),
    responses(
        (status = 200, body = OpenAiFileDeleted),
        (status = "default", body = OpenAiError, description = "What went wrong"),
    )
)]
pub(super) async fn delete_file(
    State(models): State<Models>,
    OpenAiCaller(ctx): OpenAiCaller,
    OpenAi(Path(id)): OpenAi<Path<FileId>>,
) -> Result<Json<OpenAiFileDeleted>, OpenAiProblem> {
    models.delete_file(&ctx, id).await?;
    Ok(Json(OpenAiFileDeleted { id, object: "file", deleted: true }))
}
