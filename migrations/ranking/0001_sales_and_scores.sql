-- One row for each order that was ever paid: what it has sold, and whether that still counts. It counts where the order was paid and
-- not cancelled, whichever of the two was heard of first, and however often.
CREATE TABLE ranking.sale (
  order_id text PRIMARY KEY CHECK (order_id ~ '^[A-Za-z0-9_-]{1,64}$'),
  -- [{"day": "2030-01-31", "item_id": "burger", "quantity": 2}, ...]. The day is that of the venue when the order was first heard of:
  -- a time zone that is set differently later moves nothing.
  lines jsonb NOT NULL CHECK (jsonb_typeof(lines) = 'array'),
  paid boolean NOT NULL,
  cancelled boolean NOT NULL,
  -- Whether it counted before its last change: a statement that changes a row can tell what it became, and not what it was.
  counted_before boolean NOT NULL DEFAULT false,
  CHECK (paid OR cancelled)
);

-- How many of each item were sold on a day. A row never goes: its version tells Redis which of two scores is the newer one.
CREATE TABLE ranking.day_score (
  day date NOT NULL,
  -- In the order of bytes, which is that of Redis.
  item_id text COLLATE "C" NOT NULL CHECK (item_id ~ '^[A-Za-z0-9_-]{1,64}$'),
  -- Redis keeps it as a floating point number: seven of them together are exact up to here.
  score bigint NOT NULL CHECK (score BETWEEN 0 AND 1000000000000000),
  -- Counts its changes. That of an item on the board of a week is the sum of its seven days.
  version bigint NOT NULL CHECK (version >= 1),
  -- The newest version that the boards of its day and its week are known to have.
  applied bigint NOT NULL DEFAULT 0 CHECK (applied <= version),
  PRIMARY KEY (day, item_id)
);
CREATE INDEX day_score_unapplied ON ranking.day_score (day, item_id) WHERE applied < version;

-- How many of each item were ever sold.
CREATE TABLE ranking.all_time (
  item_id text COLLATE "C" PRIMARY KEY CHECK (item_id ~ '^[A-Za-z0-9_-]{1,64}$'),
  score bigint NOT NULL CHECK (score >= 0)
);
CREATE INDEX all_time_top ON ranking.all_time (score DESC, item_id) WHERE score > 0;
