-- Files of the models' API: what batches read and write. Their bytes are blobs.
CREATE TABLE model_files (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    -- batch or batch_output.
    purpose TEXT NOT NULL,
    filename TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    blob TEXT NOT NULL,
    -- The actor, as JSON, whose file it is.
    creator TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

-- Calls of models that are made in the background, one for each line of a file.
CREATE TABLE model_batches (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    input_file_id TEXT NOT NULL,
    -- The path that every line is for, such as /v1/chat/completions.
    endpoint TEXT NOT NULL,
    -- A JSON object of texts; NULL when none was given.
    metadata TEXT,
    -- The actor, as JSON, whose batch it is and in whose name the calls are made.
    creator TEXT NOT NULL,
    status TEXT NOT NULL,
    -- What the batch becomes when its files are written: completed, failed, expired or cancelled. NULL before.
    outcome TEXT,
    -- Why it failed, as JSON.
    errors TEXT,
    -- Lines in all, and those that have a result.
    total_count BIGINT NOT NULL DEFAULT 0,
    completed_count BIGINT NOT NULL DEFAULT 0,
    failed_count BIGINT NOT NULL DEFAULT 0,
    -- Where the next chunk begins. All lines before have a result.
    next_line BIGINT NOT NULL DEFAULT 1,
    next_offset BIGINT NOT NULL DEFAULT 0,
    -- The model whose provider answers the batch by its own batch API, and the provider's id of that batch. NULL: the lines are
    -- called one by one.
    provider_model TEXT,
    provider_batch_id TEXT,
    output_file_id TEXT,
    error_file_id TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    in_progress_at BIGINT,
    finalizing_at BIGINT,
    cancelling_at BIGINT,
    -- When it was completed, failed, expired or cancelled.
    ended_at BIGINT,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX model_batches_unfinished ON model_batches (tenant_id, input_file_id) WHERE ended_at IS NULL;

-- The lines of a batch's files, until the files are written.
CREATE TABLE model_batch_results (
    tenant_id TEXT NOT NULL,
    batch_id TEXT NOT NULL,
    -- The line of the input, from 1.
    line BIGINT NOT NULL,
    is_error BIGINT NOT NULL,
    -- The JSON line of the output file or the error file.
    result TEXT NOT NULL,
    PRIMARY KEY (tenant_id, batch_id, line)
);

-- What an administrator says that a thousand calls cost, besides their tokens. NULL: nothing for models of tokens, unknown for others.
ALTER TABLE models ADD COLUMN call_price_micros BIGINT;
