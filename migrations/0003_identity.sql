-- Tenants describe the installation: their key is `id`, so that row-level security by tenant_id leaves them alone.
CREATE TABLE tenants (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- People belong to the installation; what they may do in a tenant stands in memberships.
CREATE TABLE users (
    id TEXT PRIMARY KEY,
    -- Lower case, so that uniqueness does not depend on how somebody types it.
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    -- argon2id in the PHC string format.
    password_hash TEXT NOT NULL,
    -- 1: may manage the whole installation.
    operator BIGINT NOT NULL,
    disabled_at BIGINT,
    created_at BIGINT NOT NULL,
    last_login_at BIGINT
);
CREATE INDEX users_operators ON users (id) WHERE operator = 1;

CREATE TABLE memberships (
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_id)
);
CREATE INDEX memberships_by_user ON memberships (user_id);

CREATE TABLE sessions (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    -- SHA-256 of the token; the token itself is stored nowhere.
    token_hash BLOB NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX sessions_by_user ON sessions (tenant_id, user_id, id);

CREATE TABLE api_keys (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    -- The first characters of the key, to recognize it by.
    prefix TEXT NOT NULL,
    -- SHA-256 of the key; the key itself is stored nowhere.
    token_hash BLOB NOT NULL UNIQUE,
    role TEXT NOT NULL,
    -- Permissions separated by spaces; NULL means all of the role.
    scopes TEXT,
    -- 1: may also use installation permissions, for as long as its creator is an operator.
    installation BIGINT NOT NULL,
    -- 1: named by the configuration; a changed configuration replaces it.
    bootstrap BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    revoked_at BIGINT,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX api_keys_by_creator ON api_keys (tenant_id, created_by);
