-- A copy of each parked event goes to the dead letter topic, once Kafka has it this says when.
ALTER TABLE parked ADD COLUMN copied_at timestamptz;
CREATE INDEX parked_uncopied ON parked (id) WHERE copied_at IS NULL;
