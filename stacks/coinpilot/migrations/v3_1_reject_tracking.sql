-- Optional: only databases with the agents' feature have this table.
ALTER TABLE agent_decisions ADD COLUMN IF NOT EXISTS reject_reason text;
