"""Rows of earlier releases move into the tables of their steps; how far they are, and what stays."""

from alembic import op

revision = "0026"
down_revision = "0025"

_COLUMNS = """
-- Of several versions of a record, the newest is in the table of its step; the others stay, and are not served.
ALTER TABLE batchord.earlier_predictions ADD COLUMN superseded boolean NOT NULL DEFAULT false;

ALTER TABLE batchord.results
    -- The block of earlier_predictions from which on rows may be left to move; NULL: none is moved now.
    ADD COLUMN moving_from int,
    -- The type of the key as which earlier rows are read, or were; NULL: they were not.
    ADD COLUMN moved_as text,
    ADD COLUMN moved bigint NOT NULL DEFAULT 0,
    -- Rows that stay, because their keys cannot be read as that type.
    ADD COLUMN kept bigint NOT NULL DEFAULT 0;

-- A made-up history may have several versions of one attempt.
ALTER TABLE batchord.writers
    DROP CONSTRAINT writers_run_id_results_shard_attempt_key,
    ADD UNIQUE (run_id, results, shard, attempt, model_version);
"""

_VIEW = """
CREATE OR REPLACE VIEW batchord.current_predictions AS
SELECT * FROM (
    SELECT DISTINCT ON (pipeline, step, record_key)
           pipeline, step, record_key, model_version, label, score, output, run_id, shard, attempt, input_digest,
           predicted_at
    FROM batchord.earlier_predictions WHERE NOT superseded
    ORDER BY pipeline, step, record_key, predicted_at DESC) AS earlier
UNION ALL
SELECT row.pipeline, row.step, row.record_key, writer.model_version, row.label, row.score, row.output, writer.run_id,
       writer.shard, writer.attempt, row.input_digest, row.predicted_at
FROM batchord.result_rows AS row LEFT JOIN batchord.writers AS writer ON writer.id = row.writer;
"""

_FUNCTIONS = r"""
-- PostgreSQL's own text for a key that an earlier release wrote; NULL if it cannot be such a key. Releases before wrote
-- times with a T, bytes without \x, and so on. Any other text that PostgreSQL could read, such as ' 7', was the key of
-- another source, and is another record. The session's settings must be those of batchord.database.texts.
CREATE FUNCTION batchord.key_text(former text, type_of_key text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $key$
DECLARE written text;
BEGIN
    EXECUTE format('SELECT $1::%s::text', type_of_key) INTO written
    USING CASE WHEN type_of_key = 'bytea' AND former ~ '^([0-9a-f]{2})*$' THEN '\x' || former ELSE former END;
    RETURN CASE
        WHEN written = former THEN written
        WHEN CASE type_of_key
             WHEN 'bpchar' THEN written = rtrim(former, ' ')
             WHEN 'bytea' THEN written = '\x' || former
             WHEN 'numeric' THEN former ~ '^-?[0-9]+(\.[0-9]+)?$'
             WHEN 'real' THEN former ~ '^(-?[0-9.]+(e[-+]?[0-9]+)?|-?inf|nan)$'
             WHEN 'double precision' THEN former ~ '^(-?[0-9.]+(e[-+]?[0-9]+)?|-?inf|nan)$'
             WHEN 'timestamp without time zone' THEN
                 former ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?$'
             WHEN 'timestamp with time zone' THEN
                 former ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?\+00:00$'
             END THEN written
        END;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END
$key$;

-- Makes one of a step's tables its current one. It waits for the batches that are being written to the one before:
-- each of them holds a lock on the number of its table, and checks then that the table is still current. Versions that
-- are not served need not be looked for.
CREATE OR REPLACE FUNCTION batchord.serve_results(chosen int) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $serve$
DECLARE
    own batchord.results;
    before int;
BEGIN
    SELECT * INTO own FROM batchord.results WHERE id = chosen;
    SELECT id INTO before FROM batchord.results
    WHERE pipeline = own.pipeline AND step = own.step AND is_current AND id <> chosen;
    IF before IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock(hashtext('batchord.results'), before);
        UPDATE batchord.results SET is_current = false WHERE id = before;
    END IF;
    UPDATE batchord.results SET
        is_current = true,
        has_former = EXISTS (SELECT FROM batchord.results AS other
                             WHERE other.pipeline = own.pipeline AND other.step = own.step AND other.id <> chosen),
        has_earlier = EXISTS (SELECT FROM batchord.earlier_predictions AS old
                              WHERE old.pipeline = own.pipeline AND old.step = own.step AND NOT old.superseded)
    WHERE id = chosen;
END
$serve$;
"""


def upgrade() -> None:
    """Adds columns and functions, and makes a small index anew. No row moves here: workers move them later."""
    for part in (_COLUMNS, _VIEW, _FUNCTIONS):
        op.execute(part)
