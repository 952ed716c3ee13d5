-- What a kind of provider may need beyond its address and key, as JSON; NULL: nothing.
ALTER TABLE model_providers ADD COLUMN options TEXT;

-- The route that chose the model, when the caller named a route.
ALTER TABLE model_calls ADD COLUMN route TEXT;
-- Which models were asked in turn, as JSON; NULL: one, which answered.
ALTER TABLE model_calls ADD COLUMN attempts TEXT;
