"""Keys of a model's output may have columns of their own, with a type, in the table of a step's predictions.

Besides, a table that its author has broken does not keep others from getting a table.
"""

from alembic import op

revision = "0027"
down_revision = "0026"

_COLUMN = """
-- The names of such columns and their types, as PostgreSQL writes them. A column that is declared no more stays here.
ALTER TABLE batchord.results ADD COLUMN outputs jsonb NOT NULL DEFAULT '{}';
"""

_SHOWN = r"""
-- All of the output of a row in SQL, as if no key of it had a column of its own. batchord.ledger.results writes the
-- same for queries of Batchord's. A column that somebody has dropped is left out.
CREATE FUNCTION batchord.whole_output(place text, columns jsonb, outputs jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $whole$
    SELECT CASE WHEN typed.names IS NULL THEN rest ELSE format(
        'CASE WHEN ROW(%s) IS NULL THEN %s ELSE coalesce(%s, ''{}''::jsonb)%s END', typed.names, rest, rest,
        typed.parts) END
    FROM (SELECT coalesce(quote_ident(columns ->> 'output'), 'NULL') || '::jsonb' AS rest) AS own,
         (SELECT string_agg(quote_ident(key), ', ' ORDER BY key) AS names,
                 string_agg(format(
                     ' || CASE WHEN %1$I IS NULL THEN ''{}''::jsonb ELSE jsonb_build_object(%1$L, %1$I%2$s) END', key,
                     CASE WHEN value ~ '^(vector|halfvec)\(' THEN '::text::jsonb' ELSE '' END), '' ORDER BY key)
                     AS parts
          FROM jsonb_each_text(outputs) JOIN pg_attribute AS there
            ON there.attrelid = to_regclass(place) AND there.attname = key AND NOT there.attisdropped) AS typed
$whole$;

-- Makes the view over all tables of predictions anew, without one of them if that is named, and without those that are
-- not there by their name, or lack a column: an author may rename both. The next plan of such a step shows its table
-- again. An author's table need not have every column.
CREATE OR REPLACE FUNCTION batchord.show_results(without int DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $show$
DECLARE branches text;
BEGIN
    SELECT string_agg(format(
        ' UNION ALL SELECT %L::text, %L::text, %I::text, %I::text, %I::float8, %s, %s::bigint, %I, %I::int '
        'FROM %I.%I', pipeline, step, CASE WHEN has_text THEN columns ->> 'record_key' ELSE key_column END,
        columns ->> 'label', columns ->> 'score',
        batchord.whole_output(format('%I.%I', schema_name, table_name), columns, outputs),
        coalesce(quote_ident(columns ->> 'input_digest'), 'NULL'), columns ->> 'predicted_at',
        columns ->> 'writer', schema_name, table_name), '' ORDER BY id)
    INTO branches FROM batchord.results AS place
    WHERE id IS DISTINCT FROM without AND NOT EXISTS (
        SELECT key_column AS name WHERE NOT has_text
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

_FUNCTIONS = r"""
-- A type for such a column as SQL: one of a list, or one of the extension pgvector, wherever that is.
CREATE FUNCTION batchord.output_type(type text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $type$
DECLARE home text;
BEGIN
    IF type ~ ('^(boolean|smallint|integer|bigint|real|double precision|numeric(\([0-9]+,[0-9]+\))?|text'
               '|character varying(\([0-9]+\))?|date|time without time zone|timestamp with(out)? time zone|interval'
               '|uuid|bytea|jsonb?)(\[\])?$') THEN
        RETURN type;
    END IF;
    IF type !~ '^(vector|halfvec)\([0-9]+\)$' THEN
        RAISE EXCEPTION 'A table of predictions cannot have a column of type %', type;
    END IF;
    SELECT nspname INTO home
    FROM pg_type AS own JOIN pg_namespace AS place ON place.oid = own.typnamespace
    JOIN pg_depend AS tie ON tie.classid = 'pg_type'::regclass AND tie.objid = own.oid AND tie.deptype = 'e'
    JOIN pg_extension AS extension ON extension.oid = tie.refobjid
    WHERE own.typname = split_part(type, '(', 1) AND extension.extname = 'vector';
    IF home IS NULL THEN
        RAISE EXCEPTION 'The type % needs the extension pgvector: CREATE EXTENSION vector', type;
    END IF;
    RETURN format('%I.%s', home, type);
END
$type$;

-- Adds columns for keys of the model's output to a step's table, and shows them in the views as parts of the output.
-- The columns of an author's table must be there. A column of another type makes way only in a table without rows.
-- It has the rights of the owner, and waits a few seconds at most for those who read or write the table.
CREATE FUNCTION batchord.add_outputs(chosen int, wanted jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s'
AS $add$
DECLARE
    own batchord.results;
    place text;
    given record;
    existing text;
    occupied boolean;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('batchord.make_results', 0));
    SELECT * INTO own FROM batchord.results WHERE id = chosen;
    place := format('%I.%I', own.schema_name, own.table_name);
    PERFORM batchord.show_results(without => own.id);
    FOR given IN SELECT key AS name, value AS type FROM jsonb_each_text(wanted) ORDER BY key LOOP
        IF given.name !~ '^[a-z_][a-z0-9_]{0,62}$' OR given.name = own.key_column
           OR given.name IN (SELECT value FROM jsonb_each_text(own.columns)) THEN
            RAISE EXCEPTION '% cannot be a column for a key of the output in %', quote_ident(given.name), place;
        END IF;
        SELECT regexp_replace(format_type(atttypid, atttypmod), '^.*\.', '') INTO existing FROM pg_attribute
        WHERE attrelid = place::regclass AND attname = given.name AND NOT attisdropped;
        IF own.by_author THEN
            IF existing IS NULL THEN
                RAISE EXCEPTION 'The table % has no column %', place, quote_ident(given.name);
            END IF;
            CONTINUE;
        END IF;
        CONTINUE WHEN existing = given.type;
        IF existing IS NOT NULL THEN
            EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', place);
            EXECUTE format('SELECT EXISTS (SELECT FROM %s)', place) INTO occupied;
            IF occupied THEN
                RAISE EXCEPTION 'The column % of % is of type %, not %', quote_ident(given.name), place, existing,
                    given.type;
            END IF;
            EXECUTE format('ALTER TABLE %s DROP COLUMN %I', place, given.name);
        END IF;
        EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s', place, given.name, batchord.output_type(given.type));
    END LOOP;
    UPDATE batchord.results SET outputs = (
        SELECT coalesce(jsonb_object_agg(attname, regexp_replace(format_type(atttypid, atttypmod), '^.*\.', '')), '{}')
        FROM pg_attribute
        WHERE attrelid = place::regclass AND attnum > 0 AND NOT attisdropped AND (own.outputs || wanted) ? attname)
    WHERE id = own.id;
    PERFORM batchord.show_results();
END
$add$;
REVOKE ALL ON FUNCTION batchord.add_outputs, batchord.output_type, batchord.whole_output FROM PUBLIC;

-- As the function that makes tables has it.
DO $rights$
DECLARE given record;
BEGIN
    FOR given IN
        SELECT CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(acl.grantee)) END AS role
        FROM pg_proc AS routine, aclexplode(routine.proacl) AS acl
        WHERE routine.oid = 'batchord.make_results'::regproc AND acl.grantee <> routine.proowner
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION batchord.add_outputs TO %s', given.role);
    END LOOP;
END
$rights$;
"""


def upgrade() -> None:
    """Adds a column with a constant default, and functions. No row of predictions is read or written."""
    for part in (_COLUMN, _SHOWN, _FUNCTIONS):
        op.execute(part)
