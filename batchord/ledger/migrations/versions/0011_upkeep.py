"""Logs of attempts, what is switched at run time, and what is wrong at the moment."""

from alembic import op

revision = "0011"
down_revision = "0010"

_CHANGES = """
CREATE TABLE batchord.attempt_logs (
    id          bigint GENERATED ALWAYS AS IDENTITY,
    run_id      uuid NOT NULL,
    step        text NOT NULL,
    shard       int NOT NULL DEFAULT -1,
    attempt     int NOT NULL,
    part        int NOT NULL,
    worker      text NOT NULL,
    -- A list of [time, level, source, message].
    lines       jsonb NOT NULL,
    written_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, step, shard, attempt, part)
);
CREATE INDEX attempt_logs_order ON batchord.attempt_logs (run_id, id);

-- What was switched at run time, and since when a pipeline is known.
CREATE TABLE batchord.pipelines (
    name           text PRIMARY KEY,
    first_seen_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    paused_at      timestamptz,
    -- In place of the file's.
    schedule       jsonb,
    -- When it was paused or resumed, and when its schedule was switched or switched back.
    switched_at    timestamptz,
    scheduled_at   timestamptz
);

-- What is wrong with a pipeline at the moment; gone when it has recovered.
CREATE TABLE batchord.incidents (
    pipeline   text NOT NULL,
    kind       text NOT NULL,
    opened_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    message    text NOT NULL,
    PRIMARY KEY (pipeline, kind)
);
"""


def upgrade() -> None:
    """Adds tables."""
    op.execute(_CHANGES)
