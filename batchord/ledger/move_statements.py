"""The statements of :mod:`.moving`. Each looks at one range of blocks of ``batchord.earlier_predictions``."""

#: Tables that may get earlier rows which nobody has tried to read as keys of their type. A step's rows move into one
#: table only, and never into one of the author's.
_UNBEGUN = """
    place.has_earlier AND place.moved_as IS DISTINCT FROM place.key_type
    AND (place.is_current OR place.moving_from IS NOT NULL)
    AND place.key_parts = '[]' AND NOT place.by_author AND place.columns ?& '{input_digest,output}'
    AND NOT EXISTS (SELECT FROM batchord.results AS other
                    WHERE other.pipeline = place.pipeline AND other.step = place.step AND other.id <> place.id
                      AND (other.moving_from IS NOT NULL OR other.moved > 0))
"""
BEGIN = f"UPDATE batchord.results AS place SET moving_from = 0, moved_as = key_type, kept = 0 WHERE {_UNBEGUN}"
#: Waits for those who change rows, such as a pruning that has not seen yet which steps are being moved.
ALONE = "LOCK TABLE batchord.earlier_predictions IN SHARE MODE"
LEFT = f"""
    SELECT EXISTS (SELECT FROM batchord.results AS place WHERE {_UNBEGUN}) AS unbegun,
           EXISTS (SELECT FROM batchord.results WHERE moving_from IS NOT NULL) AS begun
"""
BLOCKS = """
    (pg_relation_size('batchord.earlier_predictions') / current_setting('block_size')::int)::int
"""
PROGRESS = f"""
    SELECT count(*) AS steps, coalesce(sum(moved), 0)::bigint AS moved,
           coalesce(1 - min(moving_from) / nullif({BLOCKS}, 0)::float8, 1) AS left
    FROM batchord.results AS place WHERE moving_from IS NOT NULL OR ({_UNBEGUN})
"""
#: One worker moves at a time, and none moves rows of a step that is being reset.
HOLD = f"""
    SELECT *, {BLOCKS} AS blocks FROM batchord.results WHERE moving_from IS NOT NULL AND moved_as = key_type
    ORDER BY moving_from, id FOR UPDATE SKIP LOCKED
"""
ADVANCE = "UPDATE batchord.results SET moving_from = %(until)s WHERE id = ANY(%(ids)s)"
COUNT = "UPDATE batchord.results SET moved = moved + %(moved)s, kept = kept + %(kept)s WHERE id = %(id)s"
_OF_STEPS = "ended.id = ANY(%(ids)s) AND place.pipeline = ended.pipeline AND place.step = ended.step"
#: Without waiting: who makes another table current, or resets, may hold some of these and wait for others.
HOLD_ALL = f"""
    SELECT FROM batchord.results AS place JOIN batchord.results AS ended ON {_OF_STEPS} FOR UPDATE OF place NOWAIT
"""
#: More rows are left than were kept, so the table was rewritten meanwhile, as by VACUUM FULL: rows may have got into
#: blocks that were read already. They are read again from the first.
AGAIN = """
    WITH rest AS (
        SELECT pipeline, step, count(*) AS rows FROM batchord.earlier_predictions WHERE NOT superseded
        GROUP BY pipeline, step)
    UPDATE batchord.results AS place SET moving_from = 0, kept = 0 FROM rest
    WHERE place.id = ANY(%(ids)s) AND rest.pipeline = place.pipeline AND rest.step = place.step
      AND rest.rows > place.kept
    RETURNING place.id
"""
#: Nobody adds an earlier row any more, so a step that has none left never gets one, whichever table is current.
END = f"""
    WITH place AS (
        UPDATE batchord.results AS place SET moving_from = NULL, has_earlier = ended.kept > 0
        FROM batchord.results AS ended WHERE {_OF_STEPS} RETURNING place.*)
    SELECT pipeline, step, format('%%I.%%I', schema_name, table_name) AS "table", moved, kept
    FROM place WHERE id = ANY(%(ids)s)
"""
GIVE_UP = """
    UPDATE batchord.results SET moving_from = NULL WHERE id = %(id)s
    RETURNING pipeline, step, format('%%I.%%I', schema_name, table_name) AS "table", moved, kept
"""
_RANGE = "old.ctid >= {first} AND old.ctid < {end}"
STEPS = f"""
    SELECT DISTINCT old.pipeline, old.step FROM batchord.earlier_predictions AS old
    WHERE {_RANGE} AND NOT old.superseded
"""
#: The newest version of each record of this range has place 1. ``has_newer``: whether there is a newer one anywhere in
#: the old table; then this one is not served, and must not be afterwards. ``served_at``: when the record's row in the
#: step's table was predicted, if it has one already: under another text of the same key. A subquery here is always one
#: look into the index.
READ = f"""
    CREATE TEMP TABLE batchord_moving ON COMMIT DROP AS
    SELECT read.*, row_number() OVER (PARTITION BY text ORDER BY predicted_at DESC, model_version DESC) AS place,
           (SELECT row.{{predicted_at}} FROM {{table}} AS row WHERE {{same}}) AS served_at
    FROM (SELECT old.ctid AS at, {{text}} AS text, old.model_version, old.run_id, old.shard, old.attempt,
                 old.predicted_at,
                 EXISTS (SELECT FROM batchord.earlier_predictions AS newer
                         WHERE newer.pipeline = old.pipeline AND newer.step = old.step
                           AND newer.record_key = old.record_key AND NOT newer.superseded
                           AND (newer.predicted_at, newer.model_version) > (old.predicted_at, old.model_version))
                     AS has_newer
          FROM batchord.earlier_predictions AS old
          WHERE {_RANGE} AND old.pipeline = {{pipeline}} AND old.step = {{step}} AND NOT old.superseded) AS read
"""
_MOVABLE = "text IS NOT NULL AND NOT has_newer AND place = 1 AND served_at IS NULL"
_NEWER = "text IS NOT NULL AND NOT has_newer AND place = 1 AND served_at < predicted_at"
_SUPERSEDED = "text IS NOT NULL AND (has_newer OR place > 1 OR served_at >= predicted_at)"
COUNTS = f"""
    SELECT count(*) FILTER (WHERE {_MOVABLE}) AS movable, count(*) FILTER (WHERE {_NEWER}) AS newer,
           count(*) FILTER (WHERE {_SUPERSEDED}) AS superseded, count(*) FILTER (WHERE text IS NULL) AS kept
    FROM pg_temp.batchord_moving
"""
WRITERS = f"""
    INSERT INTO batchord.writers (results, run_id, shard, attempt, model_version)
    SELECT DISTINCT {{results}}, run_id, shard, attempt, model_version
    FROM pg_temp.batchord_moving WHERE ({_MOVABLE}) OR ({_NEWER})
    ON CONFLICT DO NOTHING
"""
_WRITER = """
    JOIN batchord.writers AS writer ON writer.results = {results} AND writer.run_id = old.run_id
     AND writer.shard = old.shard AND writer.attempt = old.attempt AND writer.model_version = old.model_version
"""
#: In the order in which the rows were written: then the indexes by ranges of blocks stay small.
MOVE = f"""
    WITH old AS (
        DELETE FROM batchord.earlier_predictions AS old
        USING (SELECT at, text, {{key}} AS key FROM pg_temp.batchord_moving WHERE {_MOVABLE}) AS moving
        WHERE {_RANGE} AND old.ctid = moving.at
        RETURNING moving.at, moving.text, moving.key, old.label, old.score, old.output, old.input_digest,
                  old.predicted_at, old.run_id, old.shard, old.attempt, old.model_version)
    INSERT INTO {{table}} ({{columns}})
    SELECT {{values}} FROM old {_WRITER} ORDER BY old.at
"""
#: The row that was served goes back among the earlier ones, which keep all versions.
SWAP = f"""
    WITH newer AS MATERIALIZED (
        SELECT old.ctid AS at, moving.text, old.label, old.score, old.output, old.input_digest, old.predicted_at,
               writer.id AS writer, {{own_text}} AS served_text, row.{{label}} AS served_label,
               row.{{score}} AS served_score, {{whole_output}} AS served_output,
               row.{{input_digest}} AS served_digest, row.{{predicted_at}} AS served_at,
               served.model_version AS served_version, served.run_id AS served_run, served.shard AS served_shard,
               served.attempt AS served_attempt
        FROM (SELECT * FROM pg_temp.batchord_moving WHERE {_NEWER}) AS moving
        JOIN batchord.earlier_predictions AS old ON {_RANGE} AND old.ctid = moving.at {_WRITER}
        JOIN {{table}} AS row ON {{same_as_moving}}
        JOIN batchord.writers AS served ON served.id = row.{{writer}}
    ), gone AS (
        DELETE FROM batchord.earlier_predictions AS old USING newer WHERE {_RANGE} AND old.ctid = newer.at
    ), back AS (
        INSERT INTO batchord.earlier_predictions
            (pipeline, step, record_key, model_version, label, score, output, run_id, shard, attempt, input_digest,
             predicted_at, superseded)
        SELECT {{pipeline}}, {{step}}, served_text, served_version, served_label, served_score, served_output,
               served_run, served_shard, served_attempt, served_digest, served_at, true
        FROM newer
    )
    UPDATE {{table}} AS row SET {{label}} = moving.label, {{score}} = moving.score, {{output}} = moving.output,
        {{input_digest}} = moving.input_digest, {{predicted_at}} = moving.predicted_at, {{writer}} = moving.writer
        {{no_typed}}
    FROM newer AS moving WHERE {{same_as_moving}}
"""
SUPERSEDE = f"""
    UPDATE batchord.earlier_predictions AS old SET superseded = true
    FROM (SELECT at FROM pg_temp.batchord_moving WHERE {_SUPERSEDED}) AS moving
    WHERE {_RANGE} AND old.ctid = moving.at
"""
#: A trigger of a table that the author named may have changed a key, or swallowed a row.
FOUND = f"""
    SELECT count(*) AS rows
    FROM (SELECT text FROM pg_temp.batchord_moving WHERE ({_MOVABLE}) OR ({_NEWER})) AS moving
    JOIN {{table}} AS row ON {{same_as_moving}}
    JOIN batchord.writers AS writer ON writer.id = row.{{writer}} AND writer.results = {{results}}
"""
FORGET = "DROP TABLE pg_temp.batchord_moving"
