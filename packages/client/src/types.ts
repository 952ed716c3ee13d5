/**
 * Every type of the HTTP API, in the shape that `openapi-typescript` generates (`paths` for openapi-fetch), plus one
 * named alias for each resource. Code imports only from this file, so swapping the hand-written bodies for aliases of
 * `components["schemas"]` in `schema.gen.ts` (see the `generate` script) touches nothing else.
 *
 * Conventions: `…_at` is microseconds since 1970 UTC, `…_ms` milliseconds, money integer millionths of the currency.
 */

export type Micros = number;
export interface Money { amount_micros: number; currency: string }
export interface Page<T> { data: T[]; has_more: boolean; next_cursor: string | null }

/** RFC 9457 problem details as the server sends them for every failure. */
export interface Problem {
  type: string; title: string; status: number; code: string; reason: string; detail: string;
  field?: string | null; remedy?: string | null; request_id?: string | null;
}

/* Identity */
export type Role = "owner" | "admin" | "editor" | "viewer" | "service";
export interface User {
  id: string; email: string; name: string; role: Role; disabled: boolean; operator: boolean;
  created_at: Micros; last_login_at: Micros | null;
}
export interface Tenant { id: string; name: string; created_at: Micros }
export interface ApiKey {
  id: string; name: string; prefix: string; role: Role; scopes: string[]; created_by: string; created_at: Micros;
  expires_at: Micros | null; last_used_at: Micros | null; revoked_at: Micros | null;
}
export interface CreatedApiKey extends ApiKey { key: string }
export interface Me {
  actor: { kind: "user" | "api_key"; id: string; name: string };
  user: User | null; tenant: Tenant; role: Role; permissions: string[];
}
export interface LoginResult { token: string; expires_at: Micros; user: User; tenant: Tenant }

/* Models */
export type ModelKind = "chat" | "embedding";
export type ModelState = "ready" | "idle" | "missing" | "remote";
export interface ModelPrice { input_per_million: Money | null; output_per_million: Money | null }
export interface Model {
  id: string; kind: ModelKind; provider: { id: string | null; name: string; kind: "local" | "openai" };
  state: ModelState; remedy: string | null; context_length: number | null; dimensions: number | null;
  license: string | null; size_bytes: number | null; memory_bytes: number | null; price: ModelPrice | null; default: boolean;
}
export interface NewModel {
  provider: string; name: string; upstream_name?: string; kind: ModelKind; context_length?: number; dimensions?: number;
  input_price_micros_per_million?: number; output_price_micros_per_million?: number; currency?: string;
}
export interface Provider { id: string; name: string; kind: string; base_url: string; has_api_key: boolean; created_at: Micros }
export interface ProviderTest { ok: boolean; models: string[]; error: string | null; duration_ms: number }
export type CallPurpose = "api" | "ask" | "draft" | "ingest" | "search";
export type CallStatus = "succeeded" | "failed" | "cancelled";
/** A person, a program with a key, or Plasma itself; `reason` says why Plasma acted by itself. */
export interface Actor { kind: "user" | "api_key" | "system"; id: string | null; reason?: string | null }
export interface ModelCall {
  id: string; model: string; kind: ModelKind; purpose: CallPurpose; status: CallStatus;
  input_tokens: number; cached_input_tokens: number; output_tokens: number;
  queued_ms: number; first_token_ms: number | null; duration_ms: number; cost: Money | null; error: string | null;
  actor: Actor; request_id?: string; created_at: Micros; streamed: boolean;
}
export interface UsageDay {
  day: string; calls: number; failed: number; input_tokens: number; output_tokens: number; cost: Money[];
}
export interface UsageModel {
  model: string; calls: number; input_tokens: number; output_tokens: number; cost: Money[]; duration_ms_mean: number;
}
export interface Usage { days: UsageDay[]; models: UsageModel[] }

/* Knowledge */
export type MetadataValue = string | number | boolean;
export type Metadata = Record<string, MetadataValue>;
export interface Collection {
  id: string; name: string; description: string | null; embedding_model: string; document_count: number; ready_count: number;
  failed_count: number; chunk_count: number; created_at: Micros; updated_at: Micros;
}
export type DocumentState = "queued" | "parsing" | "embedding" | "ready" | "failed";
export interface DocumentProgress { done: number; total: number; unit: string; seconds_left: number | null }
export interface KnowledgeDocument {
  id: string; collection_id: string; key: string | null; title: string; file_name: string | null; media_type: string;
  size_bytes: number; metadata: Metadata; state: DocumentState;
  error: { reason: string; detail: string; remedy: string | null } | null; progress: DocumentProgress | null;
  chunk_count: number; character_count: number; created_at: Micros; updated_at: Micros;
}
export interface NewDocument {
  title: string; text?: string; markdown?: string; html?: string; metadata?: Metadata; key?: string;
}
/** `start` and `end` are offsets in Unicode code points into the document's text. */
export interface Passage { id: string; ordinal: number; start: number; end: number; heading: string | null }
export interface DocumentText { text: string; passages: Passage[] }
export interface Span { start: number; end: number }
export type SearchMode = "hybrid" | "vector" | "text";
export type FilterCondition = MetadataValue | { in: MetadataValue[] } | { gte?: number; lte?: number };
export type SearchFilter = Record<string, FilterCondition>;
export interface SearchRequest {
  collection: string; query: string; limit?: number; filter?: SearchFilter; mode?: SearchMode;
}
export interface SearchHit {
  passage_id: string; document_id: string; collection_id: string; title: string; heading: string | null; text: string;
  start: number; end: number; ordinal: number; metadata: Metadata; score: number; highlights: Span[];
  why: {
    summary: string; vector: { rank: number; similarity: number } | null;
    text: { rank: number; bm25: number; terms: string[] } | null; fusion: { formula: string; score: number } | null;
  };
}
export interface SearchResult {
  query: string; mode: SearchMode;
  took_ms: { total: number; embedding?: number | null; vector?: number | null; text?: number | null };
  total_passages: number; results: SearchHit[]; warnings: string[];
}
export interface AskRequest { collection: string; question: string; model?: string; limit?: number; filter?: SearchFilter }
export interface AskPassage {
  number: number; passage_id: string; document_id: string; collection_id: string; title: string; heading: string | null;
  text: string; start: number; end: number; score: number;
}
export type AskStage = "retrieving" | "queued" | "loading" | "reading" | "writing";
export interface AskProgress { stage: AskStage; done?: number | null; total?: number | null; detail?: string | null }
export interface AskCitation {
  number: number; passage_id: string; document_id: string; start: number; end: number; answer_start: number; answer_end: number;
}
export interface AskDone {
  answer: string; call_id: string | null; model: string | null;
  usage: { input_tokens: number; cached_input_tokens: number; output_tokens: number } | null;
  cost: Money | null; first_token_ms: number | null; duration_ms: number; finish_reason: string | null; citations: AskCitation[];
}

/* Content */
export interface ContentCitation {
  number: number; passage_id: string; document_id: string; collection_id: string; title: string; quote: string;
  start: number; end: number; body_start: number; body_end: number;
}
export interface ContentSummary {
  id: string; title: string; excerpt: string; state: "draft"; revision: number; brief: string | null;
  collection_id: string | null; call_id: string | null; created_at: Micros; updated_at: Micros;
  created_by: Actor; updated_by: Actor;
}
export interface ContentDocument extends Omit<ContentSummary, "excerpt"> { body: string; citations: ContentCitation[] }
export interface Revision {
  number: number; title: string; note: string | null; kind: "generated" | "edited" | "restored" | "created";
  created_at: Micros; created_by: Actor; call_id: string | null; body?: string;
}
export interface DiffLine { kind: "same" | "removed" | "added"; text: string }
export interface DiffHunk { from_line: number; to_line: number; lines: DiffLine[] }
export interface Diff {
  from: number; to: number; title: { from: string; to: string }; hunks: DiffHunk[]; added: number; removed: number;
}
export interface DraftRequest { brief: string; collection: string; model?: string; title?: string }

/* Whole system */
export interface PlasmaEvent {
  id: string; type: string; subject: string | null; actor: Actor; at: Micros; data: Record<string, unknown>;
}
export interface Job {
  id: string; kind: string; state: "queued" | "running" | "succeeded" | "failed"; attempt: number; max_attempts: number;
  progress: { done: number; total: number } | null; error: { reason: string; detail: string } | null; run_at: Micros; created_at: Micros; updated_at: Micros;
}
export interface Overview {
  collections: number; documents: number; passages: number; content_documents: number; model_calls_24h: number;
  jobs_running: number; jobs_failed: number; version: string; database: string; uptime_ms: number;
}
export type LiveMessage =
  | { type: "event"; event: PlasmaEvent }
  | { type: "progress"; document_id: string; collection_id: string; state: DocumentState; done: number; total: number; seconds_left: number | null }
  | { type: "ready"; head: string | null }
  | { type: "ping" };

/* Paths, in openapi-fetch's shape */
type PageQuery = { limit?: number; cursor?: string };
interface Options { path?: object; query?: object; body?: unknown }
type Operation<Result, O extends Options = object> = {
  parameters: (O extends { path: infer P } ? { path: P } : { path?: never }) &
    (O extends { query: infer Q } ? { query?: Q } : { query?: never }) & { header?: never; cookie?: never };
  requestBody?: O extends { body: infer B } ? { content: { "application/json": B } } : never;
  responses: {
    200: Result extends null ? { headers: object; content?: never } : { headers: object; content: { "application/json": Result } };
    default: { headers: object; content: { "application/problem+json": Problem } };
  };
};
type Id = { path: { id: string } };
type DocumentPath = { path: { id: string; document_id: string } };

export interface paths {
  "/api/v1/auth/login": { post: Operation<LoginResult, { body: { email: string; password: string } }> };
  "/api/v1/auth/logout": { post: Operation<null> };
  "/api/v1/me": { get: Operation<Me>; patch: Operation<User, { body: { name?: string } }> };
  "/api/v1/me/password": { post: Operation<null, { body: { current_password: string; new_password: string } }> };
  "/api/v1/users": {
    get: Operation<Page<User>, { query: PageQuery }>;
    post: Operation<User, { body: { email: string; name: string; role: Role; password: string } }>;
  };
  "/api/v1/users/{id}": {
    get: Operation<User, Id>; delete: Operation<null, Id>;
    patch: Operation<User, Id & { body: { name?: string; role?: Role; disabled?: boolean } }>;
  };
  "/api/v1/api-keys": {
    get: Operation<Page<ApiKey>, { query: PageQuery }>;
    post: Operation<CreatedApiKey, { body: { name: string; role: Role; scopes?: string[]; expires_at?: Micros } }>;
  };
  "/api/v1/api-keys/{id}": { delete: Operation<null, Id> };
  "/api/v1/tenants/{id}": { get: Operation<Tenant, Id>; patch: Operation<Tenant, Id & { body: { name: string } }> };
  "/api/v1/models": {
    get: Operation<Page<Model>, { query: PageQuery }>; post: Operation<Model, { body: NewModel }>;
  };
  "/api/v1/models/{id}": { delete: Operation<null, Id> };
  "/api/v1/providers": {
    get: Operation<Page<Provider>, { query: PageQuery }>;
    post: Operation<Provider, { body: { name: string; kind: "openai"; base_url: string; api_key?: string } }>;
  };
  "/api/v1/providers/{id}": {
    get: Operation<Provider, Id>; delete: Operation<null, Id>;
    patch: Operation<Provider, Id & { body: { base_url?: string; api_key?: string } }>;
  };
  "/api/v1/providers/{id}/test": { post: Operation<ProviderTest, Id> };
  "/api/v1/models/calls": {
    get: Operation<Page<ModelCall>, { query: PageQuery & { model?: string; status?: CallStatus } }>;
  };
  "/api/v1/models/calls/{id}": { get: Operation<ModelCall, Id> };
  "/api/v1/models/usage": { get: Operation<Usage, { query: { days?: number } }> };
  "/api/v1/collections": {
    get: Operation<Page<Collection>, { query: PageQuery }>;
    post: Operation<Collection, { body: { name: string; description?: string } }>;
  };
  "/api/v1/collections/{id}": {
    get: Operation<Collection, Id>; delete: Operation<null, Id>;
    patch: Operation<Collection, Id & { body: { name?: string; description?: string } }>;
  };
  "/api/v1/collections/{id}/documents": {
    get: Operation<Page<KnowledgeDocument>, Id & { query: PageQuery & { state?: DocumentState } }>;
    post: Operation<KnowledgeDocument, Id & { body: NewDocument }>;
  };
  "/api/v1/collections/{id}/documents/{document_id}": {
    get: Operation<KnowledgeDocument, DocumentPath>; delete: Operation<null, DocumentPath>;
  };
  "/api/v1/collections/{id}/documents/{document_id}/text": { get: Operation<DocumentText, DocumentPath> };
  "/api/v1/collections/{id}/documents/{document_id}/retry": { post: Operation<KnowledgeDocument, DocumentPath> };
  "/api/v1/search": { post: Operation<SearchResult, { body: SearchRequest }> };
  "/api/v1/content/documents": {
    get: Operation<Page<ContentSummary>, { query: PageQuery & { state?: string } }>;
    post: Operation<ContentDocument, { body: { title: string; body: string } }>;
  };
  "/api/v1/content/documents/{id}": {
    get: Operation<ContentDocument, Id>; delete: Operation<null, Id>;
    put: Operation<ContentDocument, Id & { body: { title: string; body: string; expected_revision: number; note?: string } }>;
  };
  "/api/v1/content/documents/{id}/revisions": { get: Operation<Page<Revision>, Id & { query: PageQuery }> };
  "/api/v1/content/documents/{id}/diff": { get: Operation<Diff, Id & { query: { from: number; to: number } }> };
  "/api/v1/content/documents/{id}/restore": { post: Operation<ContentDocument, Id & { body: { revision: number } }> };
  "/api/v1/events": { get: Operation<Page<PlasmaEvent>, { query: PageQuery & { type?: string; after?: string } }> };
  "/api/v1/jobs": { get: Operation<Page<Job>, { query: PageQuery & { state?: Job["state"] } }> };
  "/api/v1/overview": { get: Operation<Overview> };
}
