"""Sql steps end by a role that may not write the ledger; authors' tables lie in ``public``."""

from alembic import op

revision = "0013"
down_revision = "0012"

#: The role batchord found the schema batchord first: what an author created without naming a schema came to lie here.
#: It is moved to where such a name leads from now on, unless the name is taken there. Views follow their tables by
#: themselves; a table's indexes, row type and own sequences go with it.
_CHANGES = """
DO $move$
DECLARE stray record;
BEGIN
    IF NOT has_schema_privilege('public', 'CREATE') THEN
        RETURN;
    END IF;
    FOR stray IN
        SELECT CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
                            WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'c' THEN 'TYPE' ELSE 'TABLE' END AS kind,
               format('%I', relname) AS place
        FROM pg_catalog.pg_class AS relation
        WHERE relnamespace = 'batchord'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
          AND relname <> ALL ('{runs,steps,shards,attempts,attempt_logs,predictions,current_predictions,rejections,
                                alerts,incidents,pipelines,frontiers,rates,schema_version}'::text[])
          AND pg_has_role(relowner, 'USAGE')
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_class AS other
                          WHERE other.relnamespace = 'public'::regnamespace AND other.relname = relation.relname)
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS tie
                          WHERE tie.classid = 'pg_class'::regclass AND tie.objid = relation.oid
                            AND (tie.deptype = 'e' OR (tie.deptype IN ('a', 'i') AND relkind = 'S')))
        UNION ALL
        SELECT 'ROUTINE', format('%I(%s)', proname, pg_get_function_identity_arguments(routine.oid))
        FROM pg_catalog.pg_proc AS routine
        WHERE pronamespace = 'batchord'::regnamespace AND pg_has_role(proowner, 'USAGE')
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_proc AS other
                          WHERE other.pronamespace = 'public'::regnamespace AND other.proname = routine.proname)
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS tie
                          WHERE tie.classid = 'pg_proc'::regclass AND tie.objid = routine.oid AND tie.deptype = 'e')
        UNION ALL
        SELECT 'TYPE', format('%I', typname)
        FROM pg_catalog.pg_type AS type
        WHERE typnamespace = 'batchord'::regnamespace AND typtype IN ('e', 'd', 'r') AND pg_has_role(typowner, 'USAGE')
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_type AS other
                          WHERE other.typnamespace = 'public'::regnamespace AND other.typname = type.typname)
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS tie
                          WHERE tie.classid = 'pg_type'::regclass AND tie.objid = type.oid AND tie.deptype = 'e')
    LOOP
        EXECUTE format('ALTER %s batchord.%s SET SCHEMA public', stray.kind, stray.place);
    END LOOP;
END
$move$;

-- The end of a Sql step is committed together with its work, by a role that may read the ledger and write nothing of
-- it but this: it takes the lease's token.
CREATE FUNCTION batchord.commit_sql_step(run uuid, step text, token uuid, output jsonb) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $commit$
    WITH written AS (
        UPDATE batchord.steps AS mine SET committed = commit_sql_step.output
        WHERE mine.run_id = commit_sql_step.run AND mine.name = commit_sql_step.step
          AND mine.lease_token = commit_sql_step.token AND mine.state = 'running'
        RETURNING mine.name
    )
    SELECT count(*) = 1 FROM written
$commit$;
REVOKE ALL ON FUNCTION batchord.commit_sql_step FROM PUBLIC;
"""


def upgrade() -> None:
    """Moves what is not the ledger's, and adds the function."""
    op.execute(_CHANGES)
