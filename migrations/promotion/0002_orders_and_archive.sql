-- What is wanted of a deal besides its stock, with the version that wants it: {"version": 7, "patch": {...}}. A version without
-- one is of a process of before, and wants `wanted_stock`.
ALTER TABLE promotion.deal ADD COLUMN wanted jsonb;

-- How the deal stood when its last coupon was over, and when it had left Redis: from then on PostgreSQL alone answers for it.
ALTER TABLE promotion.deal ADD COLUMN course jsonb;
ALTER TABLE promotion.deal ADD COLUMN archived_at timestamptz;

CREATE INDEX deal_by_age ON promotion.deal (created_at DESC, deal_id DESC);
CREATE INDEX deal_of_venue_by_age ON promotion.deal (venue_id, created_at DESC, deal_id DESC);
CREATE INDEX deal_not_archived ON promotion.deal (deal_id) WHERE archived_at IS NULL;
