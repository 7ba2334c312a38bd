"""The key of a step's table may be several columns of the source."""

from alembic import op

revision = "0028"
down_revision = "0027"

_COLUMN = """
-- The columns of a key of several, each as [name, type], in their order. Then key_column holds their text; it is empty
-- for an author's table without such a column.
ALTER TABLE batchord.results ADD COLUMN key_parts jsonb NOT NULL DEFAULT '[]';
"""

_SHOWN = r"""
-- The text of a row's key in SQL, from its columns. batchord.ledger.key_parts writes the same for Batchord's queries.
CREATE FUNCTION batchord.text_of_parts(parts jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $text$
    SELECT '((' || string_agg(format(CASE
        WHEN part ->> 1 = 'date' THEN '(to_jsonb(%1$I) #>> ''{}'')'
        WHEN part ->> 1 IN ('text', 'character varying') THEN
            'replace(replace(%1$I COLLATE "C", chr(92), chr(92) || chr(92)), '':'', chr(92) || '':'')'
        ELSE '%1$I::text' END, part ->> 0), ' || '':'' || ' ORDER BY place) || ') COLLATE "default")'
    FROM jsonb_array_elements(parts) WITH ORDINALITY AS each (part, place)
$text$;

-- As before, and with the text of a key that only several columns show.
CREATE OR REPLACE FUNCTION batchord.show_results(without int DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $show$
DECLARE branches text;
BEGIN
    SELECT string_agg(format(
        ' UNION ALL SELECT %L::text, %L::text, %s::text, %I::text, %I::float8, %s, %s::bigint, %I, %I::int '
        'FROM %I.%I', pipeline, step,
        CASE WHEN has_text THEN quote_ident(columns ->> 'record_key')
             WHEN key_column <> '' THEN quote_ident(key_column) ELSE batchord.text_of_parts(key_parts) END,
        columns ->> 'label', columns ->> 'score',
        batchord.whole_output(format('%I.%I', schema_name, table_name), columns, outputs),
        coalesce(quote_ident(columns ->> 'input_digest'), 'NULL'), columns ->> 'predicted_at',
        columns ->> 'writer', schema_name, table_name), '' ORDER BY id)
    INTO branches FROM batchord.results AS place
    WHERE id IS DISTINCT FROM without AND NOT EXISTS (
        SELECT key_column AS name WHERE NOT has_text AND key_column <> ''
        UNION ALL SELECT part ->> 0 FROM jsonb_array_elements(key_parts) AS part WHERE key_column = ''
        UNION ALL SELECT value FROM jsonb_each_text(columns) WHERE has_text OR key <> 'record_key'
        EXCEPT
        SELECT own.attname FROM pg_attribute AS own
        JOIN pg_class AS relation ON relation.oid = own.attrelid
        JOIN pg_namespace AS home ON home.oid = relation.relnamespace
        WHERE home.nspname = place.schema_name AND relation.relname = place.table_name AND NOT own.attisdropped);
    EXECUTE 'CREATE OR REPLACE VIEW batchord.result_rows AS SELECT NULL::text AS pipeline, NULL::text AS step, '
        'NULL::text AS record_key, NULL::text AS label, NULL::float8 AS score, NULL::jsonb AS output, '
        'NULL::bigint AS input_digest, NULL::timestamptz AS predicted_at, NULL::int AS writer WHERE false'
        || coalesce(branches, '');
END
$show$;
"""

_MADE = r"""
-- Makes an empty table of predictions. Of a key of several columns, the primary key is these columns, and their text
-- stands besides: Batchord finds rows by it.
CREATE FUNCTION batchord.create_results_of(place text, key_name text, type_of_key text, parts jsonb, names jsonb)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $create$
DECLARE
    typed CONSTANT text[] := '{smallint,integer,bigint,uuid,text,character varying,boolean,numeric,bpchar,date,'
        'time without time zone,timestamp without time zone,timestamp with time zone,bytea,real,double precision,oid,'
        'inet,cidr,macaddr}';
    own_names text;
    own_columns text;
    may_be boolean;
BEGIN
    IF parts = '[]' THEN
        PERFORM batchord.create_results(place, key_name, type_of_key, names);
        RETURN;
    END IF;
    SELECT string_agg(quote_ident(part ->> 0), ', ' ORDER BY at),
           string_agg(format('%I %s NOT NULL', part ->> 0, part ->> 1), ', ' ORDER BY at),
           bool_and(part ->> 1 = ANY (typed))
    INTO own_names, own_columns, may_be FROM jsonb_array_elements(parts) WITH ORDINALITY AS columns (part, at);
    IF NOT may_be THEN
        RAISE EXCEPTION 'A table of predictions cannot have a key of the columns %', parts;
    END IF;
    EXECUTE format(
        'CREATE TABLE %s (%s, %I bigint, %I timestamptz NOT NULL DEFAULT batchord.now(), %I float8, %I int NOT NULL, '
        '%I text, %I jsonb, %I text NOT NULL UNIQUE, PRIMARY KEY (%s))', place, own_columns, names ->> 'input_digest',
        names ->> 'predicted_at', names ->> 'score', names ->> 'writer', names ->> 'label', names ->> 'output',
        key_name, own_names);
    EXECUTE format('CREATE INDEX ON %s USING brin (%I) WITH (pages_per_range = 32, autosummarize = on)', place,
                   names ->> 'writer');
    PERFORM batchord.grant_alike('batchord.earlier_predictions', place::regclass);
END
$create$;

-- Whether the columns of two keys differ only in whole numbers, of which the second key has the wider ones.
CREATE FUNCTION batchord.are_wider(existing jsonb, wanted jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $wider$
    SELECT existing <> wanted AND jsonb_array_length(existing) = jsonb_array_length(wanted) AND bool_and(
        former.part ->> 0 = new.part ->> 0
        AND (former.part = new.part OR batchord.is_wider(former.part ->> 1, new.part ->> 1)))
    FROM jsonb_array_elements(existing) WITH ORDINALITY AS former (part, place)
    JOIN jsonb_array_elements(wanted) WITH ORDINALITY AS new (part, place) USING (place)
$wider$;
-- Makes the table of a step's predictions in the schema batchord_results, unless there is one that can hold such keys,
-- and makes it the step's current one. parts is empty for a key of one column.
CREATE FUNCTION batchord.place_results(
    of_pipeline text, of_step text, key_name text, type_of_key text, parts jsonb)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $place$
DECLARE
    typed CONSTANT text[] := '{smallint,integer,bigint,uuid,text,character varying}';
    by_text CONSTANT text[] := '{numeric,bpchar,date,time without time zone,timestamp without time zone,'
        'timestamp with time zone,interval,bytea,real,double precision,oid,inet,cidr,macaddr,jsonb}';
    old batchord.results;
    place text;
    names jsonb;
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
        IF old.key_parts = parts
           AND (old.key_type = type_of_key OR batchord.is_wider(type_of_key, old.key_type)) THEN
            PERFORM batchord.serve_results(old.id);
            RETURN;
        END IF;
        PERFORM batchord.show_results(without => old.id);
        IF old.key_parts = parts AND batchord.is_wider(old.key_type, type_of_key) THEN
            EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE %s', place, old.key_column, type_of_key);
        ELSIF batchord.are_wider(old.key_parts, parts) THEN
            EXECUTE (SELECT string_agg(format('ALTER TABLE %s ALTER COLUMN %I TYPE %s', place, part ->> 0, part ->> 1),
                                       '; ') FROM jsonb_array_elements(parts) AS part
                     WHERE NOT old.key_parts @> jsonb_build_array(part));
        ELSE
            EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', place);
            EXECUTE format('SELECT EXISTS (SELECT FROM %s)', place) INTO occupied;
        END IF;
        IF occupied THEN
            RAISE EXCEPTION 'The keys in % are of type %, not %', place,
                coalesce(nullif(old.key_parts, '[]')::text, old.key_type),
                coalesce(nullif(parts, '[]')::text, type_of_key);
        ELSIF occupied IS NULL THEN
            UPDATE batchord.results SET key_type = type_of_key, key_parts = parts WHERE id = old.id;
            PERFORM batchord.show_results();
            PERFORM batchord.serve_results(old.id);
            RETURN;
        END IF;
        EXECUTE format('DROP TABLE %s', place);
    END IF;

    IF key_name IN ('tableoid', 'xmin', 'cmin', 'xmax', 'cmax', 'ctid') THEN
        key_name := 'key_' || key_name;
    END IF;
    key_name := replace(key_name, chr(37), '_')::name::text;
    place := format('batchord_results.%I', batchord.results_name(of_pipeline, of_step));
    SELECT jsonb_object_agg(own, CASE WHEN own = key_name OR parts @? format('$[*] ? (@[0] == "%s")', own)::jsonpath
                                      THEN 'prediction_' || own ELSE own END) INTO names
    FROM unnest('{input_digest,predicted_at,score,writer,label,output,record_key}'::text[]) AS own;
    PERFORM batchord.create_results_of(place, key_name, type_of_key, parts, names);
    IF old.id IS NULL THEN
        INSERT INTO batchord.results (pipeline, step, schema_name, table_name, key_column, key_type, has_text, columns,
                                      has_earlier, is_current, key_parts)
        SELECT of_pipeline, of_step, 'batchord_results', relation.relname, key_name, type_of_key,
               type_of_key = ANY (by_text), names, false, false, parts
        FROM pg_class AS relation WHERE relation.oid = place::regclass
        RETURNING * INTO old;
    ELSE
        UPDATE batchord.results SET
            table_name = (SELECT relname FROM pg_class WHERE oid = place::regclass), key_column = key_name,
            key_type = type_of_key, has_text = type_of_key = ANY (by_text), columns = names, key_parts = parts,
            made_at = batchord.now()
        WHERE id = old.id;
    END IF;
    PERFORM batchord.show_results();
    PERFORM batchord.serve_results(old.id);
END
$place$;

-- Makes the table of this name the current one for a step's predictions. If there is no such table, it is made. A table
-- that is there already was checked by the caller; it is never altered here, except for a wider type of key in one that
-- Batchord made.
CREATE FUNCTION batchord.place_results_at(
    of_pipeline text, of_step text, key_name text, type_of_key text, into_schema text, into_table text, names jsonb,
    with_text boolean, parts jsonb)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $place$
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
        IF NOT old.by_author AND parts = '[]' AND batchord.is_wider(old.key_type, type_of_key) THEN
            EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE %s', place, old.key_column, type_of_key);
        END IF;
        UPDATE batchord.results SET
            key_type = type_of_key, key_column = key_name, columns = names, has_text = with_text, key_parts = parts
        WHERE id = old.id;
    ELSIF old.id IS NOT NULL THEN
        RAISE EXCEPTION 'The table % of step % of % is gone', place, of_step, of_pipeline;
    ELSE
        IF NOT is_there THEN
            PERFORM batchord.create_results_of(place, key_name, type_of_key, parts, names);
        END IF;
        INSERT INTO batchord.results (pipeline, step, schema_name, table_name, key_column, key_type, has_text, columns,
                                      has_earlier, is_current, by_author, key_parts)
        VALUES (of_pipeline, of_step, into_schema, into_table, key_name, type_of_key, with_text, names, false, false,
                is_there, parts)
        RETURNING * INTO old;
    END IF;
    PERFORM batchord.show_results();
    PERFORM batchord.serve_results(old.id);
END
$place$;
"""

_FUNCTIONS = r"""
-- As before: they run with the rights of the owner, and wait a few seconds at most for those who read the views.
CREATE OR REPLACE FUNCTION batchord.make_results(of_pipeline text, of_step text, key_name text, type_of_key text)
RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s'
AS $make$ SELECT batchord.place_results(of_pipeline, of_step, key_name, type_of_key, '[]') $make$;

-- The same for a key of several columns: parts has the name and the type of each, and key_name is the name of the
-- column for their text.
CREATE FUNCTION batchord.make_results_of_columns(of_pipeline text, of_step text, key_name text, parts jsonb)
RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s'
AS $make$ SELECT batchord.place_results(of_pipeline, of_step, key_name, 'text', parts) $make$;

CREATE OR REPLACE FUNCTION batchord.use_results(
    of_pipeline text, of_step text, key_name text, type_of_key text, into_schema text, into_table text, names jsonb,
    with_text boolean)
RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s'
AS $use$
    SELECT batchord.place_results_at(
        of_pipeline, of_step, key_name, type_of_key, into_schema, into_table, names, with_text, '[]')
$use$;

-- The same for a key of several columns. An empty key_name says that an author's table has no column for their text.
CREATE FUNCTION batchord.use_results_of_columns(
    of_pipeline text, of_step text, key_name text, parts jsonb, into_schema text, into_table text, names jsonb)
RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s'
AS $use$
    SELECT batchord.place_results_at(
        of_pipeline, of_step, key_name, 'text', into_schema, into_table, names, false, parts)
$use$;
REVOKE ALL ON FUNCTION batchord.text_of_parts, batchord.create_results_of, batchord.are_wider, batchord.place_results,
    batchord.place_results_at, batchord.make_results_of_columns, batchord.use_results_of_columns FROM PUBLIC;
-- As the functions for keys of one column have it.
DO $rights$
DECLARE given record;
BEGIN
    FOR given IN
        SELECT CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(acl.grantee)) END AS role
        FROM pg_proc AS routine, aclexplode(routine.proacl) AS acl
        WHERE routine.oid = 'batchord.make_results'::regproc AND acl.grantee <> routine.proowner
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION batchord.make_results_of_columns, batchord.use_results_of_columns '
                       'TO %s', given.role);
    END LOOP;
END
$rights$;
"""


def upgrade() -> None:
    """Adds a column with a constant default, and functions. No row of predictions is read or written."""
    for part in (_COLUMN, _SHOWN, _MADE, _FUNCTIONS):
        op.execute(part)
