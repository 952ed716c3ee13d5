-- A collection of documents that is searched as one. The counts are kept by the transactions that change them.
CREATE TABLE collections (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    embedding_model TEXT NOT NULL,
    -- Numbers in a vector: known from the first one on.
    dimensions BIGINT,
    document_count BIGINT NOT NULL DEFAULT 0,
    ready_count BIGINT NOT NULL DEFAULT 0,
    failed_count BIGINT NOT NULL DEFAULT 0,
    passage_count BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name)
);

-- A document of a collection. `version` is the newest one brought, and `state` tells how far that is; `live_version` is the
-- one that is searched, so that a replaced document stays searchable until its successor is ready.
CREATE TABLE knowledge_documents (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    collection_id TEXT NOT NULL,
    -- The caller's own stable name.
    document_key TEXT,
    version BIGINT NOT NULL,
    live_version BIGINT,
    -- queued, parsing, embedding, ready or failed.
    state TEXT NOT NULL,
    error_reason TEXT,
    error_detail TEXT,
    error_remedy TEXT,
    -- 1 while it has no job because the embedding model is absent.
    waits_for_model BIGINT NOT NULL DEFAULT 0,
    progress_done BIGINT,
    progress_total BIGINT,
    seconds_left BIGINT,
    -- Passages of the live version.
    passage_count BIGINT NOT NULL DEFAULT 0,
    queued_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, collection_id, document_key)
);
CREATE INDEX knowledge_documents_by_collection ON knowledge_documents (tenant_id, collection_id, id);
CREATE INDEX knowledge_documents_by_state ON knowledge_documents (tenant_id, collection_id, state, id);
CREATE INDEX knowledge_documents_unfinished ON knowledge_documents (tenant_id, queued_at, id) WHERE state IN ('queued', 'parsing', 'embedding');
CREATE INDEX knowledge_documents_waiting ON knowledge_documents (tenant_id, id) WHERE waits_for_model = 1;

-- What a document held when it was brought. A version that was replaced or deleted stays until its passages and blobs are gone.
CREATE TABLE knowledge_versions (
    tenant_id TEXT NOT NULL,
    document_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    collection_id TEXT NOT NULL,
    -- The blob of the original bytes; that of the extracted text has the same name with `.text`.
    blob TEXT NOT NULL,
    title TEXT NOT NULL,
    -- 1 when nobody gave a title, so that one found inside the document may replace it.
    title_is_guessed BIGINT NOT NULL,
    -- NULL when the text came inside the request.
    file_name TEXT,
    media_type TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    -- A JSON object of strings, numbers and booleans.
    metadata TEXT NOT NULL,
    -- Of the extracted text, in Unicode code points.
    character_count BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, document_id, version)
);

-- A passage of a version. Searched only while that version is the document's live one.
CREATE TABLE passages (
    tenant_id TEXT NOT NULL,
    document_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    ordinal BIGINT NOT NULL,
    id TEXT NOT NULL,
    -- Offsets into the extracted text, in Unicode code points.
    start_offset BIGINT NOT NULL,
    end_offset BIGINT NOT NULL,
    heading TEXT,
    page BIGINT,
    -- Words that the text index holds of it, and tokens of the embedding model.
    word_count BIGINT NOT NULL,
    token_count BIGINT NOT NULL,
    text TEXT NOT NULL,
    -- 32-bit little-endian floats of length 1.
    embedding BLOB NOT NULL,
    PRIMARY KEY (tenant_id, document_id, version, ordinal)
);
CREATE UNIQUE INDEX passages_by_id ON passages (tenant_id, id);

-- One row: tells a text index in some data directory whether it was built from this database.
CREATE TABLE knowledge_identity (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
