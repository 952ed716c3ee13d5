-- Connections to identity providers (OpenID Connect).
CREATE TABLE sso_connections (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    -- custom, google_workspace, entra_id, okta or auth0.
    preset TEXT NOT NULL,
    -- What names the organization at the preset's provider; NULL for custom.
    account TEXT,
    issuer TEXT NOT NULL,
    client_id TEXT NOT NULL,
    -- Sealed under the tenant's data key; NULL for a public client.
    client_secret_sealed BLOB,
    -- Separated by spaces.
    scopes TEXT NOT NULL,
    -- The claim that says whether the provider has verified the e-mail.
    email_verified_claim TEXT NOT NULL,
    -- Claims that must have these values, as a JSON object.
    required_claims TEXT NOT NULL,
    -- From claims to roles and teams, as a JSON array, in order.
    rules TEXT NOT NULL,
    -- The role of whom no rule gives one; NULL: they are not let in.
    default_role TEXT,
    -- 1: whoever is new is made a user at the first login.
    creates_users BIGINT NOT NULL,
    enabled BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    last_login_at BIGINT,
    PRIMARY KEY (tenant_id, id)
);
-- A login begins with the connection's id alone.
CREATE UNIQUE INDEX sso_connections_by_id ON sso_connections (id);

-- E-mail domains that connections claim. A claim alone gives nothing; a verified one belongs to one tenant.
CREATE TABLE sso_domains (
    tenant_id TEXT NOT NULL,
    -- In lower case; other letters than ASCII as in DNS.
    domain TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    verified_at BIGINT,
    -- operator or provider; NULL while it is not verified.
    verified_by TEXT,
    PRIMARY KEY (tenant_id, domain),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES sso_connections (tenant_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX sso_domains_verified ON sso_domains (domain) WHERE verified_at IS NOT NULL;
CREATE INDEX sso_domains_by_connection ON sso_domains (tenant_id, connection_id);

-- Logins that were begun and have not come back. A row is used once.
CREATE TABLE sso_logins (
    tenant_id TEXT NOT NULL,
    -- SHA-256 of the state.
    state_hash BLOB NOT NULL,
    connection_id TEXT NOT NULL,
    -- SHA-256 of the browser's cookie. The nonce and the PKCE verifier are made of the cookie and the state: neither is stored.
    browser_hash BLOB NOT NULL,
    redirect_uri TEXT NOT NULL,
    -- Where to go afterwards: a path of the dashboard.
    next_path TEXT NOT NULL,
    -- The person who links the account to their own; NULL for a login.
    link_user_id TEXT,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, state_hash)
);
CREATE UNIQUE INDEX sso_logins_by_state ON sso_logins (state_hash);
CREATE INDEX sso_logins_by_expiry ON sso_logins (tenant_id, expires_at);

-- Who is who: the pair of issuer and subject names a person ever after, whatever becomes of the e-mail.
CREATE TABLE sso_identities (
    tenant_id TEXT NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    -- As the provider said last, for people to recognize it by; never looked up.
    email TEXT,
    created_at BIGINT NOT NULL,
    last_login_at BIGINT,
    PRIMARY KEY (tenant_id, issuer, subject),
    UNIQUE (tenant_id, user_id, connection_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES memberships (tenant_id, user_id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, connection_id) REFERENCES sso_connections (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX sso_identities_by_connection ON sso_identities (tenant_id, connection_id);

-- Which of our sessions began at which session of the provider, for logging out there and from there.
CREATE TABLE sso_sessions (
    tenant_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    -- The provider's name of its session; NULL when it gives none.
    provider_session TEXT,
    -- The hint for logging out there, sealed; NULL when it was too large to keep.
    id_token_sealed BLOB,
    PRIMARY KEY (tenant_id, session_id),
    FOREIGN KEY (tenant_id, session_id) REFERENCES sessions (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX sso_sessions_by_subject ON sso_sessions (tenant_id, connection_id, subject);
CREATE INDEX sso_sessions_by_provider_session ON sso_sessions (tenant_id, connection_id, provider_session);

-- Logout tokens that were obeyed, until they cannot come again.
CREATE TABLE sso_logout_tokens (
    tenant_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    -- SHA-256 of the token's id.
    token_hash BLOB NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, connection_id, token_hash)
);

-- Whether a tenant's people must log in by a connection. No row: they need not.
CREATE TABLE sso_settings (
    tenant_id TEXT NOT NULL,
    enforced BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id)
);

-- Owners who may still log in with a password and a second factor.
CREATE TABLE sso_break_glass (
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, user_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES memberships (tenant_id, user_id) ON DELETE CASCADE
);

-- Teams into which a rule has put somebody, and from which it takes them when it no longer fits.
CREATE TABLE sso_team_members (
    tenant_id TEXT NOT NULL,
    team_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, team_id, user_id),
    FOREIGN KEY (tenant_id, team_id, user_id) REFERENCES team_members (tenant_id, team_id, user_id) ON DELETE CASCADE
);
