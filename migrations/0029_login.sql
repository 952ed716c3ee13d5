-- How the session's person proved who they are, when they did it last, and from where.
ALTER TABLE sessions ADD COLUMN methods TEXT NOT NULL DEFAULT 'password';
ALTER TABLE sessions ADD COLUMN authenticated_at BIGINT NOT NULL DEFAULT 0;
-- It ends after this time without use.
ALTER TABLE sessions ADD COLUMN idle_micros BIGINT NOT NULL DEFAULT 604800000000;
ALTER TABLE sessions ADD COLUMN address TEXT;
ALTER TABLE sessions ADD COLUMN user_agent TEXT;
-- The token before the last proof. It goes on for a few seconds, for requests that were on their way, and proves nothing.
ALTER TABLE sessions ADD COLUMN previous_token_hash BLOB;
ALTER TABLE sessions ADD COLUMN previous_until BIGINT;
UPDATE sessions SET authenticated_at = created_at;
CREATE UNIQUE INDEX sessions_by_previous_token ON sessions (previous_token_hash) WHERE previous_token_hash IS NOT NULL;

-- How the people of a tenant must log in. A tenant without a row has the default policy.
CREATE TABLE login_policies (
    tenant_id TEXT PRIMARY KEY,
    -- Allowed methods, separated by spaces.
    methods TEXT NOT NULL,
    -- 1: a second factor or a passkey is required, from this time on.
    mfa_required BIGINT NOT NULL,
    mfa_required_at BIGINT,
    -- How long after it, or after joining, people may still log in without.
    mfa_grace_micros BIGINT NOT NULL,
    session_micros BIGINT NOT NULL,
    idle_micros BIGINT NOT NULL,
    -- A JSON array of networks in CIDR form; empty allows every address.
    ip_ranges TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- Logins that have passed one proof and need another.
CREATE TABLE pending_logins (
    tenant_id TEXT NOT NULL,
    -- SHA-256 of the token; the token itself is stored nowhere.
    token_hash BLOB NOT NULL,
    user_id TEXT NOT NULL,
    methods TEXT NOT NULL,
    -- 1: the person has no second factor that counts, and must set one up. 0: they must use one that they have.
    enrolls BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, token_hash)
);
CREATE UNIQUE INDEX pending_logins_by_token ON pending_logins (token_hash);
CREATE INDEX pending_logins_by_user ON pending_logins (tenant_id, user_id);

-- People and what proves who they are belong to the installation, not to a tenant: the tables below have no tenant_id.

-- Authenticator applications. The secrets are sealed under the installation's own data key.
CREATE TABLE user_totp (
    user_id TEXT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    secret_sealed BLOB,
    confirmed_at BIGINT,
    -- The newest time step whose code was used: no code is used twice.
    last_step BIGINT NOT NULL,
    -- A secret that was shown and not confirmed by a code yet.
    pending_secret_sealed BLOB,
    pending_until BIGINT
);

CREATE TABLE recovery_codes (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- SHA-256 of the user's id and the code (80 random bits).
    code_hash BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT,
    PRIMARY KEY (user_id, code_hash)
);

CREATE TABLE passkeys (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    credential_id BLOB NOT NULL UNIQUE,
    -- The public key, the counter and the flags, as JSON.
    credential TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT
);
CREATE INDEX passkeys_by_user ON passkeys (user_id, id);

-- Challenges of passkeys that were given out and not answered yet.
CREATE TABLE passkey_ceremonies (
    token_hash BLOB PRIMARY KEY,
    -- register, login or prove.
    purpose TEXT NOT NULL,
    -- NULL: whoever answers says who they are.
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    -- As JSON.
    state TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX passkey_ceremonies_by_end ON passkey_ceremonies (expires_at);

-- Links that were asked for by an e-mail: it may be nobody's.
CREATE TABLE login_links (
    id TEXT PRIMARY KEY,
    -- login or password_reset.
    purpose TEXT NOT NULL,
    email TEXT NOT NULL,
    -- SHA-256 of what the browser that asked keeps in a cookie; NULL where the link works in every browser.
    browser_hash BLOB,
    -- The address that the link begins with, and the page to go on to.
    base_url TEXT NOT NULL,
    next_path TEXT,
    -- Set when the mail is written: SHA-256 of the token in it, and whose link it is.
    token_hash BLOB UNIQUE,
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL
);
CREATE INDEX login_links_by_end ON login_links (expires_at);

-- Mail on its way, sealed; gone once it is sent or given up.
CREATE TABLE mails (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
