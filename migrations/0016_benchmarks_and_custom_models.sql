-- Runs of benchmarks: the same cases put to several models.
CREATE TABLE model_benchmarks (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    -- The suite as it was when the run was made, as JSON, and what lists show of it.
    suite TEXT NOT NULL,
    suite_name TEXT NOT NULL,
    case_count BIGINT NOT NULL,
    -- The names of models, routes or aliases, as a JSON array.
    models TEXT NOT NULL,
    concurrency BIGINT NOT NULL,
    -- 1 when temperature 0 is asked for.
    greedy BIGINT NOT NULL,
    -- queued, running, succeeded, failed or cancelled.
    state TEXT NOT NULL,
    -- Who began it, as JSON: the calls are theirs.
    actor TEXT NOT NULL,
    error TEXT,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT,
    PRIMARY KEY (tenant_id, id)
);

-- One row for each case and model that was asked.
CREATE TABLE model_benchmark_results (
    tenant_id TEXT NOT NULL,
    benchmark_id TEXT NOT NULL,
    model TEXT NOT NULL,
    case_id TEXT NOT NULL,
    -- 0 to 1; NULL when the call failed.
    score DOUBLE PRECISION,
    -- Why it is less than 1.
    reason TEXT,
    -- The beginning of the answer.
    answer TEXT,
    -- Why the call failed.
    error TEXT,
    call_id TEXT,
    first_token_ms BIGINT,
    duration_ms BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    cost_micros BIGINT,
    cost_currency TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, benchmark_id, case_id, model),
    FOREIGN KEY (tenant_id, benchmark_id) REFERENCES model_benchmarks (tenant_id, id) ON DELETE CASCADE
);

-- Weights on this machine as models of a workspace.
CREATE TABLE custom_models (
    tenant_id TEXT NOT NULL,
    -- The name to use, `local/…`; never one of the manifest.
    id TEXT NOT NULL,
    -- Folder, files with sizes and hashes, kind and lengths, as JSON in the manifest's format.
    entry TEXT NOT NULL,
    domain TEXT,
    description TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

-- What a provider's model is made for, and a text for people.
ALTER TABLE models ADD COLUMN domain TEXT;
ALTER TABLE models ADD COLUMN description TEXT;
