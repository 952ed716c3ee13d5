-- Other names of models and routes.
CREATE TABLE model_aliases (
    tenant_id TEXT NOT NULL,
    -- What callers name as the model: without a slash, and no route's name.
    name TEXT NOT NULL,
    -- A model's or a route's name, never another alias.
    target TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, name)
);
