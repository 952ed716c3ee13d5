-- Teams: people of a tenant whose model calls are counted together.
CREATE TABLE teams (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    -- The name in lower case, so that uniqueness does not depend on how somebody types it.
    name_key TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name_key)
);

CREATE TABLE team_members (
    tenant_id TEXT NOT NULL,
    team_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    -- 1: the person's calls are counted to this team, unless an API key says otherwise.
    is_default BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, team_id, user_id),
    FOREIGN KEY (tenant_id, team_id) REFERENCES teams (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, user_id) REFERENCES memberships (tenant_id, user_id) ON DELETE CASCADE
);
CREATE INDEX team_members_by_user ON team_members (tenant_id, user_id);
-- A call is counted to one team at most.
CREATE UNIQUE INDEX team_members_default ON team_members (tenant_id, user_id) WHERE is_default = 1;

-- The team to which the key's calls are counted; NULL: that of its person.
ALTER TABLE api_keys ADD COLUMN team_id TEXT;
CREATE INDEX api_keys_by_team ON api_keys (tenant_id, team_id) WHERE team_id IS NOT NULL;
