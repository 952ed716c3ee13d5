-- What a provider's chat model can do beyond text, as a JSON array of words: nothing of it is searched for. NULL: not known.
ALTER TABLE models ADD COLUMN capabilities TEXT;
-- By how many percent a call costs less than the administrator's price when the provider's own batch API runs it. NULL: it
-- costs as much.
ALTER TABLE models ADD COLUMN batch_discount_percent BIGINT;
