-- What can be ordered. What was ever put into the stock of an item is what is on hand and what was sold, always.
CREATE TABLE "order".item (
  item_id text PRIMARY KEY CHECK (item_id ~ '^[A-Za-z0-9_-]{1,64}$'),
  venue_id text NOT NULL,
  name text NOT NULL,
  currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  price bigint NOT NULL CHECK (price >= 0),
  stock bigint NOT NULL CHECK (stock >= 0),
  sold bigint NOT NULL DEFAULT 0 CHECK (sold >= 0),
  stocked bigint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CHECK (stock + sold = stocked)
) WITH (fillfactor = 70);
CREATE INDEX item_by_age ON "order".item (created_at DESC, item_id DESC);
CREATE INDEX item_of_venue_by_age ON "order".item (venue_id, created_at DESC, item_id DESC);

-- Orders, each with its whole saga: one row is changed by whatever happens to it.
CREATE TABLE "order".orders (
  order_id text PRIMARY KEY,
  user_id text NOT NULL,
  lines jsonb NOT NULL,
  coupon_id text,
  hold_id text,
  points bigint NOT NULL CHECK (points >= 0),
  currency text NOT NULL,
  subtotal bigint NOT NULL CHECK (subtotal >= 0),
  discount bigint NOT NULL DEFAULT 0 CHECK (discount BETWEEN 0 AND subtotal),
  payment_method text NOT NULL,
  state text NOT NULL CHECK (state IN
    ('PENDING', 'PAID', 'PREPARING', 'SHIPPING', 'DELIVERED', 'CANCELLING', 'CANCELLED', 'FAILED')),
  reason text,
  -- The steps that were asked for: see saga/progress.rs.
  steps jsonb NOT NULL,
  version bigint NOT NULL CHECK (version >= 1),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  paid_at timestamptz,
  -- The timer: when a participant is asked again, or given up, if nothing comes before.
  due_at timestamptz,
  CHECK (state NOT IN ('PENDING', 'CANCELLING') OR due_at IS NOT NULL),
  CHECK (state NOT IN ('PAID', 'PREPARING', 'SHIPPING', 'DELIVERED') OR paid_at IS NOT NULL),
  CHECK (state NOT IN ('CANCELLING', 'CANCELLED', 'FAILED') OR reason IS NOT NULL)
) WITH (fillfactor = 50);
CREATE INDEX orders_of_user ON "order".orders (user_id, created_at DESC, order_id DESC);
CREATE INDEX orders_due ON "order".orders (due_at) WHERE due_at IS NOT NULL;

-- The last judge of what follows what; order.rs has the same table.
CREATE FUNCTION "order".order_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (OLD.state || ' ' || NEW.state) NOT IN (
    'PENDING PAID', 'PENDING CANCELLING', 'PENDING CANCELLED', 'PENDING FAILED',
    'PAID PREPARING', 'PAID CANCELLING', 'PAID CANCELLED',
    'PREPARING SHIPPING', 'PREPARING CANCELLING', 'PREPARING CANCELLED',
    'SHIPPING DELIVERED',
    'CANCELLING CANCELLED', 'CANCELLING FAILED') THEN
    RAISE EXCEPTION 'an order that is % does not become %', OLD.state, NEW.state
      USING ERRCODE = 'check_violation', CONSTRAINT = 'order_transition';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER order_transition BEFORE UPDATE OF state ON "order".orders FOR EACH ROW
  WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION "order".order_transition();

-- Requests that must not be carried out twice, for 24 hours.
CREATE TABLE "order".request (
  request_id text PRIMARY KEY,
  -- SHA-256 of what was asked.
  digest bytea NOT NULL,
  -- The order that it placed, or the item whose stock it changed.
  made text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX request_by_age ON "order".request (created_at);
