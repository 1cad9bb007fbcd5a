-- What one order is charged, and what became of it. It is written down before the provider is asked for anything.
CREATE TABLE payment.payment (
  -- Later ones sort after earlier ones: the lists go by it.
  payment_id text PRIMARY KEY CHECK (payment_id ~ '^[A-Za-z0-9_-]{1,64}$'),
  -- One payment an order. It is the key of the charge at the provider, too: the same for ever.
  order_id text NOT NULL UNIQUE CHECK (order_id ~ '^[A-Za-z0-9_-]{1,64}$'),
  user_id text NOT NULL,
  -- In minor units.
  amount bigint NOT NULL CHECK (amount > 0),
  currency text NOT NULL CHECK (octet_length(currency) = 3),
  method text NOT NULL CHECK (octet_length(method) BETWEEN 1 AND 64),
  state text NOT NULL CHECK (state IN ('PENDING', 'DECLINED', 'VOIDED', 'CHARGED', 'REFUNDED')),
  refunded bigint NOT NULL DEFAULT 0,
  -- The provider's own name of the charge.
  provider_reference text CHECK (octet_length(provider_reference) BETWEEN 1 AND 200),
  -- Counts the changes that others can see.
  version bigint NOT NULL DEFAULT 1 CHECK (version >= 1),
  -- What the order wants: once it is UNDO, it is UNDO for ever.
  wanted text NOT NULL CHECK (wanted IN ('CHARGE', 'UNDO')),
  -- What the order was told when it asked for the charge: the same for ever.
  answer text CHECK (answer IN ('DONE', 'PAYMENT_DECLINED', 'ORDER_UNDONE')),
  -- What the order has asked, and has not been answered yet.
  owes_do boolean NOT NULL,
  owes_undo boolean NOT NULL,
  -- Calls in a row that have brought no answer, of what is wanted now.
  attempts integer NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT payment_refunded CHECK (refunded = CASE state WHEN 'REFUNDED' THEN amount ELSE 0 END),
  CONSTRAINT payment_reference CHECK ((provider_reference IS NOT NULL) = (state IN ('CHARGED', 'REFUNDED'))),
  CONSTRAINT payment_undone CHECK (wanted = 'UNDO' OR state NOT IN ('VOIDED', 'REFUNDED')),
  CONSTRAINT payment_answered CHECK (
    (state = 'PENDING' OR (state = 'CHARGED' AND wanted = 'UNDO')) OR (answer IS NOT NULL AND NOT owes_do AND NOT owes_undo))
) WITH (
  -- A payment is changed once or twice, soon after it was written, and never in a column of an index: there is room for that beside it,
  -- so that no index learns of it.
  fillfactor = 75
);
CREATE INDEX payment_of_user ON payment.payment (user_id, payment_id);

-- What is to be settled: PENDING, or CHARGED and to be undone. It stands apart because it changes often, and goes when it is done.
CREATE TABLE payment.due (
  order_id text PRIMARY KEY,
  -- Undos come first.
  undo boolean NOT NULL,
  -- Since when that is wanted.
  wanted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- When the provider may be asked next; while it is asked, until when nobody else asks.
  due_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (
  -- What was taken or is done leaves dead entries in the indexes, which each look passes until they are vacuumed.
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000
);
CREATE INDEX due_charge ON payment.due (due_at) WHERE NOT undo;
CREATE INDEX due_undo ON payment.due (due_at) WHERE undo;

-- What must never happen, whoever writes: what a payment is changes, what is known is forgotten, what is undone is wanted again.
CREATE FUNCTION payment.hold() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  -- How much is known. A provider that breaks its word may charge what it had declined or voided.
  before integer := CASE OLD.state WHEN 'PENDING' THEN 1 WHEN 'CHARGED' THEN 3 WHEN 'REFUNDED' THEN 4 ELSE 2 END;
  after integer := CASE NEW.state WHEN 'PENDING' THEN 1 WHEN 'CHARGED' THEN 3 WHEN 'REFUNDED' THEN 4 ELSE 2 END;
BEGIN
  IF ROW(NEW.payment_id, NEW.order_id, NEW.user_id, NEW.amount, NEW.currency, NEW.method, NEW.created_at)
     IS DISTINCT FROM ROW(OLD.payment_id, OLD.order_id, OLD.user_id, OLD.amount, OLD.currency, OLD.method, OLD.created_at) THEN
    RAISE EXCEPTION 'what payment % is never changes', OLD.payment_id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'payment_same';
  END IF;
  IF NEW.state <> OLD.state AND after <= before THEN
    RAISE EXCEPTION 'payment % is % and never becomes %', OLD.payment_id, OLD.state, NEW.state
      USING ERRCODE = 'check_violation', CONSTRAINT = 'payment_forward';
  END IF;
  IF NEW.refunded < OLD.refunded OR NEW.version < OLD.version OR (OLD.wanted = 'UNDO' AND NEW.wanted <> 'UNDO')
     OR (OLD.answer IS NOT NULL AND NEW.answer IS DISTINCT FROM OLD.answer) THEN
    RAISE EXCEPTION 'payment % would forget something', OLD.payment_id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'payment_kept';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER payment_hold BEFORE UPDATE ON payment.payment FOR EACH ROW EXECUTE FUNCTION payment.hold();
