-- 1 when somebody entered the address who manages the installation: it may lead anywhere, also into the server's own network. Other
-- addresses lead to the public internet and to the networks that the configuration allows.
ALTER TABLE model_providers ADD COLUMN unguarded BIGINT NOT NULL DEFAULT 0;

-- Providers that are there already go on in the workspaces of those who manage the installation.
UPDATE model_providers SET unguarded = 1 WHERE tenant_id IN (
    SELECT m.tenant_id FROM memberships m JOIN users u ON u.id = m.user_id WHERE u.operator = 1 AND m.role = 'owner');
