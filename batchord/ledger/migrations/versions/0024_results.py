"""Each ``Predict`` step's predictions lie in a table of its own; what earlier releases wrote stays where it is."""

from alembic import op

revision = "0024"
down_revision = "0023"

#: The tables of predictions lie in a schema of their own: the schema ``batchord`` holds a fixed number of tables.
_SCHEMA = """
DO $schema$
BEGIN
    IF to_regnamespace('batchord_results') IS NULL THEN
        -- Not IF NOT EXISTS: it needs the right to create a schema even if the schema exists.
        IF NOT has_database_privilege(current_database(), 'CREATE') THEN
            RAISE EXCEPTION 'The role % may not create the schema batchord_results. As an administrator, run: '
                'CREATE SCHEMA batchord_results AUTHORIZATION %', current_user, quote_ident(current_user);
        END IF;
        CREATE SCHEMA batchord_results;
    ELSIF NOT has_schema_privilege('batchord_results', 'CREATE') THEN
        RAISE EXCEPTION 'The role % may not create tables in the schema batchord_results. As an administrator, run: '
            'ALTER SCHEMA batchord_results OWNER TO %', current_user, quote_ident(current_user);
    END IF;
END
$schema$;
"""

#: Views of people that read the table: they would go on to read it under its new name, and miss every new prediction.
#: They are made again over the view that gets the table's name. What cannot be made again is named.
_READERS = """
CREATE TEMP TABLE batchord_readers ON COMMIT DROP AS
SELECT DISTINCT format('%I.%I', home.nspname, view.relname) AS name, pg_get_viewdef(view.oid) AS query,
       CASE WHEN view.reloptions IS NULL THEN '' ELSE 'WITH (' || array_to_string(view.reloptions, ', ') || ')' END
           AS options
FROM pg_depend AS tie
JOIN pg_rewrite AS rule ON tie.classid = 'pg_rewrite'::regclass AND rule.oid = tie.objid
JOIN pg_class AS view ON view.oid = rule.ev_class
JOIN pg_namespace AS home ON home.oid = view.relnamespace
WHERE tie.refclassid = 'pg_class'::regclass AND tie.refobjid = 'batchord.predictions'::regclass
  AND view.relkind = 'v' AND pg_has_role(view.relowner, 'USAGE')
  AND view.oid NOT IN ('batchord.current_predictions'::regclass, 'batchord.provenance'::regclass);

DO $others$
DECLARE names text;
BEGIN
    SELECT string_agg(DISTINCT pg_describe_object(tie.classid, tie.objid, 0), ', ') INTO names
    FROM pg_depend AS tie
    LEFT JOIN pg_rewrite AS rule ON tie.classid = 'pg_rewrite'::regclass AND rule.oid = tie.objid
    LEFT JOIN pg_class AS view ON view.oid = rule.ev_class
    LEFT JOIN pg_constraint AS tied ON tie.classid = 'pg_constraint'::regclass AND tied.oid = tie.objid
    WHERE tie.refclassid = 'pg_class'::regclass AND tie.refobjid = 'batchord.predictions'::regclass
      AND (tie.classid = 'pg_proc'::regclass OR tied.contype = 'f'
           OR view.relkind = 'm' OR view.relkind = 'v' AND NOT pg_has_role(view.relowner, 'USAGE'));
    IF names IS NOT NULL THEN
        RAISE EXCEPTION 'batchord.predictions becomes a view, but this needs it as a table: %. Drop it, migrate, and '
            'make it again', names;
    END IF;
END
$others$;
"""

_TABLES = """
ALTER TABLE batchord.predictions RENAME TO earlier_predictions;
ALTER INDEX batchord.predictions_pkey RENAME TO earlier_predictions_pkey;
ALTER INDEX batchord.predictions_run RENAME TO earlier_predictions_run;

CREATE TABLE batchord.results (
    id           int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline     text NOT NULL,
    step         text NOT NULL,
    schema_name  text NOT NULL,
    table_name   text NOT NULL,
    key_column   text NOT NULL,
    key_type     text NOT NULL,
    -- Whether Batchord finds rows by a column with the key's text: other values of the type may mean the same key.
    has_text     boolean NOT NULL,
    -- The names of the table's other columns: one of them makes way for a key of the same name.
    columns      jsonb NOT NULL,
    -- Whether earlier releases have predicted records of the step.
    has_earlier  boolean NOT NULL,
    made_at      timestamptz NOT NULL DEFAULT batchord.now(),
    UNIQUE (pipeline, step),
    UNIQUE (schema_name, table_name)
);

-- One number stands in each prediction for all of this. Rows stay when their run is pruned.
CREATE TABLE batchord.writers (
    id             int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    results        int NOT NULL,
    run_id         uuid NOT NULL,
    shard          int NOT NULL,
    attempt        int NOT NULL,
    model_version  text NOT NULL,
    UNIQUE (run_id, results, shard, attempt)
);
"""

_FUNCTIONS = """
-- Gives the roles that have rights on one table the same rights on another.
CREATE FUNCTION batchord.grant_alike(model regclass, target regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $grant$
DECLARE given record;
BEGIN
    FOR given IN
        SELECT CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(acl.grantee)) END AS role,
               acl.privilege_type AS privilege
        FROM pg_class AS relation, aclexplode(relation.relacl) AS acl
        WHERE relation.oid = model AND acl.grantee <> relation.relowner
          AND acl.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
    LOOP
        EXECUTE format('GRANT %s ON TABLE %s TO %s', given.privilege, target, given.role);
    END LOOP;
END
$grant$;

-- Makes the view over all tables of predictions anew, without one of them if that is named.
CREATE FUNCTION batchord.show_results(without int DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $show$
DECLARE branches text;
BEGIN
    SELECT string_agg(format(
        ' UNION ALL SELECT %L::text, %L::text, %I::text, %I, %I, %I, %I, %I, %I FROM %I.%I', pipeline, step,
        CASE WHEN has_text THEN columns ->> 'record_key' ELSE key_column END, columns ->> 'label',
        columns ->> 'score', columns ->> 'output', columns ->> 'input_digest', columns ->> 'predicted_at',
        columns ->> 'writer', schema_name, table_name), '' ORDER BY id)
    INTO branches FROM batchord.results WHERE id IS DISTINCT FROM without;
    EXECUTE 'CREATE OR REPLACE VIEW batchord.result_rows AS SELECT NULL::text AS pipeline, NULL::text AS step, '
        'NULL::text AS record_key, NULL::text AS label, NULL::float8 AS score, NULL::jsonb AS output, '
        'NULL::bigint AS input_digest, NULL::timestamptz AS predicted_at, NULL::int AS writer WHERE false'
        || coalesce(branches, '');
END
$show$;

-- The name of a step's table: free, and short enough for PostgreSQL.
CREATE FUNCTION batchord.results_name(pipeline text, step text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $name$
DECLARE name text := pipeline || '__' || step;
BEGIN
    IF octet_length(name) <= 63 AND to_regclass(format('batchord_results.%I', name)) IS NULL THEN
        RETURN name;
    END IF;
    WHILE octet_length(name) > 54 LOOP
        name := left(name, -1);
    END LOOP;
    RETURN name || '_' || left(md5(pipeline || chr(10) || step), 8);
END
$name$;

-- Makes the table of a step's predictions, unless there is one that can hold such keys. The ledger's role calls it, and
-- has no other right to make a table: it runs with the rights of the owner. It waits a few seconds at most for those
-- who read the views.
CREATE FUNCTION batchord.make_results(of_pipeline text, of_step text, key_name text, type_of_key text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s'
AS $make$
DECLARE
    whole CONSTANT text[] := '{smallint,integer,bigint}';
    typed CONSTANT text[] := whole || '{uuid,text,character varying}'::text[];
    by_text CONSTANT text[] := '{numeric,bpchar,date,time without time zone,timestamp without time zone,'
        'timestamp with time zone,interval,bytea,real,double precision,oid,inet,cidr,macaddr,jsonb}';
    old batchord.results;
    place text;
    own text;
    names jsonb := '{}';
    earlier boolean;
    occupied boolean;
BEGIN
    IF NOT type_of_key = ANY (typed || by_text) THEN
        RAISE EXCEPTION 'A table of predictions cannot have a key of type %', type_of_key;
    END IF;
    earlier := EXISTS (SELECT FROM batchord.earlier_predictions WHERE pipeline = of_pipeline AND step = of_step);
    PERFORM pg_advisory_xact_lock(hashtextextended('batchord.make_results', 0));
    SELECT * INTO old FROM batchord.results WHERE pipeline = of_pipeline AND step = of_step;
    IF old.id IS NOT NULL THEN
        place := format('%I.%I', old.schema_name, old.table_name);
        IF old.key_type = type_of_key
           OR array_position(whole, old.key_type) > array_position(whole, type_of_key) THEN
            RETURN;
        END IF;
        PERFORM batchord.show_results(without => old.id);
        IF array_position(whole, old.key_type) < array_position(whole, type_of_key) THEN
            EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE %s', place, old.key_column, type_of_key);
            UPDATE batchord.results SET key_type = type_of_key WHERE id = old.id;
            PERFORM batchord.show_results();
            RETURN;
        END IF;
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', place);
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', place) INTO occupied;
        IF occupied THEN
            RAISE EXCEPTION 'The keys in % are of type %, not %', place, old.key_type, type_of_key;
        END IF;
        EXECUTE format('DROP TABLE %s', place);
    END IF;

    -- A query may name its columns as PostgreSQL names those of each table that nobody sees.
    IF key_name IN ('tableoid', 'xmin', 'cmin', 'xmax', 'cmax', 'ctid') THEN
        key_name := 'key_' || key_name;
    END IF;
    key_name := replace(key_name, chr(37), '_')::name::text;  -- without %, where a driver sees the place of a value
    FOREACH own IN ARRAY '{input_digest,predicted_at,score,writer,label,output,record_key}'::text[] LOOP
        names := names || jsonb_build_object(own, CASE WHEN own = key_name THEN 'prediction_' || own ELSE own END);
    END LOOP;
    place := format('batchord_results.%I', batchord.results_name(of_pipeline, of_step));
    -- In this order, no byte is lost between two columns.
    EXECUTE format(
        'CREATE TABLE %s (%I %s NOT NULL, %I bigint, %I timestamptz NOT NULL DEFAULT batchord.now(), %I float8, '
        '%I int NOT NULL, %I text, %I jsonb)', place, key_name, type_of_key, names ->> 'input_digest',
        names ->> 'predicted_at', names ->> 'score', names ->> 'writer', names ->> 'label', names ->> 'output');
    IF type_of_key = ANY (by_text) THEN
        EXECUTE format('ALTER TABLE %s ADD COLUMN %I text PRIMARY KEY', place, names ->> 'record_key');
    ELSIF type_of_key = ANY (whole) THEN
        -- Keys that rise fill page after page. The second index is a hundredth of what one with an entry for each row
        -- would be, and costs a write nothing; see decision 0088.
        EXECUTE format('ALTER TABLE %s ADD PRIMARY KEY (%I) WITH (fillfactor = 100)', place, key_name);
        EXECUTE format(
            'CREATE INDEX ON %s USING brin ((%I::text) text_bloom_ops (n_distinct_per_range = 3000)) '
            'WITH (pages_per_range = 28, autosummarize = on)', place, key_name);
    ELSE
        EXECUTE format('ALTER TABLE %s ADD PRIMARY KEY (%I)', place, key_name);
        IF type_of_key = 'uuid' THEN
            EXECUTE format('CREATE INDEX ON %s USING hash ((%I::text))', place, key_name);
        END IF;
    END IF;
    -- What an attempt writes lies together, and the numbers of writers rise with time.
    EXECUTE format('CREATE INDEX ON %s USING brin (%I) WITH (pages_per_range = 32, autosummarize = on)', place,
                   names ->> 'writer');
    PERFORM batchord.grant_alike('batchord.earlier_predictions', place::regclass);
    INSERT INTO batchord.results AS step
        (pipeline, step, schema_name, table_name, key_column, key_type, has_text, columns, has_earlier)
    SELECT of_pipeline, of_step, 'batchord_results', relation.relname, key_name, type_of_key,
           type_of_key = ANY (by_text), names, earlier
    FROM pg_class AS relation WHERE relation.oid = place::regclass
    ON CONFLICT (pipeline, step) DO UPDATE SET
        table_name = excluded.table_name, key_column = excluded.key_column, key_type = excluded.key_type,
        has_text = excluded.has_text, columns = excluded.columns, has_earlier = excluded.has_earlier,
        made_at = batchord.now();
    PERFORM batchord.show_results();
END
$make$;
REVOKE ALL ON FUNCTION batchord.make_results, batchord.show_results, batchord.results_name, batchord.grant_alike
    FROM PUBLIC;
SELECT batchord.show_results();
"""

#: All joins are outer joins over primary keys: PostgreSQL leaves out those whose columns a query does not ask for.
_VIEWS = """
CREATE VIEW batchord.predictions AS
SELECT pipeline, step, record_key, model_version, label, score, output, run_id, shard, attempt, input_digest,
       predicted_at
FROM batchord.earlier_predictions
UNION ALL
SELECT row.pipeline, row.step, row.record_key, writer.model_version, row.label, row.score, row.output, writer.run_id,
       writer.shard, writer.attempt, row.input_digest, row.predicted_at
FROM batchord.result_rows AS row LEFT JOIN batchord.writers AS writer ON writer.id = row.writer;

-- The newest model version's prediction of each record. A step's own table has one row for each record.
CREATE OR REPLACE VIEW batchord.current_predictions AS
SELECT * FROM (
    SELECT DISTINCT ON (pipeline, step, record_key)
           pipeline, step, record_key, model_version, label, score, output, run_id, shard, attempt, input_digest,
           predicted_at
    FROM batchord.earlier_predictions
    ORDER BY pipeline, step, record_key, predicted_at DESC) AS earlier
UNION ALL
SELECT row.pipeline, row.step, row.record_key, writer.model_version, row.label, row.score, row.output, writer.run_id,
       writer.shard, writer.attempt, row.input_digest, row.predicted_at
FROM batchord.result_rows AS row LEFT JOIN batchord.writers AS writer ON writer.id = row.writer;

CREATE OR REPLACE VIEW batchord.provenance AS
SELECT prediction.pipeline, prediction.step, prediction.record_key, prediction.model_version,
       prediction.label, prediction.score, prediction.run_id, run.kind, run.trigger, run.slot,
       prediction.shard, prediction.attempt, shard.attempt AS attempts, attempt.worker, attempt.task,
       prediction.input_digest, step.code, step.planned_at AS discovered_at, prediction.predicted_at
FROM batchord.predictions AS prediction
LEFT JOIN batchord.runs AS run ON run.id = prediction.run_id
LEFT JOIN batchord.steps AS step ON step.run_id = prediction.run_id AND step.name = prediction.step
LEFT JOIN batchord.shards AS shard
       ON shard.run_id = prediction.run_id AND shard.step = prediction.step AND shard.index = prediction.shard
LEFT JOIN batchord.attempts AS attempt
       ON attempt.run_id = prediction.run_id AND attempt.step = prediction.step AND attempt.shard = prediction.shard
      AND attempt.attempt = prediction.attempt;

-- A worker of the release before writes into the table that this view has taken the name of. For it, the error passes:
-- it hands its shard back.
CREATE FUNCTION batchord.refuse_older_workers() RETURNS trigger LANGUAGE plpgsql
AS $refuse$
BEGIN
    RAISE EXCEPTION 'Predictions are written to the table of their step, and nobody writes to this view. A worker that '
        'tries it is older than the ledger: stop it, and start one of the new release' USING ERRCODE = '55000';
END
$refuse$;
CREATE TRIGGER refuse_older_workers INSTEAD OF INSERT ON batchord.predictions
    FOR EACH ROW EXECUTE FUNCTION batchord.refuse_older_workers();
"""

_RIGHTS = """
DO $rights$
DECLARE
    given record;
    reader record;
BEGIN
    PERFORM batchord.grant_alike('batchord.earlier_predictions', relation::regclass)
    FROM unnest(ARRAY['predictions', 'result_rows', 'results', 'writers']) AS name,
         format('batchord.%I', name) AS relation;
    FOR given IN
        SELECT CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(acl.grantee)) END AS role
        FROM pg_namespace AS home, aclexplode(home.nspacl) AS acl
        WHERE home.nspname = 'batchord' AND acl.grantee <> home.nspowner AND acl.privilege_type = 'USAGE'
    LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA batchord_results TO %s', given.role);
    END LOOP;
    FOR reader IN SELECT * FROM pg_temp.batchord_readers LOOP
        EXECUTE format('CREATE OR REPLACE VIEW %s %s AS %s', reader.name, reader.options, reader.query);
    END LOOP;
END
$rights$;
"""


def upgrade() -> None:
    """Renames a table and makes views in its place. Nothing is copied; writers and readers wait meanwhile."""
    for part in (_SCHEMA, _READERS, _TABLES, _FUNCTIONS, _VIEWS, _RIGHTS):
        op.execute(part)
