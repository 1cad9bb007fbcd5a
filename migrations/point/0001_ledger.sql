-- The ledger of points. An entry moves points between a user's account and one of the house's: ISSUED, where points come from, SPENT,
-- where orders take them to, and EXPIRED. What the one is credited the other is debited, in the same row: the sum over all accounts is 0.

-- Accounts of users. The balance is kept, and is the sum of the account's entries at every moment; whoever changes it has locked the row.
-- The house's accounts have no row: everybody would wait for it.
CREATE TABLE point.account (
  user_id text COLLATE "C" PRIMARY KEY CHECK (octet_length(user_id) BETWEEN 1 AND 64),
  balance bigint NOT NULL DEFAULT 0 CHECK (balance >= 0),
  -- Counts its entries.
  version bigint NOT NULL DEFAULT 0 CHECK (version >= 0),
  -- When the next of its points expire, if any do.
  next_expiry timestamptz,
  -- When its last entry was made.
  changed_at timestamptz
  -- Room in each page for the next version of its rows: they then need no new entry in an index.
) WITH (fillfactor = 50);
CREATE INDEX account_by_expiry ON point.account (next_expiry) WHERE next_expiry IS NOT NULL;

-- What has happened to each account, in its order. Rows are only ever added.
CREATE TABLE point.entry (
  user_id text COLLATE "C" NOT NULL,
  -- Its number in the account: 1, 2, 3, ... without a gap.
  nth bigint NOT NULL CHECK (nth >= 1),
  kind text COLLATE "C" NOT NULL,
  -- The house's account.
  house text COLLATE "C" NOT NULL GENERATED ALWAYS AS (
    CASE kind WHEN 'EARN' THEN 'ISSUED' WHEN 'EXPIRE' THEN 'EXPIRED' ELSE 'SPENT' END) STORED,
  -- What the user's account is credited and the house's is debited; below zero the other way round.
  amount bigint NOT NULL,
  balance_after bigint NOT NULL CHECK (balance_after >= 0),
  order_id text COLLATE "C",
  request_id text COLLATE "C",
  reason text,
  -- Since when these points were expired; the entry may have been made a little later.
  expired_at timestamptz,
  -- Never earlier than that of the entry before.
  created_at timestamptz NOT NULL,
  PRIMARY KEY (user_id, nth),
  CHECK (CASE kind
    WHEN 'EARN' THEN amount > 0
    WHEN 'DEDUCT' THEN amount < 0 AND order_id IS NOT NULL
    WHEN 'REFUND' THEN amount > 0 AND order_id IS NOT NULL
    WHEN 'EXPIRE' THEN amount < 0 AND expired_at IS NOT NULL
    ELSE false END)
);

-- The function is one of the bus, which has tables of this kind too.
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON point.entry
  FOR EACH STATEMENT EXECUTE FUNCTION point.refuse_change();

-- Both sides of each entry.
CREATE VIEW point.leg AS
  SELECT user_id AS account, amount, created_at FROM point.entry
  UNION ALL
  SELECT 'house/' || house, -amount, created_at FROM point.entry;

-- Points that expire, and have not been used: a part of the balance. What never expires has no row.
CREATE TABLE point.lot (
  user_id text COLLATE "C" NOT NULL,
  expires_at timestamptz NOT NULL,
  remaining bigint NOT NULL CHECK (remaining > 0),
  PRIMARY KEY (user_id, expires_at)
);

-- What each order has done with points: taken once and given back once, whoever asked.
CREATE TABLE point.order_use (
  order_id text COLLATE "C" PRIMARY KEY CHECK (octet_length(order_id) BETWEEN 1 AND 64),
  -- Whose points were taken.
  user_id text COLLATE "C",
  taken bigint NOT NULL DEFAULT 0 CHECK (taken >= 0),
  refunded bigint NOT NULL DEFAULT 0 CHECK (refunded IN (0, taken)),
  -- The entries of both.
  taken_nth bigint,
  refunded_nth bigint,
  -- Of what was taken, what would have expired and when: [[microseconds since 1970, points], ...].
  lots jsonb,
  -- The mark of the undo: from then on nothing is taken.
  undone boolean NOT NULL DEFAULT false,
  -- What the order was told when it asked for its points: DONE, or why not.
  answer text COLLATE "C"
  -- A row is written when the order is first seen, and again when it is known what became of it.
) WITH (fillfactor = 45);

-- Requests that must not be carried out twice, for 24 hours, with their answers.
CREATE TABLE point.request (
  request_id text COLLATE "C" PRIMARY KEY,
  -- SHA-256 of what was asked.
  digest bytea NOT NULL,
  -- The entry that was made, if one was.
  user_id text COLLATE "C",
  nth bigint,
  -- Why it was refused, if it was.
  refusal text COLLATE "C",
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX request_by_age ON point.request (created_at);
