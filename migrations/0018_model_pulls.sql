-- Weights that are fetched onto the server's machine. All workspaces share them: these rows belong to the installation, like those
-- of `tenants`, and the verbs decide who sees them.
CREATE TABLE model_pulls (
    id TEXT NOT NULL PRIMARY KEY,
    -- A model of the program's manifest (`local/…`), or ORG/REPO of the hub.
    name TEXT NOT NULL,
    -- Paths in the repository, as a JSON array; empty: those that are chosen by themselves.
    files TEXT NOT NULL,
    -- A branch, tag or commit of the repository.
    revision TEXT,
    -- Bytes of all files together at most.
    max_bytes BIGINT NOT NULL,
    -- queued, running, done, failed or cancelled.
    state TEXT NOT NULL,
    done_bytes BIGINT NOT NULL DEFAULT 0,
    -- NULL before it is known.
    size_bytes BIGINT,
    license TEXT,
    -- Why it failed, or why the last attempt did: a stable reason and a text.
    error_reason TEXT,
    error_message TEXT,
    -- Who began it, as JSON.
    actor TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT
);
-- One at a time for a model.
CREATE UNIQUE INDEX model_pulls_unfinished ON model_pulls (name) WHERE ended_at IS NULL;
