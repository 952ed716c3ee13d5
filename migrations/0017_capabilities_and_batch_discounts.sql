-- What a provider's chat model can do beyond text, as a JSON array of words: nothing of it is searched for. NULL: not known.
ALTER TABLE models ADD COLUMN capabilities TEXT;
