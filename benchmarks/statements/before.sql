CREATE SCHEMA past;
-- Records arrive evenly over 30 days, until ten minutes ago.
CREATE TABLE past.days AS
    SELECT now() - interval '30 days 10 minutes' AS since, interval '30 days' / {records} AS each;
CREATE FUNCTION past.arrival(number bigint) RETURNS timestamptz STABLE LANGUAGE sql
    AS 'SELECT since + number * each FROM past.days';
CREATE TABLE texts (id bigint PRIMARY KEY, body text, created_at timestamptz NOT NULL);
INSERT INTO texts
    SELECT n, CASE WHEN n % 101 = 0 THEN 'unreadable ' ELSE 'text ' END || n, past.arrival(n)
    FROM generate_series(1, {records}) AS n;
CREATE INDEX ON texts (created_at, id);
CREATE TABLE past.sampled AS SELECT 202::bigint AS most;
GRANT USAGE ON SCHEMA past TO PUBLIC;
GRANT SELECT ON past.sampled TO PUBLIC;
