-- Whether answers are kept and given again. One row for a tenant, where something was set or purged.
CREATE TABLE model_cache_settings (
    tenant_id TEXT NOT NULL PRIMARY KEY,
    -- As JSON: nothing of it is searched for. NULL: as in the beginning.
    settings TEXT,
    -- Answers that were begun before are not given again; 0 when there was no purge.
    purged_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- How the answer was found again: `exact` or `semantic`; NULL: a model gave it.
ALTER TABLE model_calls ADD COLUMN cache TEXT;
-- Whose answer it was, how similar the question and how old the answer, as JSON.
ALTER TABLE model_calls ADD COLUMN cache_hit TEXT;
-- What the first call cost, in `cost_currency`; NULL where it is not known, or a model answered.
ALTER TABLE model_calls ADD COLUMN saved_micros BIGINT;
