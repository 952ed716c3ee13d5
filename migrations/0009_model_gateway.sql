-- What a kind of provider may need beyond its address and key, as JSON; NULL: nothing.
ALTER TABLE model_providers ADD COLUMN options TEXT;

-- The route that chose the model, when the caller named a route.
ALTER TABLE model_calls ADD COLUMN route TEXT;
-- Which models were asked in turn, as JSON; NULL: one, which answered.
ALTER TABLE model_calls ADD COLUMN attempts TEXT;
-- How the model was chosen, as JSON; NULL when the caller named it.
ALTER TABLE model_calls ADD COLUMN decision TEXT;

-- Virtual models. Those that exist by default (auto, auto-cheap, ...) are rows only where the tenant changed them.
CREATE TABLE model_routes (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    -- What callers name as the model: without a slash, so that it is no model's name.
    name TEXT NOT NULL,
    -- Strategy, candidates, constraints and policy, as JSON: nothing of it is searched for.
    settings TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name)
);
