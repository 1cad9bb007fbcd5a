-- What is told by transactions, and waits for Kafka. Rows that were sent are never deleted one by one: a partition goes as a whole, once
-- all of it was sent. `happened_at` is when the row was written, not when its transaction began: it never belongs to an old partition.
CREATE SEQUENCE outbox_id;
-- Into how many parts it is divided, for every relay of whatever version. It never changes: a key would change its part.
CREATE FUNCTION outbox_parts() RETURNS smallint LANGUAGE sql IMMUTABLE AS 'SELECT 16::smallint';
CREATE TABLE outbox (
  -- In order for each partition key: whoever writes has locked the aggregate before. So nobody may take ids ahead (CACHE 1).
  id bigint NOT NULL DEFAULT nextval('outbox_id'),
  -- The hash partition, which one relay at a time owns. Their number is fixed here.
  slot smallint NOT NULL GENERATED ALWAYS AS ((hashtext(partition_key) & 15)::smallint) STORED,
  ce_id uuid NOT NULL,
  kind text NOT NULL CHECK (octet_length(kind) BETWEEN 1 AND 200),
  subject text NOT NULL CHECK (octet_length(subject) BETWEEN 1 AND 200),
  sequence bigint NOT NULL,
  partition_key text NOT NULL CHECK (octet_length(partition_key) BETWEEN 1 AND 200),
  traceparent text CHECK (octet_length(traceparent) <= 200),
  payload bytea NOT NULL CHECK (octet_length(payload) <= 65536),
  happened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- When Kafka had acknowledged it.
  sent_at timestamptz
) PARTITION BY RANGE (happened_at);
-- The only index: a row that was sent is in none, so that it costs nobody anything.
CREATE INDEX outbox_unsent ON outbox (slot, id) WHERE sent_at IS NULL;
