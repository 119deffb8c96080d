-- News come from RSS alone.
CREATE TABLE IF NOT EXISTS news_articles (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source text NOT NULL,
  url text NOT NULL UNIQUE,
  title text NOT NULL,
  published_at timestamptz,
  fetched_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS news_articles_published_at ON news_articles (published_at);
