"""A step's predictions may lie in a table by another name, also in one that an author has made."""

from alembic import op

revision = "0025"
down_revision = "0024"

_PLACES = """
-- A step has one current table. Those that it had before keep its earlier predictions.
ALTER TABLE batchord.results
    DROP CONSTRAINT results_pipeline_step_key,
    ADD COLUMN is_current boolean NOT NULL DEFAULT true,
    -- Whether the step had another table before, which may hold predictions.
    ADD COLUMN has_former boolean NOT NULL DEFAULT false,
    -- Whether a person has made the table: Batchord never alters it.
    ADD COLUMN by_author boolean NOT NULL DEFAULT false;
CREATE INDEX results_step ON batchord.results (pipeline, step);
CREATE UNIQUE INDEX results_current ON batchord.results (pipeline, step) WHERE is_current;
"""

_SHOWN = """
-- Makes the view over all tables of predictions anew, without one of them if that is named. An author's table need not
-- have every column.
CREATE OR REPLACE FUNCTION batchord.show_results(without int DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $show$
DECLARE branches text;
BEGIN
    SELECT string_agg(format(
        ' UNION ALL SELECT %L::text, %L::text, %I::text, %I::text, %I::float8, %s::jsonb, %s::bigint, %I, %I::int '
        'FROM %I.%I', pipeline, step, CASE WHEN has_text THEN columns ->> 'record_key' ELSE key_column END,
        columns ->> 'label', columns ->> 'score', coalesce(quote_ident(columns ->> 'output'), 'NULL'),
        coalesce(quote_ident(columns ->> 'input_digest'), 'NULL'), columns ->> 'predicted_at',
        columns ->> 'writer', schema_name, table_name), '' ORDER BY id)
    INTO branches FROM batchord.results WHERE id IS DISTINCT FROM without;
    EXECUTE 'CREATE OR REPLACE VIEW batchord.result_rows AS SELECT NULL::text AS pipeline, NULL::text AS step, '
        'NULL::text AS record_key, NULL::text AS label, NULL::float8 AS score, NULL::jsonb AS output, '
        'NULL::bigint AS input_digest, NULL::timestamptz AS predicted_at, NULL::int AS writer WHERE false'
        || coalesce(branches, '');
END
$show$;
"""

_KEPT = """
-- Whether two types are whole numbers, and the second is the wider one.
CREATE FUNCTION batchord.is_wider(existing text, wanted text) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $wider$
    SELECT coalesce(array_position(whole, existing) < array_position(whole, wanted), false)
    FROM (SELECT '{smallint,integer,bigint}'::text[]) AS types (whole)
$wider$;

-- Makes an empty table of predictions with its indexes.
CREATE FUNCTION batchord.create_results(place text, key_name text, type_of_key text, names jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $create$
BEGIN
    -- In this order, no byte is lost between two columns.
    EXECUTE format(
        'CREATE TABLE %s (%I %s NOT NULL, %I bigint, %I timestamptz NOT NULL DEFAULT batchord.now(), %I float8, '
        '%I int NOT NULL, %I text, %I jsonb)', place, key_name, type_of_key, names ->> 'input_digest',
        names ->> 'predicted_at', names ->> 'score', names ->> 'writer', names ->> 'label', names ->> 'output');
    IF type_of_key IN ('smallint', 'integer', 'bigint') THEN
        -- Keys that rise fill page after page. The second index is a hundredth of what one with an entry for each row
        -- would be, and costs a write nothing; see decision 0088.
        EXECUTE format('ALTER TABLE %s ADD PRIMARY KEY (%I) WITH (fillfactor = 100)', place, key_name);
        EXECUTE format(
            'CREATE INDEX ON %s USING brin ((%I::text) text_bloom_ops (n_distinct_per_range = 3000)) '
            'WITH (pages_per_range = 28, autosummarize = on)', place, key_name);
    ELSIF type_of_key IN ('uuid', 'text', 'character varying') THEN
        EXECUTE format('ALTER TABLE %s ADD PRIMARY KEY (%I)', place, key_name);
        IF type_of_key = 'uuid' THEN
            EXECUTE format('CREATE INDEX ON %s USING hash ((%I::text))', place, key_name);
        END IF;
    ELSE
        EXECUTE format('ALTER TABLE %s ADD COLUMN %I text PRIMARY KEY', place, names ->> 'record_key');
    END IF;
    -- What an attempt writes lies together, and the numbers of writers rise with time.
    EXECUTE format('CREATE INDEX ON %s USING brin (%I) WITH (pages_per_range = 32, autosummarize = on)', place,
                   names ->> 'writer');
    PERFORM batchord.grant_alike('batchord.earlier_predictions', place::regclass);
END
$create$;

-- Makes one of a step's tables its current one. It waits for the batches that are being written to the one before:
-- each of them holds a lock on the number of its table, and checks then that the table is still current.
CREATE FUNCTION batchord.serve_results(chosen int) RETURNS void
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
                              WHERE old.pipeline = own.pipeline AND old.step = own.step)
    WHERE id = chosen;
END
$serve$;
"""

_FUNCTIONS = """
-- Makes the table of a step's predictions in the schema batchord_results, unless there is one that can hold such keys,
-- and makes it the step's current one. The ledger's role calls it, and has no other right to make a table: it runs with
-- the rights of the owner. It waits a few seconds at most for those who read the views.
CREATE OR REPLACE FUNCTION batchord.make_results(of_pipeline text, of_step text, key_name text, type_of_key text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s'
AS $make$
DECLARE
    typed CONSTANT text[] := '{smallint,integer,bigint,uuid,text,character varying}';
    by_text CONSTANT text[] := '{numeric,bpchar,date,time without time zone,timestamp without time zone,'
        'timestamp with time zone,interval,bytea,real,double precision,oid,inet,cidr,macaddr,jsonb}';
    old batchord.results;
    place text;
    own text;
    names jsonb := '{}';
    occupied boolean;
BEGIN
    IF NOT type_of_key = ANY (typed || by_text) THEN
        RAISE EXCEPTION 'A table of predictions cannot have a key of type %', type_of_key;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('batchord.make_results', 0));
    SELECT * INTO old FROM batchord.results
    WHERE pipeline = of_pipeline AND step = of_step AND schema_name = 'batchord_results';
    IF old.id IS NOT NULL THEN
        place := format('%I.%I', old.schema_name, old.table_name);
        IF old.key_type = type_of_key OR batchord.is_wider(type_of_key, old.key_type) THEN
            PERFORM batchord.serve_results(old.id);
            RETURN;
        END IF;
        PERFORM batchord.show_results(without => old.id);
        IF batchord.is_wider(old.key_type, type_of_key) THEN
            EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE %s', place, old.key_column, type_of_key);
            UPDATE batchord.results SET key_type = type_of_key WHERE id = old.id;
            PERFORM batchord.show_results();
            PERFORM batchord.serve_results(old.id);
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
    PERFORM batchord.create_results(place, key_name, type_of_key, names);
    IF old.id IS NULL THEN
        INSERT INTO batchord.results
            (pipeline, step, schema_name, table_name, key_column, key_type, has_text, columns, has_earlier, is_current)
        SELECT of_pipeline, of_step, 'batchord_results', relation.relname, key_name, type_of_key,
               type_of_key = ANY (by_text), names, false, false
        FROM pg_class AS relation WHERE relation.oid = place::regclass
        RETURNING * INTO old;
    ELSE
        UPDATE batchord.results SET
            table_name = (SELECT relname FROM pg_class WHERE oid = place::regclass), key_column = key_name,
            key_type = type_of_key, has_text = type_of_key = ANY (by_text), columns = names, made_at = batchord.now()
        WHERE id = old.id;
    END IF;
    PERFORM batchord.show_results();
    PERFORM batchord.serve_results(old.id);
END
$make$;

-- Makes the table of this name the current one for a step's predictions, with the rights of the owner. If there is no
-- such table, it is made. A table that is there already was checked by the caller; it is never altered here, except for
-- a wider type of key in one that Batchord made.
CREATE FUNCTION batchord.use_results(
    of_pipeline text, of_step text, key_name text, type_of_key text, into_schema text, into_table text, names jsonb,
    with_text boolean)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s'
AS $use$
DECLARE
    old batchord.results;
    place CONSTANT text := format('%I.%I', into_schema, into_table);
    caller CONSTANT text := coalesce(nullif(current_setting('role'), 'none'), session_user);
    is_there boolean;
BEGIN
    IF into_schema ~ '^(pg_|batchord$|batchord_results$|information_schema$)' THEN
        RAISE EXCEPTION 'The schema % holds no table for predictions', into_schema;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('batchord.make_results', 0));
    is_there := to_regclass(place) IS NOT NULL;
    SELECT * INTO old FROM batchord.results WHERE schema_name = into_schema AND table_name = into_table;
    IF old.id IS NOT NULL AND (old.pipeline, old.step) <> (of_pipeline, of_step) THEN
        RAISE EXCEPTION 'The table % has the predictions of step % of %', place, old.step, old.pipeline;
    END IF;
    IF is_there AND NOT has_table_privilege(caller, place, 'SELECT') THEN
        -- The views would show it to all who may read the ledger.
        RAISE EXCEPTION 'The role % may not read the table %', caller, place;
    END IF;
    IF is_there AND NOT has_table_privilege(place, 'SELECT') THEN
        RAISE EXCEPTION 'The role % may not read the table %', current_user, place;
    END IF;
    IF old.id IS NOT NULL AND is_there THEN
        PERFORM batchord.show_results(without => old.id);
        IF NOT old.by_author AND batchord.is_wider(old.key_type, type_of_key) THEN
            EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE %s', place, old.key_column, type_of_key);
        END IF;
        UPDATE batchord.results SET key_type = type_of_key, key_column = key_name, columns = names, has_text = with_text
        WHERE id = old.id;
    ELSIF old.id IS NOT NULL THEN
        RAISE EXCEPTION 'The table % of step % of % is gone', place, of_step, of_pipeline;
    ELSE
        IF NOT is_there THEN
            PERFORM batchord.create_results(place, key_name, type_of_key, names);
        END IF;
        INSERT INTO batchord.results (pipeline, step, schema_name, table_name, key_column, key_type, has_text, columns,
                                      has_earlier, is_current, by_author)
        VALUES (of_pipeline, of_step, into_schema, into_table, key_name, type_of_key, with_text, names, false, false,
                is_there)
        RETURNING * INTO old;
    END IF;
    PERFORM batchord.show_results();
    PERFORM batchord.serve_results(old.id);
END
$use$;
REVOKE ALL ON FUNCTION batchord.use_results, batchord.serve_results, batchord.create_results, batchord.is_wider
    FROM PUBLIC;

-- As the function for tables of the schema batchord_results has it.
DO $rights$
DECLARE given record;
BEGIN
    FOR given IN
        SELECT CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(acl.grantee)) END AS role
        FROM pg_proc AS routine, aclexplode(routine.proacl) AS acl
        WHERE routine.oid = 'batchord.make_results'::regproc AND acl.grantee <> routine.proowner
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION batchord.use_results TO %s', given.role);
    END LOOP;
END
$rights$;
"""


def upgrade() -> None:
    """Adds columns with constant defaults, and functions. No row of predictions is read or written."""
    for part in (_PLACES, _SHOWN, _KEPT, _FUNCTIONS):
        op.execute(part)
