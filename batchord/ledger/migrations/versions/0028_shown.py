"""A table that its author has broken does not keep others from getting a table."""

from alembic import op

revision = "0028"
down_revision = "0027"

_SHOWN = """
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


def upgrade() -> None:
    """Makes one function anew."""
    op.execute(_SHOWN)
