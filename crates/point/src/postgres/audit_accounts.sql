-- The $2 accounts whose names follow $1, in one moment: their rows beside what their entries and lots say. The last page goes on to the
-- end of all names, so that entries and lots without an account are seen too.
WITH page AS (
  SELECT user_id, balance, version, next_expiry FROM point.account WHERE user_id > $1 ORDER BY user_id LIMIT $2
), range (upto) AS (
  SELECT CASE WHEN count(*) = $2 THEN max(user_id) END FROM page
), chained AS (
  SELECT entry.user_id, nth, amount, balance_after, house,
    nth IS DISTINCT FROM lag(nth, 1, 0::bigint) OVER chain + 1
      OR balance_after IS DISTINCT FROM lag(balance_after, 1, 0::bigint) OVER chain + amount
      OR created_at < lag(created_at) OVER chain AS is_broken,
    kind IN ('DEDUCT', 'REFUND') AND NOT EXISTS (
      SELECT FROM point.order_use AS o WHERE o.order_id = entry.order_id AND o.user_id = entry.user_id
        AND entry.nth = CASE kind WHEN 'DEDUCT' THEN o.taken_nth ELSE o.refunded_nth END) AS is_stray
  FROM point.entry CROSS JOIN range
  WHERE entry.user_id > $1 AND (upto IS NULL OR entry.user_id <= upto)
  WINDOW chain AS (PARTITION BY entry.user_id ORDER BY nth)
), entries AS (
  SELECT user_id, count(*) AS entries, sum(amount)::bigint AS amount,
    -- ISSUED, SPENT and EXPIRED are the house's accounts: anything else is nobody's.
    sum(-amount) FILTER (WHERE house IN ('ISSUED', 'SPENT', 'EXPIRED'))::bigint AS house,
    min(nth) FILTER (WHERE is_broken) AS broken_nth, min(nth) FILTER (WHERE balance_after < 0) AS negative_nth,
    min(nth) FILTER (WHERE is_stray) AS stray_nth
  FROM chained GROUP BY user_id
), lots AS (
  SELECT lot.user_id, sum(remaining)::bigint AS points, min(expires_at) AS first
  FROM point.lot CROSS JOIN range
  WHERE lot.user_id > $1 AND (upto IS NULL OR lot.user_id <= upto) GROUP BY lot.user_id
)
SELECT user_id AS "user_id!", balance AS "balance?", version AS "version?", next_expiry AS "next_expiry?",
  coalesce(entries, 0) AS "entries!", coalesce(amount, 0) AS "amount!", coalesce(house, 0) AS "house!",
  broken_nth AS "broken_nth?", negative_nth AS "negative_nth?", stray_nth AS "stray_nth?",
  coalesce(points, 0) AS "lots!", first AS "first_lot?"
FROM page FULL JOIN entries USING (user_id) FULL JOIN lots USING (user_id)
ORDER BY user_id
