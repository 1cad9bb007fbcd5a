-- What orders have asked of promotion: to redeem a coupon (DO), or to take it back (UNDO). One row for each order and kind. It is
-- worked off outside of the transaction that wrote it, because Redis decides. An UNDO is a mark too: the DO that comes later is refused.
CREATE TABLE promotion.errand (
  order_id text NOT NULL CHECK (order_id ~ '^[A-Za-z0-9_-]{1,64}$'),
  kind text NOT NULL CHECK (kind IN ('DO', 'UNDO')),
  coupon_id text NOT NULL,
  user_id text NOT NULL,
  -- What it is done for, if anybody traces it.
  traceparent text,
  -- How often it was taken up.
  attempts integer NOT NULL DEFAULT 0,
  -- When it may be taken up; whoever takes it up puts it off first, so that nobody else does.
  due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- The answer as it was given: a CouponStepAnswered. Whoever asks again is given the same.
  answer bytea,
  -- How often it was given.
  told integer NOT NULL DEFAULT 0,
  ended_at timestamptz,
  PRIMARY KEY (order_id, kind),
  CHECK ((answer IS NULL) = (ended_at IS NULL))
);
CREATE INDEX errand_open ON promotion.errand (due_at) WHERE ended_at IS NULL;

-- What an order has redeemed.
CREATE INDEX coupon_by_order ON promotion.coupon (order_id) WHERE order_id IS NOT NULL;
