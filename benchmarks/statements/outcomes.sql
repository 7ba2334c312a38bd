-- In the order of the runs, as they were written.
INSERT INTO batchord.rejections
SELECT made.* FROM past.shards AS shard
JOIN (SELECT * FROM batchord.rejections WHERE run_id = {good} LIMIT 1) AS sample ON NOT shard.fails
CROSS JOIN LATERAL generate_series((shard.first + 100) / 101 * 101, shard.last, 101) AS id
CROSS JOIN LATERAL jsonb_populate_record(sample::batchord.rejections, jsonb_build_object(
    'pipeline', shard.pipeline, 'record_key', id::text, 'run_id', shard.run_id, 'shard', shard.index,
    'rejected_at', shard.finished_at
)) AS made ORDER BY shard.run_id, shard.index;

INSERT INTO batchord.earlier_predictions (pipeline, step, record_key, model_version, label, score, run_id, shard, attempt,
                                          input_digest, predicted_at)
SELECT shard.pipeline, sample.step, id::text, sample.model_version, sample.label, (5 + length(id::text)) / 100.0,
       shard.run_id, shard.index, 1, hashtextextended('text ' || id, 0), shard.finished_at
FROM (SELECT * FROM past.shards WHERE NOT fails ORDER BY run_id, index) AS shard
CROSS JOIN (SELECT * FROM batchord.predictions WHERE run_id = {good} LIMIT 1) AS sample
CROSS JOIN LATERAL generate_series(shard.first, shard.last) AS id
WHERE id % 101 <> 0;

UPDATE batchord.results SET has_earlier = true;
