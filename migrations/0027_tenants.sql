-- The life of a tenant: active, suspended, deleting (its owner may still take that back) or erasing.
ALTER TABLE tenants ADD COLUMN state TEXT NOT NULL DEFAULT 'active';
-- What the state was before the deletion was asked for, to return to.
ALTER TABLE tenants ADD COLUMN state_before TEXT;
-- Why it is suspended, in words for its people.
ALTER TABLE tenants ADD COLUMN state_reason TEXT;
-- Since when it is in this state. NULL: since it was made.
ALTER TABLE tenants ADD COLUMN state_at BIGINT;
-- From when on it is erased, if it is to be.
ALTER TABLE tenants ADD COLUMN delete_at BIGINT;
-- What its plan is called. What the plan allows stands in tenant_quotas.
ALTER TABLE tenants ADD COLUMN plan TEXT NOT NULL DEFAULT 'standard';
CREATE INDEX tenants_to_erase ON tenants (delete_at) WHERE delete_at IS NOT NULL;

-- A person may be in several tenants: being locked out of one is nothing to the others. Who was disabled stays so everywhere.
ALTER TABLE memberships ADD COLUMN disabled_at BIGINT;
UPDATE memberships SET disabled_at = (SELECT u.disabled_at FROM users u WHERE u.id = memberships.user_id);
ALTER TABLE users DROP COLUMN disabled_at;
-- When the person entered the tenant last: a login leads to the one of the last use.
ALTER TABLE memberships ADD COLUMN last_used_at BIGINT;
UPDATE memberships SET last_used_at = (SELECT u.last_login_at FROM users u WHERE u.id = memberships.user_id);

-- Work that a tenant's owner may ask for while the tenant is suspended or to be deleted does not wait with its other work.
ALTER TABLE jobs ADD COLUMN while_suspended BIGINT NOT NULL DEFAULT 0;

-- How a tenant looks and what it is told by. No row: as the program itself.
CREATE TABLE tenant_branding (
    tenant_id TEXT NOT NULL,
    -- #rrggbb, for light and for dark pages.
    accent_color TEXT,
    accent_color_dark TEXT,
    -- Whom people turn to: an address or a page.
    support_contact TEXT,
    -- Below every mail that is sent for the tenant.
    mail_footer TEXT NOT NULL DEFAULT '',
    -- The blob of the logo, what it is by its own first bytes, and the SHA-256 of them all as base16.
    logo_blob TEXT,
    logo_media_type TEXT,
    logo_hash TEXT,
    -- A host name that the tenant asked for. An operator confirms it.
    domain TEXT,
    domain_requested_at BIGINT,
    domain_confirmed_at BIGINT,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id)
);
-- Asking for a name takes it from nobody; a confirmed one is one tenant's.
CREATE UNIQUE INDEX tenant_branding_by_domain ON tenant_branding (domain) WHERE domain_confirmed_at IS NOT NULL;

-- What a tenant's plan allows at most. No row: nothing limits it but the program's own bounds.
CREATE TABLE tenant_quotas (
    tenant_id TEXT NOT NULL,
    -- users, api_keys, collections, documents or storage_bytes.
    resource TEXT NOT NULL,
    limit_max BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, resource)
);

-- Sums that the transactions keep which change what is counted. Users and API keys are few and are counted.
CREATE TABLE tenant_usage (
    tenant_id TEXT NOT NULL,
    resource TEXT NOT NULL,
    used BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, resource)
);
INSERT INTO tenant_usage (tenant_id, resource, used)
    SELECT tenant_id, 'collections', COUNT(*) FROM collections GROUP BY tenant_id;
INSERT INTO tenant_usage (tenant_id, resource, used)
    SELECT tenant_id, 'documents', COUNT(*) FROM knowledge_documents GROUP BY tenant_id;
INSERT INTO tenant_usage (tenant_id, resource, used)
    SELECT stored.tenant_id, 'storage_bytes', CAST(SUM(stored.size_bytes) AS BIGINT)
    FROM (SELECT tenant_id, size_bytes FROM knowledge_versions UNION ALL SELECT tenant_id, size_bytes FROM model_files) AS stored
    GROUP BY stored.tenant_id;

-- People who were asked by mail to join. Whoever accepts becomes a user; the row stays to tell of it.
CREATE TABLE invitations (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    -- Lower case, as in users.
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    -- SHA-256 of the token in the mail; the token itself is stored nowhere. Sending again makes a new one.
    token_hash BLOB NOT NULL UNIQUE,
    invited_by TEXT NOT NULL,
    sent_count BIGINT NOT NULL,
    sent_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    accepted_at BIGINT,
    accepted_by TEXT,
    revoked_at BIGINT,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX invitations_open ON invitations (tenant_id, email) WHERE accepted_at IS NULL AND revoked_at IS NULL;

-- Copies of all that a tenant has, to take away. The bytes are a blob until expires_at.
CREATE TABLE tenant_exports (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    -- queued, running, ready, failed or expired.
    state TEXT NOT NULL,
    -- Who asked for it, as JSON.
    requested_by TEXT NOT NULL,
    -- Rows and files, those written and all.
    progress_done BIGINT NOT NULL DEFAULT 0,
    progress_total BIGINT NOT NULL DEFAULT 0,
    size_bytes BIGINT,
    blob TEXT NOT NULL,
    error_reason TEXT,
    error_detail TEXT,
    created_at BIGINT NOT NULL,
    finished_at BIGINT,
    expires_at BIGINT,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX tenant_exports_ended ON tenant_exports (expires_at) WHERE state = 'ready';
