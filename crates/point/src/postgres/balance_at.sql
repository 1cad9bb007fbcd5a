-- The balance of account $1 as it stood at the instant $2; an account has at most $3 lots.
--
-- Numbers and instants of entries rise together: the last entry that was made by then is found by halving, by the primary key alone.
-- Whatever had expired by then is not a part of the balance. It is written off before anything else happens to the account, so it is
-- what follows without a gap; what nobody has written off yet is still among the lots.
WITH RECURSIVE halved (low, high) AS (
  SELECT 0::bigint, version FROM point.account WHERE user_id = $1
  UNION ALL
  SELECT CASE WHEN middle.created_at <= $2 THEN middle.nth ELSE low END,
    CASE WHEN middle.created_at <= $2 THEN high ELSE middle.nth - 1 END
  FROM halved JOIN point.entry AS middle ON middle.user_id = $1 AND middle.nth = (low + high + 1) / 2
  WHERE low < high
), last (nth) AS (
  SELECT low FROM halved WHERE low = high
), following (nth, amount, was_due) AS (
  SELECT entry.nth, amount, kind = 'EXPIRE' AND expired_at <= $2
  FROM last JOIN point.entry ON entry.user_id = $1 AND entry.nth > last.nth AND entry.nth <= last.nth + $3 + 1
), other (nth) AS (
  SELECT min(nth) FROM following WHERE NOT was_due
)
SELECT last.nth AS "version!",
  (coalesce((SELECT balance_after FROM point.entry WHERE entry.user_id = $1 AND entry.nth = last.nth), 0)
    + coalesce((SELECT sum(amount) FROM following WHERE other.nth IS NULL OR following.nth < other.nth), 0)
    - CASE WHEN other.nth IS NULL
        THEN coalesce((SELECT sum(remaining) FROM point.lot WHERE lot.user_id = $1 AND expires_at <= $2), 0)
        ELSE 0 END)::bigint AS "available!"
FROM last CROSS JOIN other
