-- The tables of the bus. They stand in every service's own schema: the search path says in which.

-- What PostgreSQL knows of each journal in Redis. A tag without a row has never been stamped.
CREATE TABLE tag (
  tag smallint PRIMARY KEY CHECK (tag BETWEEN 0 AND 63),
  -- The Redis nodes that may serve it.
  node_ids text[] NOT NULL,
  -- The journal's own id, made when the tag was stamped: an emptied node does not have it.
  journal text NOT NULL,
  epoch bigint NOT NULL CHECK (epoch >= 1)
);

-- Up to where each journal has taken effect: written in the transaction of the effects, forward only.
CREATE TABLE journal_progress (
  tag smallint PRIMARY KEY CHECK (tag BETWEEN 0 AND 63),
  epoch bigint NOT NULL,
  entry_ms bigint NOT NULL,
  entry_seq bigint NOT NULL
);

-- Up to where each journal has been acknowledged by Kafka, as the holder of the lease last wrote it.
CREATE TABLE journal_mark (
  tag smallint PRIMARY KEY CHECK (tag BETWEEN 0 AND 63),
  token bigint NOT NULL,
  epoch bigint NOT NULL,
  entry_ms bigint NOT NULL,
  entry_seq bigint NOT NULL
);

-- Who relays. The advisory lock of the holder's session is the lease; the token orders the holders.
CREATE TABLE lease (
  name text PRIMARY KEY,
  token bigint NOT NULL DEFAULT 0,
  holder text NOT NULL DEFAULT '',
  taken_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What has taken effect. `ce_time` is the same on every redelivery, so the key finds a repeat in its own partition.
CREATE TABLE inbox (
  consumer text NOT NULL,
  ce_id text NOT NULL,
  ce_time timestamptz NOT NULL,
  PRIMARY KEY (consumer, ce_id, ce_time)
) PARTITION BY RANGE (ce_time);

-- What could not take effect, and what came later for the same parking key.
CREATE TABLE parked (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  consumer text NOT NULL,
  parking_key text NOT NULL,
  topic text NOT NULL,
  partition integer NOT NULL,
  "offset" bigint NOT NULL,
  headers jsonb NOT NULL,
  payload bytea NOT NULL,
  cause text NOT NULL,
  attempts integer NOT NULL,
  parked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (consumer, topic, partition, "offset")
);
CREATE INDEX parked_by_key ON parked (consumer, parking_key, id);
