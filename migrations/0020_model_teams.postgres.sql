-- The team to which a call is counted; NULL when it is no team's. It outlives the team.
ALTER TABLE model_calls ADD COLUMN team_id TEXT;
CREATE INDEX model_calls_by_team ON model_calls (tenant_id, team_id, id) WHERE team_id IS NOT NULL;

-- The team to which the calls of background work are counted: that of whoever began it, at that time.
ALTER TABLE model_batches ADD COLUMN team_id TEXT;
ALTER TABLE model_benchmarks ADD COLUMN team_id TEXT;

-- Sums are told apart by team too; empty when the calls are no team's, as all are that were made before there were teams.
ALTER TABLE model_usage ADD COLUMN team_id TEXT NOT NULL DEFAULT '';
ALTER TABLE model_usage DROP CONSTRAINT model_usage_pkey;
ALTER TABLE model_usage ADD PRIMARY KEY (tenant_id, day, model, api_key_id, user_id, team_id, route, currency);
