"""A table that an author has made for predictions."""

#: It has what a step needs, and nothing else.
MOODS = (
    "CREATE TABLE moods (id bigint PRIMARY KEY, label text, score float8, writer int, "
    "predicted_at timestamptz DEFAULT now())"
)
