-- QUARANTINED: so many replays have failed that it is only replayed when it is named, or after it was edited.
ALTER TABLE parked ADD COLUMN state text NOT NULL DEFAULT 'PARKED' CHECK (state IN ('PARKED', 'QUARANTINED'));
ALTER TABLE parked ADD COLUMN failed_replays integer NOT NULL DEFAULT 0;
-- Why the last replay failed.
ALTER TABLE parked ADD COLUMN replay_cause text;

-- What operators did to dead letters, and to which: the dead letter itself may be gone. Written in the transaction of the deed.
CREATE TABLE dead_letter_action (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  done_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  operator text NOT NULL,
  -- REPLAY DONE: it took effect now. REPLAY AGAIN: it had taken effect before.
  action text NOT NULL CHECK (action IN ('EDIT', 'DISCARD', 'REPLAY DONE', 'REPLAY AGAIN', 'REPLAY FAILED')),
  -- Of an edit or a discard: the operator's reason. Of a replay that failed: its cause.
  why text NOT NULL,
  dead_letter_id bigint NOT NULL,
  consumer text NOT NULL,
  parking_key text NOT NULL,
  topic text NOT NULL,
  partition integer NOT NULL,
  "offset" bigint NOT NULL,
  headers jsonb NOT NULL,
  -- The payload before and after an edit; what was discarded has only a before.
  before bytea,
  after bytea
);
CREATE INDEX dead_letter_action_by_id ON dead_letter_action (dead_letter_id, id);

-- Nobody changes what was done.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append only', TG_TABLE_NAME;
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON dead_letter_action
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
