-- Run by Postgres once, when its data directory is empty.
CREATE TABLE ticks (
    at timestamptz NOT NULL,
    strategy text NOT NULL,
    symbol text NOT NULL,
    price integer NOT NULL CHECK (price > 0)
);
CREATE INDEX ticks_at ON ticks (at);
