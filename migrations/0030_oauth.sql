-- Applications that act for people, or for themselves (OAuth 2.1).
CREATE TABLE applications (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    homepage TEXT,
    -- public or confidential: whether it can keep a secret.
    kind TEXT NOT NULL,
    -- A JSON array of the exact addresses to which codes may go.
    redirect_uris TEXT NOT NULL,
    -- Permissions separated by spaces: the most that it may ask a person for.
    scopes TEXT NOT NULL,
    -- Permissions separated by spaces: what it may do for itself.
    own_permissions TEXT NOT NULL,
    -- 1: may ask on devices without a browser.
    device BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    -- What people allowed before this time is asked again.
    consent_since BIGINT NOT NULL,
    disabled_at BIGINT,
    last_used_at BIGINT,
    PRIMARY KEY (tenant_id, id)
);
-- The token endpoint knows the application before the tenant.
CREATE UNIQUE INDEX applications_by_id ON applications (id);

CREATE TABLE application_secrets (
    tenant_id TEXT NOT NULL,
    application_id TEXT NOT NULL,
    -- SHA-256 of the secret; the secret itself is stored nowhere.
    secret_hash BLOB NOT NULL,
    -- The first characters of the secret, to recognize it by.
    prefix TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- NULL: until another takes its place.
    expires_at BIGINT,
    PRIMARY KEY (tenant_id, application_id, secret_hash),
    FOREIGN KEY (tenant_id, application_id) REFERENCES applications (tenant_id, id) ON DELETE CASCADE
);

-- What a person allowed an application. The built-in application is no row of `applications`.
CREATE TABLE oauth_grants (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    application_id TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, user_id, application_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES memberships (tenant_id, user_id) ON DELETE CASCADE
);
CREATE INDEX oauth_grants_by_application ON oauth_grants (tenant_id, application_id);

-- The tokens that came from one authorization: they live and end together.
CREATE TABLE oauth_families (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    grant_id TEXT NOT NULL,
    application_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    scopes TEXT NOT NULL,
    -- When and how the person proved who they are; NULL when it is not known.
    authenticated_at BIGINT,
    methods TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, grant_id) REFERENCES oauth_grants (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX oauth_families_by_grant ON oauth_families (tenant_id, grant_id);
CREATE INDEX oauth_families_by_expiry ON oauth_families (expires_at);

CREATE TABLE oauth_refresh_tokens (
    tenant_id TEXT NOT NULL,
    -- The first half of the token's hash as base16: what a sealed pair is bound to.
    id TEXT NOT NULL,
    -- SHA-256 of the token; the token itself is stored nowhere.
    token_hash BLOB NOT NULL UNIQUE,
    family_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    -- The pair that took its place, for as long as a second use is taken for a race.
    successor_sealed BLOB,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, family_id) REFERENCES oauth_families (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX oauth_refresh_tokens_by_family ON oauth_refresh_tokens (tenant_id, family_id);
CREATE INDEX oauth_refresh_tokens_by_use ON oauth_refresh_tokens (used_at) WHERE used_at IS NOT NULL;

CREATE TABLE oauth_access_tokens (
    tenant_id TEXT NOT NULL,
    -- SHA-256 of the token; the token itself is stored nowhere.
    token_hash BLOB NOT NULL UNIQUE,
    application_id TEXT NOT NULL,
    -- NULL: the application acts for itself.
    family_id TEXT,
    scopes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, token_hash),
    FOREIGN KEY (tenant_id, family_id) REFERENCES oauth_families (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX oauth_access_tokens_by_family ON oauth_access_tokens (tenant_id, family_id);
CREATE INDEX oauth_access_tokens_by_application ON oauth_access_tokens (tenant_id, application_id);
CREATE INDEX oauth_access_tokens_by_expiry ON oauth_access_tokens (expires_at);

CREATE TABLE oauth_codes (
    tenant_id TEXT NOT NULL,
    -- SHA-256 of the code.
    code_hash BLOB NOT NULL UNIQUE,
    application_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    grant_id TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    code_challenge TEXT NOT NULL,
    scopes TEXT NOT NULL,
    nonce TEXT,
    authenticated_at BIGINT,
    methods TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    -- What was issued for it: ended when the code comes a second time.
    family_id TEXT,
    PRIMARY KEY (tenant_id, code_hash),
    FOREIGN KEY (tenant_id, grant_id) REFERENCES oauth_grants (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX oauth_codes_by_grant ON oauth_codes (tenant_id, grant_id);
CREATE INDEX oauth_codes_by_expiry ON oauth_codes (expires_at);

CREATE TABLE oauth_devices (
    -- NULL until a person decides, when the application is built in and so belongs to no tenant.
    tenant_id TEXT,
    -- SHA-256 of the device's code.
    device_hash BLOB PRIMARY KEY,
    -- What the person types, without its hyphen.
    user_code TEXT NOT NULL UNIQUE,
    application_id TEXT NOT NULL,
    scopes TEXT NOT NULL,
    -- pending, allowed or denied
    state TEXT NOT NULL,
    user_id TEXT,
    grant_id TEXT,
    authenticated_at BIGINT,
    methods TEXT NOT NULL,
    -- The device waits at least this long between two questions.
    interval_seconds BIGINT NOT NULL,
    polled_at BIGINT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX oauth_devices_by_application ON oauth_devices (tenant_id, application_id);
CREATE INDEX oauth_devices_by_expiry ON oauth_devices (expires_at);

-- The keys that sign ID tokens. They are the installation's, not a tenant's.
CREATE TABLE oauth_signing_keys (
    -- Its RFC 7638 thumbprint.
    id TEXT PRIMARY KEY,
    algorithm TEXT NOT NULL,
    public_key BLOB NOT NULL,
    -- PKCS #8.
    private_key_sealed BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    -- Others know it by then: until this time the key before it signs.
    signs_from BIGINT NOT NULL
);
