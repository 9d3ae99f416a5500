-- Only a hash of the token is stored: whoever reads this table cannot sign in with it.
CREATE TABLE sessions (
    id           uuid        NOT NULL DEFAULT gen_random_uuid(),
    account_id   uuid        NOT NULL,
    token_sha256 bytea       NOT NULL,
    ip           inet,
    user_agent   text        NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL DEFAULT now() + interval '14 days',
    revoked_at   timestamptz,
    CONSTRAINT sessions_pkey             PRIMARY KEY (id),
    CONSTRAINT sessions_token_sha256_key UNIQUE (token_sha256),
    CONSTRAINT sessions_account_id_fkey  FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE,
    CONSTRAINT sessions_token_sha256     CHECK (octet_length(token_sha256) = 32),
    CONSTRAINT sessions_user_agent       CHECK (length(user_agent) <= 1000),
    CONSTRAINT sessions_expires_at       CHECK (expires_at > created_at)
);

CREATE INDEX sessions_account_id_idx ON sessions (account_id);
-- For the job that removes what has expired.
CREATE INDEX sessions_expires_at_idx ON sessions (expires_at);
