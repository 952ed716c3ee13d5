-- Where models are called that do not run in this process.
CREATE TABLE model_providers (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    -- The first part of its models' names; it never changes.
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    base_url TEXT NOT NULL,
    -- The provider's API key, sealed under the tenant's data key; NULL when it needs none.
    api_key_sealed BLOB,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name)
);

-- Models of those providers. Local models are not rows: the program's manifest lists them.
CREATE TABLE models (
    tenant_id TEXT NOT NULL,
    -- The name to use, as in `acme/large-1`.
    id TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    -- What the provider calls it.
    upstream_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    context_length BIGINT,
    dimensions BIGINT,
    -- Millionths of one unit of `currency` for a million tokens. NULL means unknown, never free.
    input_price_micros BIGINT,
    output_price_micros BIGINT,
    currency TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, provider_id) REFERENCES model_providers (tenant_id, id)
);
CREATE INDEX models_by_provider ON models (tenant_id, provider_id);

-- One row for each call of a model, also of those that failed or were cancelled. Rows outlive the model and its provider.
CREATE TABLE model_calls (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    model TEXT NOT NULL,
    kind TEXT NOT NULL,
    purpose TEXT NOT NULL,
    status TEXT NOT NULL,
    streamed BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    cached_input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    queued_ms BIGINT NOT NULL,
    first_token_ms BIGINT,
    duration_ms BIGINT NOT NULL,
    -- NULL when the model has no price or the provider did not say how many tokens it used.
    cost_micros BIGINT,
    cost_currency TEXT,
    error TEXT,
    actor TEXT NOT NULL,
    request_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX model_calls_by_time ON model_calls (tenant_id, created_at);
CREATE INDEX model_calls_by_model ON model_calls (tenant_id, model, id);
