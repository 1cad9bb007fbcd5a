-- Every statement of a process of before, as it sends them: promotion's, and the bus's in promotion's schema.

DELETE FROM promotion.request WHERE created_at < clock_timestamp() - interval '24 hours';

INSERT INTO inbox (consumer, ce_id, ce_time)
         SELECT $1, ce_id, ce_time FROM UNNEST($2::text[], $3::timestamptz[]) AS t (ce_id, ce_time)
         ORDER BY ce_id
         ON CONFLICT DO NOTHING RETURNING ce_id;

INSERT INTO journal_mark AS mine (tag, token, epoch, entry_ms, entry_seq)
         SELECT tag, $5, epoch, entry_ms, entry_seq
         FROM UNNEST($1::smallint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS t (tag, epoch, entry_ms, entry_seq)
         ON CONFLICT (tag) DO UPDATE SET token = excluded.token, epoch = excluded.epoch,
           entry_ms = excluded.entry_ms, entry_seq = excluded.entry_seq
         WHERE mine.token <= excluded.token
           AND (mine.epoch, mine.entry_ms, mine.entry_seq)
             < (excluded.epoch, excluded.entry_ms, excluded.entry_seq);

INSERT INTO journal_progress AS mine (tag, epoch, entry_ms, entry_seq)
         SELECT * FROM UNNEST($1::smallint[], $2::bigint[], $3::bigint[], $4::bigint[])
         ON CONFLICT (tag) DO UPDATE SET epoch = excluded.epoch, entry_ms = excluded.entry_ms,
           entry_seq = excluded.entry_seq
         WHERE (mine.epoch, mine.entry_ms, mine.entry_seq)
             < (excluded.epoch, excluded.entry_ms, excluded.entry_seq);

INSERT INTO lease AS mine (name, token, holder) VALUES ($1, 1, $2)
         ON CONFLICT (name) DO UPDATE SET token = mine.token + 1, holder = excluded.holder,
           taken_at = clock_timestamp()
         RETURNING token;

INSERT INTO parked (consumer, parking_key, topic, partition, "offset", headers, payload, cause, attempts)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
           ON CONFLICT (consumer, topic, partition, "offset") DO NOTHING;

INSERT INTO promotion.coupon AS mine (deal_id, rank, user_id, seat, venue_id, prize, state, version,
             claimed_at, expires_at, order_id, inferred)
           SELECT new.deal_id, new.rank, new.user_id, new.seat, new.venue_id, new.prize,
             CASE WHEN overtaken THEN 'RETURNED' ELSE new.state END, new.version, new.claimed_at, new.expires_at,
             new.order_id, new.inferred OR overtaken
           FROM UNNEST($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::jsonb[], $7::text[],
             $8::bigint[], $9::timestamptz[], $10::timestamptz[], $11::text[], $12::boolean[])
             AS new (deal_id, rank, user_id, seat, venue_id, prize, state, version, claimed_at, expires_at, order_id,
               inferred)
           CROSS JOIN LATERAL (SELECT new.state <> 'RETURNED' AND EXISTS (
             SELECT FROM promotion.coupon AS other
             WHERE other.deal_id = new.deal_id AND other.seat = new.seat AND other.rank > new.rank
               AND other.state <> 'RETURNED') AS overtaken) AS seat
           ON CONFLICT (deal_id, rank) DO UPDATE SET state = excluded.state, version = excluded.version,
             order_id = excluded.order_id, inferred = excluded.inferred,
             user_id = CASE WHEN mine.user_id = excluded.user_id THEN mine.user_id END
           WHERE mine.version < excluded.version OR mine.user_id <> excluded.user_id;

INSERT INTO promotion.deal (deal_id, tag, venue_id, state, version, title, stock, wanted_stock, opens_at, closes_at,
           prize, pass_required)
         VALUES ($1, $2, $3, 'CREATED', 1, $4, $5, $5, $6, $7, $8, $9) ON CONFLICT (deal_id) DO NOTHING;

INSERT INTO promotion.request (request_id, digest, deal_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING;

INSERT INTO tag (tag, node_ids, journal, epoch) VALUES ($1, $2, $3, $4) ON CONFLICT (tag) DO NOTHING;

SELECT 1 AS "alive!";

SELECT EXISTS (SELECT FROM promotion.deal WHERE deal_id = $1) AS "exists!";

SELECT ce_id FROM inbox
         JOIN UNNEST($2::text[], $3::timestamptz[]) AS asked (id, at) ON ce_id = id AND ce_time = at
         WHERE consumer = $1;

SELECT child.relname::text AS "name!" FROM pg_inherits
           JOIN pg_class child ON child.oid = inhrelid
           WHERE inhparent = 'inbox'::regclass ORDER BY child.relname;

SELECT consumer, count(*) AS "count!" FROM parked GROUP BY consumer ORDER BY consumer;

SELECT count(*) AS "count!" FROM parked WHERE consumer = $1;

SELECT deal_id FROM promotion.deal WHERE deal_id > $1 ORDER BY deal_id LIMIT $2;

SELECT deal_id, digest = $2 AS "same!" FROM promotion.request WHERE request_id = $1;

SELECT deal_id, rank, user_id, venue_id, prize AS "prize: Json<Prize>", state, claimed_at, expires_at, order_id
           FROM promotion.coupon
           WHERE deal_id = $1
             AND ($2::text IS NULL OR $2 = CASE
               WHEN state = 'ISSUED' AND expires_at <= clock_timestamp() THEN 'EXPIRED' ELSE state END)
             AND ($3::bigint IS NULL OR rank < $3)
           ORDER BY rank DESC LIMIT $4;

SELECT deal_id, rank, user_id, venue_id, prize AS "prize: Json<Prize>", state, claimed_at, expires_at, order_id
           FROM promotion.coupon
           WHERE user_id = $1
             AND ($2::text IS NULL OR $2 = CASE
               WHEN state = 'ISSUED' AND expires_at <= clock_timestamp() THEN 'EXPIRED' ELSE state END)
             AND ($3::timestamptz IS NULL OR (claimed_at, deal_id, rank) < ($3, $4, $5))
           ORDER BY claimed_at DESC, deal_id DESC, rank DESC LIMIT $6;

SELECT deal_id, venue_id, state, version, applied, title, stock, wanted_stock,
             opens_at, closes_at, prize AS "prize: Json<Prize>",
             pass_required
           FROM promotion.deal
           WHERE (state = 'CREATED' OR applied < version) AND deal_id > $1 AND created_at < clock_timestamp() - interval '2 seconds'
           ORDER BY deal_id LIMIT $2;

SELECT deal_id, venue_id, state, version, applied, title, stock, wanted_stock,
             opens_at, closes_at, prize AS "prize: Json<Prize>",
             pass_required
           FROM promotion.deal WHERE deal_id = $1;

SELECT id, consumer, parking_key, topic, partition, "offset", headers, payload, cause, attempts
           FROM parked WHERE copied_at IS NULL ORDER BY id LIMIT $1;

SELECT parking_key FROM parked WHERE consumer = $1 AND parking_key = ANY($2) ORDER BY id FOR UPDATE;

SELECT pg_advisory_xact_lock(hashtext(current_schema()), hashtext('inbox'));

SELECT pg_try_advisory_lock(hashtext(current_schema()), hashtext($1)) AS "locked!";

SELECT rank, seat, user_id, state = 'RETURNED' AS "returned!", version, inferred
           FROM promotion.coupon WHERE deal_id = $1 ORDER BY rank;

SELECT tag, epoch, entry_ms, entry_seq FROM journal_mark;

SELECT tag, epoch, entry_ms, entry_seq FROM journal_progress;

SELECT tag, node_ids, journal, epoch FROM tag;

UPDATE parked SET copied_at = clock_timestamp() WHERE id = ANY($1);

UPDATE promotion.coupon AS old SET state = 'RETURNED', inferred = true
         FROM UNNEST($1::text[], $2::bigint[], $3::bigint[]) AS new (deal_id, rank, seat)
         WHERE old.deal_id = new.deal_id AND old.seat = new.seat AND old.rank < new.rank AND old.state <> 'RETURNED';

UPDATE promotion.deal SET applied = $2, stock = greatest(stock, $3) WHERE deal_id = $1 AND applied < $2;

UPDATE promotion.deal SET state = 'ARMED' WHERE deal_id = $1;

UPDATE promotion.deal SET version = version + 1, wanted_stock = $2 WHERE deal_id = $1
           RETURNING deal_id, venue_id, state, version, applied, title, stock, wanted_stock, opens_at, closes_at,
             prize AS "prize: Json<Prize>", pass_required;

UPDATE tag SET node_ids = $4, journal = $5, epoch = $6 WHERE tag = $1 AND journal = $2 AND epoch = $3;

UPDATE tag SET node_ids = array_append(array_remove(node_ids, $2), $2) WHERE tag = $1;
