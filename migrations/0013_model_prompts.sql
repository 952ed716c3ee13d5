-- Prompts: templates of messages under a name, in numbered versions that never change.
CREATE TABLE model_prompts (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    -- 0 while there is no version.
    newest_version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name)
);

CREATE TABLE model_prompt_versions (
    tenant_id TEXT NOT NULL,
    prompt_id TEXT NOT NULL,
    -- From 1.
    version BIGINT NOT NULL,
    -- Messages, variables, model and parameters, as JSON: nothing of it is searched for.
    definition TEXT NOT NULL,
    note TEXT NOT NULL,
    -- Who made it, as JSON.
    actor TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, prompt_id, version),
    FOREIGN KEY (tenant_id, prompt_id) REFERENCES model_prompts (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE model_prompt_aliases (
    tenant_id TEXT NOT NULL,
    prompt_id TEXT NOT NULL,
    name TEXT NOT NULL,
    -- The versions that it stands for and their weights, as JSON.
    split TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, prompt_id, name),
    FOREIGN KEY (tenant_id, prompt_id) REFERENCES model_prompts (tenant_id, id) ON DELETE CASCADE
);

-- The prompt that a call used, by the name that it had then, and its version.
ALTER TABLE model_calls ADD COLUMN prompt TEXT;
ALTER TABLE model_calls ADD COLUMN prompt_version BIGINT;
CREATE INDEX model_calls_by_prompt ON model_calls (tenant_id, prompt, id) WHERE prompt IS NOT NULL;
