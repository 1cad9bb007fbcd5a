-- Finds again by its place what an operator has discarded.
CREATE INDEX dead_letter_action_discarded ON dead_letter_action (consumer, topic, partition, "offset") WHERE action = 'DISCARD';
