-- What the how-to pages presume besides the quickstart's table.
CREATE TABLE customers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, country text NOT NULL);
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint REFERENCES customers,
    parent_id bigint,
    amount numeric NOT NULL,
    items int NOT NULL,
    country text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    ordered_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO orders (amount, items, country) VALUES (240, 1, 'DE'), (21, 1, 'FR'), (44, 2, 'IT');
CREATE TABLE articles (id bigint, revision int, body text, changed_at timestamptz, PRIMARY KEY (id, revision));
CREATE TABLE deliveries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    distance_km float8,
    weight_kg float8,
    service text,
    ordered_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO deliveries (distance_km, weight_kg, service) VALUES (5, 2, 'standard'), (25, 2, 'express');
CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text);
CREATE TABLE drafts (id bigint PRIMARY KEY);
CREATE TABLE sales (id bigint PRIMARY KEY, shop_id bigint, day date, amount numeric, sold_at timestamptz);
INSERT INTO sales VALUES (1, 7, '2026-01-20', 19.90, '2026-01-20 10:00+00');
CREATE TABLE rides (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, distance_km float8, hour int NOT NULL, town text
);
INSERT INTO rides (distance_km, hour, town) VALUES (4, 9, 'airport'), (3, 17, 'harbour');
