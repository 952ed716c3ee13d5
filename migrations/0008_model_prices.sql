-- What an administrator says of a price. NULL in a price means unknown, never free: 1 in `free` says that.
ALTER TABLE models ADD COLUMN cached_input_price_micros BIGINT;
ALTER TABLE models ADD COLUMN cache_write_price_micros BIGINT;
ALTER TABLE models ADD COLUMN free BIGINT;

-- Of the tokens read, those that were written to a cache; of the tokens written, those that were thoughts.
ALTER TABLE model_calls ADD COLUMN cache_write_tokens BIGINT NOT NULL DEFAULT 0;
ALTER TABLE model_calls ADD COLUMN reasoning_tokens BIGINT NOT NULL DEFAULT 0;
