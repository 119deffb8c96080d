-- Databases made before v3.2.0 lack these two; the bot counts orders in them.
ALTER TABLE daily_risk_state ADD COLUMN IF NOT EXISTS buy_count integer NOT NULL DEFAULT 0;
ALTER TABLE daily_risk_state ADD COLUMN IF NOT EXISTS sell_count integer NOT NULL DEFAULT 0;
