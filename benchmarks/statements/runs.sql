-- Every 50th run fails, and the next one predicts its records. The last run of the first pipeline has a fifth of all
-- records, in many shards.
CREATE TABLE past.runs AS
WITH numbered AS (
    SELECT p, n, n % 50 = 49 AND n < {runs} - 1 AS fails, n % 20 = 7 AS by_hand,
           n - (n / 50) AS place, ({runs} - 1) - ({runs} - 2) / 50 AS last_place
    FROM generate_series(0, {runs} - 1) AS n CROSS JOIN generate_series(0, {pipelines} - 1) AS p
), bounded AS (
    SELECT *, p = 0 AND n = {runs} - 1 AS is_large,
           CASE WHEN p = 0 THEN {records} / 5 ELSE {records} / (last_place + 1) END AS of_last
    FROM numbered
), placed AS (
    SELECT *,
           1 + ({records}::bigint - of_last) * place / last_place AS first,
           CASE WHEN place = last_place THEN {records}
                ELSE ({records}::bigint - of_last) * (place + 1) / last_place END AS last,
           (SELECT since FROM past.days) + (interval '30 days' / {runs}) * (n + 1) + p * interval '1 second' AS created_at
    FROM bounded
)
SELECT (lpad(to_hex((extract(epoch FROM created_at) * 1000)::bigint), 12, '0') || '7'
        || substr(md5(p || ' ' || n), 1, 3) || '8' || substr(md5(p || ' ' || n), 4, 15))::uuid AS id,
       'p' || lpad(p::text, 2, '0') AS pipeline, n, fails, by_hand, first, last, last - first + 1 AS discovered,
       CASE WHEN fails THEN 0 ELSE last / 101 - (first - 1) / 101 END AS rejected,
       CASE WHEN is_large THEN 100 ELSE last - first + 1 END AS size,
       CASE WHEN is_large THEN ceil((last - first + 1) / 100.0)::int ELSE 1 END AS shards,
       created_at, created_at + interval '20 ms' AS started_at,
       created_at + interval '400 ms' + interval '4 ms' * (n % 97) + CASE WHEN is_large THEN interval '9 minutes'
           ELSE interval '0' END AS finished_at
FROM placed;
ALTER TABLE past.runs ADD PRIMARY KEY (id);
ALTER TABLE past.runs ADD COLUMN predicted bigint;
UPDATE past.runs SET predicted = CASE WHEN fails THEN 0 ELSE discovered - rejected END;
CREATE TABLE past.shards AS
    SELECT run.id AS run_id, run.pipeline, run.fails, index, part.first, part.last, part.last - part.first + 1 AS discovered,
           CASE WHEN run.fails THEN 0 ELSE part.last / 101 - (part.first - 1) / 101 END AS rejected,
           run.started_at + (run.finished_at - run.started_at) * (0.2 + 0.7 * index / run.shards) AS started_at,
           run.started_at + (run.finished_at - run.started_at) * (0.2 + 0.7 * (index + 1) / run.shards) AS finished_at
    FROM past.runs AS run CROSS JOIN LATERAL generate_series(0, run.shards - 1) AS index
    CROSS JOIN LATERAL (
        SELECT run.first + index * run.size AS first, least(run.first + (index + 1) * run.size - 1, run.last) AS last
    ) AS part;
ALTER TABLE past.shards ADD COLUMN predicted bigint;
UPDATE past.shards SET predicted = CASE WHEN fails THEN 0 ELSE discovered - rejected END;
ANALYZE past.runs, past.shards;

CREATE TABLE past.counts AS
SELECT run.id, counts, counts || sample.step || counts || jsonb_build_object(
           'shards', run.shards, 'failed_shards', run.fails::int,
           'labels', CASE WHEN run.predicted > 0 THEN jsonb_build_object('long', run.predicted) ELSE '{{}}' END,
           'rejections',
           CASE WHEN run.rejected > 0 THEN jsonb_build_object('model-error', run.rejected) ELSE '{{}}' END) AS step
FROM past.runs AS run
CROSS JOIN LATERAL (SELECT jsonb_build_object(
    'discovered', run.discovered, 'predicted', run.predicted, 'rejected', run.rejected,
    'pending', run.discovered - run.predicted - run.rejected) AS counts) AS counted
JOIN (SELECT state = 'failed' AS fails, summary -> 'steps' -> 'predict' AS step FROM batchord.runs
      WHERE id IN ({good}, {failed})) AS sample USING (fails);

INSERT INTO batchord.runs
SELECT made.* FROM past.runs AS run JOIN past.counts AS count USING (id)
JOIN batchord.runs AS sample ON sample.id = CASE WHEN run.fails THEN {failed}::uuid ELSE {good}::uuid END
CROSS JOIN LATERAL jsonb_populate_record(sample, count.counts - 'pending' || jsonb_build_object(
    'id', run.id, 'pipeline', run.pipeline, 'kind', CASE WHEN run.by_hand THEN 'manual' ELSE 'scheduled' END,
    'trigger', CASE WHEN run.by_hand THEN 'flower' ELSE 'schedule' END,
    'slot', CASE WHEN NOT run.by_hand THEN run.created_at END,
    'window_end', run.created_at, 'created_at', run.created_at, 'started_at', run.started_at,
    'finished_at', run.finished_at, 'tallied', false,
    'summary', count.counts || jsonb_build_object('steps', jsonb_build_object('predict', count.step))
)) AS made ORDER BY run.id;

INSERT INTO batchord.steps (run_id, name, ordinal, kind, after, state, attempt, worker, queue, sent_at, started_at,
                            planned_at, finished_at, output, error, code)
SELECT run.id, sample.name, sample.ordinal, sample.kind, sample.after, sample.state, sample.attempt, sample.worker,
       sample.queue, run.created_at, run.started_at, run.started_at + (run.finished_at - run.started_at) * 0.2,
       run.finished_at, count.step, sample.error, sample.code
FROM past.runs AS run JOIN past.counts AS count USING (id)
JOIN batchord.steps AS sample ON sample.run_id = CASE WHEN run.fails THEN {failed}::uuid ELSE {good}::uuid END
ORDER BY run.id;

INSERT INTO batchord.shards
SELECT made.* FROM past.shards AS shard
JOIN batchord.shards AS sample ON sample.run_id = CASE WHEN shard.fails THEN {failed}::uuid ELSE {good}::uuid END
CROSS JOIN LATERAL jsonb_populate_record(sample, jsonb_build_object(
    'run_id', shard.run_id, 'index', shard.index, 'planned', shard.discovered, 'discovered', shard.discovered,
    'predicted', shard.predicted, 'rejected', shard.rejected,
    'first_position',
    jsonb_build_array(jsonb_build_object('datetime', past.arrival(shard.first)), shard.first),
    'last_position', jsonb_build_array(jsonb_build_object('datetime', past.arrival(shard.last)), shard.last),
    'sent_at', shard.started_at, 'renewed_at', shard.started_at, 'started_at', shard.started_at,
    'finished_at', shard.finished_at
)) AS made ORDER BY shard.run_id, shard.index;

INSERT INTO batchord.attempts
SELECT made.* FROM past.shards AS shard
JOIN batchord.attempts AS sample ON sample.run_id = CASE WHEN shard.fails THEN {failed}::uuid ELSE {good}::uuid END
    AND sample.shard = 0
CROSS JOIN LATERAL jsonb_populate_record(sample, jsonb_build_object(
    'run_id', shard.run_id, 'shard', shard.index, 'started_at', shard.started_at, 'finished_at', shard.finished_at,
    'failure', CASE WHEN shard.rejected > 0 OR shard.fails THEN
        sample.failure || jsonb_build_object('key', (shard.last / 101 * 101)::text) END
)) AS made
UNION ALL
SELECT made.* FROM past.runs AS run
JOIN batchord.attempts AS sample ON sample.run_id = {good} AND sample.shard = -1
CROSS JOIN LATERAL jsonb_populate_record(sample, jsonb_build_object(
    'run_id', run.id, 'started_at', run.started_at,
    'finished_at', run.started_at + (run.finished_at - run.started_at) * 0.2
)) AS made;

INSERT INTO batchord.attempt_logs (run_id, step, shard, attempt, part, worker, lines, written_at)
SELECT run.id, sample.step, 0, 1, 0, sample.worker, sample.lines, run.finished_at
FROM past.runs AS run CROSS JOIN batchord.attempt_logs AS sample WHERE sample.run_id = {good} ORDER BY run.id;

INSERT INTO batchord.alerts (event, kind, pipeline, run_id, title, message, created_at, due_at, attempts, closed_at)
SELECT replace(sample.event, sample.run_id::text, run.id::text), sample.kind, run.pipeline, run.id,
       replace(sample.title, sample.pipeline, run.pipeline),
       replace(replace(sample.message, sample.run_id::text, run.id::text), sample.pipeline, run.pipeline),
       run.finished_at, run.finished_at, 1, run.finished_at
FROM past.runs AS run JOIN batchord.alerts AS sample ON sample.run_id = {failed} WHERE run.fails
UNION ALL
SELECT 'recovered:' || run.pipeline || ':' || run.started_at, sample.kind, run.pipeline, run.id,
       replace(sample.title, sample.pipeline, run.pipeline),
       replace(replace(sample.message, sample.run_id::text, run.id::text), sample.pipeline, run.pipeline),
       run.finished_at, run.finished_at, 1, run.finished_at
FROM past.runs AS run JOIN batchord.alerts AS sample ON sample.run_id = {mended} WHERE run.n % 50 = 0 AND run.n > 0
ORDER BY 7;

INSERT INTO batchord.history (at, action, pipeline, run_id, by_user, by_host, way, detail)
SELECT run.created_at, sample.action, run.pipeline, run.id, sample.by_user, sample.by_host, sample.way, sample.detail
FROM past.runs AS run CROSS JOIN batchord.history AS sample
WHERE run.by_hand AND sample.run_id = {good} ORDER BY run.created_at;

INSERT INTO batchord.audits (at, pipeline, seconds, records, predicted, rejected, pending, missing, duplicated, steps)
SELECT since + day * interval '1 day', 'p' || lpad(p::text, 2, '0'), sample.seconds, seen, seen - seen / 101, seen / 101,
       0, 0, 0, sample.steps
FROM past.days, generate_series(1, 30) AS day, generate_series(0, {pipelines} - 1) AS p,
     (SELECT * FROM batchord.audits ORDER BY id LIMIT 1) AS sample,
     LATERAL (SELECT {records} * day / 30 AS seen) AS so_far
ORDER BY 1;
