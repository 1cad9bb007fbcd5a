-- What was ordered of a deal. What happens to it (opened, taken, closed) is counted by Redis.
CREATE TABLE promotion.deal (
  deal_id text PRIMARY KEY CHECK (deal_id ~ '^[A-Za-z0-9_-]{1,48}$'),
  tag smallint NOT NULL CHECK (tag BETWEEN 0 AND 63),
  venue_id text NOT NULL,
  -- CREATED: not yet known to be armed in Redis. ARMED: its journal is in Redis; if it is missing there it is frozen.
  state text NOT NULL CHECK (state IN ('CREATED', 'ARMED')),
  -- Counts what was wished for; Redis ignores older wishes.
  version bigint NOT NULL CHECK (version >= 1),
  -- The newest version that Redis has decided on.
  applied bigint NOT NULL DEFAULT 0,
  title text NOT NULL,
  -- What is in force, as Redis last decided.
  stock bigint NOT NULL CHECK (stock BETWEEN 1 AND 10000000),
  -- What was last wished for.
  wanted_stock bigint NOT NULL CHECK (wanted_stock BETWEEN 1 AND 10000000),
  opens_at timestamptz NOT NULL,
  closes_at timestamptz NOT NULL CHECK (closes_at > opens_at),
  prize jsonb NOT NULL,
  pass_required boolean NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX deal_unapplied ON promotion.deal (deal_id) WHERE state = 'CREATED' OR applied < version;

-- One row for each yes that was ever said. The constraints are the last judge of what Redis has decided.
CREATE TABLE promotion.coupon (
  deal_id text NOT NULL,
  rank bigint NOT NULL CHECK (rank >= 1),
  user_id text NOT NULL,
  seat bigint NOT NULL CHECK (seat >= 1),
  venue_id text NOT NULL,
  prize jsonb NOT NULL,
  state text NOT NULL CHECK (state IN ('ISSUED', 'REDEEMED', 'RETURNED')),
  -- The coupon's own count of its changes: an older one never overwrites a newer one.
  version bigint NOT NULL CHECK (version >= 1),
  -- Retired because a higher rank sits on its seat; its own return is still on the way.
  inferred boolean NOT NULL DEFAULT false,
  claimed_at timestamptz NOT NULL,
  expires_at timestamptz,
  order_id text,
  PRIMARY KEY (deal_id, rank),
  UNIQUE (deal_id, user_id)
);
CREATE UNIQUE INDEX coupon_live_seat ON promotion.coupon (deal_id, seat) WHERE state <> 'RETURNED';
CREATE INDEX coupon_by_user ON promotion.coupon (user_id, claimed_at DESC, deal_id DESC, rank DESC);

-- Requests that must not be carried out twice, for 24 hours.
CREATE TABLE promotion.request (
  request_id text PRIMARY KEY,
  -- SHA-256 of what was asked.
  digest bytea NOT NULL,
  -- The deal that it made.
  deal_id text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX request_by_age ON promotion.request (created_at);
