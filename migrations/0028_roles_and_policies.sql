-- Roles that a tenant makes itself. The built-in ones stand in the program.
CREATE TABLE custom_roles (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    -- The name in lower case, so that uniqueness does not depend on how somebody types it.
    name_key TEXT NOT NULL,
    description TEXT NOT NULL,
    -- Permissions separated by spaces. One that a program does not know grants nothing.
    permissions TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name_key)
);

-- The tenant's own role that takes the place of `role`, which then names the nearest built-in role below it. NULL: none.
ALTER TABLE memberships ADD COLUMN custom_role_id TEXT;
CREATE INDEX memberships_by_custom_role ON memberships (tenant_id, custom_role_id) WHERE custom_role_id IS NOT NULL;
ALTER TABLE api_keys ADD COLUMN custom_role_id TEXT;
CREATE INDEX api_keys_by_custom_role ON api_keys (tenant_id, custom_role_id) WHERE custom_role_id IS NOT NULL;

-- From where the key may be used: networks such as 192.0.2.0/24, separated by spaces. NULL: from anywhere.
ALTER TABLE api_keys ADD COLUMN addresses TEXT;
ALTER TABLE api_keys ADD COLUMN last_used_address TEXT;
-- The key whose place this one took, and the key that took its place.
ALTER TABLE api_keys ADD COLUMN replaces_id TEXT;
ALTER TABLE api_keys ADD COLUMN replaced_by_id TEXT;

-- What roles cannot say: texts in Cedar's language. A text may hold several statements.
CREATE TABLE access_policies (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    description TEXT NOT NULL,
    text TEXT NOT NULL,
    -- How many statements the text holds.
    statements BIGINT NOT NULL,
    enabled BIGINT NOT NULL,
    -- 1 at first, and one more with every change.
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    -- Who changed it last, as JSON.
    updated_by TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name_key)
);

CREATE TABLE access_policy_versions (
    tenant_id TEXT NOT NULL,
    policy_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    text TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    -- Who made this version, as JSON.
    changed_by TEXT NOT NULL,
    PRIMARY KEY (tenant_id, policy_id, version),
    FOREIGN KEY (tenant_id, policy_id) REFERENCES access_policies (tenant_id, id) ON DELETE CASCADE
);

-- A tenant's policies as a whole: every change makes a new revision, by which processes know what they have compiled.
CREATE TABLE access_policy_sets (
    tenant_id TEXT NOT NULL,
    revision BIGINT NOT NULL,
    -- How many policies are in force.
    enabled BIGINT NOT NULL,
    PRIMARY KEY (tenant_id)
);
