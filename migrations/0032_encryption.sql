-- Which kind of master key wrapped a data key: `file` (a key of the local key file) or `vault` (a key of Vault's transit engine).
ALTER TABLE tenant_keys ADD COLUMN wrapped_by TEXT NOT NULL DEFAULT 'file';
-- Which of them: the fingerprint of a key of the file, or mount, name and version in Vault. NULL: wrapped before this was written down.
ALTER TABLE tenant_keys ADD COLUMN wrapping_key TEXT;
-- When a newer version took its place; what it sealed is sealed again, and then it is deleted.
ALTER TABLE tenant_keys ADD COLUMN retired_at BIGINT;

-- Each change of a data key to its version `version`. The tenant_id `installation` stands for the installation's own key.
CREATE TABLE key_rotations (
    tenant_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    -- resealing, destroying (nothing is sealed with the old version any more), done, or stuck.
    state TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    -- Sealed values that are under the new version, of how many, and how many do not open.
    done BIGINT NOT NULL,
    total BIGINT NOT NULL,
    unreadable BIGINT NOT NULL,
    -- When the old version was destroyed.
    finished_at BIGINT,
    -- Why it is stuck.
    error TEXT,
    PRIMARY KEY (tenant_id, version)
);

-- Services that show a certificate of their own (mTLS) instead of an API key.
CREATE TABLE service_identities (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    -- The SPIFFE id in the certificate, as in spiffe://example.org/billing. One service acts in one tenant.
    spiffe_id TEXT NOT NULL UNIQUE,
    -- The API key as which the service acts: its permissions, team and end are the service's.
    api_key_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX service_identities_by_key ON service_identities (tenant_id, api_key_id);
