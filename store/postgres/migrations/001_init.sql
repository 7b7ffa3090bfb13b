-- Version 1 of the schema. The store replaces each "evolve." if you choose another
-- schema name. COLLATE "C" makes every comparison byte by byte.

CREATE TABLE evolve.migration (
  version    int         PRIMARY KEY,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The settings that were chosen when the schema was created.
CREATE TABLE evolve.setting (
  one            boolean PRIMARY KEY DEFAULT true CHECK (one),
  log_per_tenant boolean NOT NULL
);

-- A row holds the head of one log: the log that all tenants share (named '') or the
-- log of one tenant. An append locks the row before it assigns positions and holds the
-- lock until it commits, so that positions are in commit order. Each group of appends
-- updates the row; the low fillfactor leaves room in the page for that.
CREATE TABLE evolve.log (
  name text   COLLATE "C" PRIMARY KEY,
  head bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

CREATE TABLE evolve.event (
  tenant       text        COLLATE "C" NOT NULL,
  position     bigint      NOT NULL,
  stream_type  text        COLLATE "C" NOT NULL,
  stream_id    text        COLLATE "C" NOT NULL,
  version      bigint      NOT NULL,
  id           text        COLLATE "C" NOT NULL,
  type         text        COLLATE "C" NOT NULL,
  schema       bigint      NOT NULL,
  content_type text        COLLATE "C" NOT NULL,
  time         timestamptz NOT NULL,
  recorded_at  timestamptz NOT NULL,
  correlation  text        COLLATE "C" NOT NULL,
  causation    text        COLLATE "C" NOT NULL,
  actor        text        COLLATE "C" NOT NULL,
  headers      jsonb, -- NULL for none
  data         bytea       NOT NULL,
  PRIMARY KEY (tenant, position),
  CONSTRAINT event_version UNIQUE (tenant, stream_type, stream_id, version),
  CONSTRAINT event_id UNIQUE (tenant, id)
);

CREATE TABLE evolve.claim (
  tenant      text COLLATE "C" NOT NULL,
  key         text COLLATE "C" NOT NULL,
  stream_type text COLLATE "C" NOT NULL,
  stream_id   text COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant, key)
);

CREATE TABLE evolve.snapshot (
  tenant      text   COLLATE "C" NOT NULL,
  stream_type text   COLLATE "C" NOT NULL,
  stream_id   text   COLLATE "C" NOT NULL,
  schema      text   COLLATE "C" NOT NULL,
  version     bigint NOT NULL,
  data        bytea  NOT NULL,
  PRIMARY KEY (tenant, stream_type, stream_id, schema)
);

CREATE TABLE evolve.checkpoint (
  tenant   text   COLLATE "C" NOT NULL,
  name     text   COLLATE "C" NOT NULL,
  position bigint NOT NULL,
  event    text   COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant, name)
);

CREATE TABLE evolve.lease (
  tenant text        COLLATE "C" NOT NULL,
  name   text        COLLATE "C" NOT NULL,
  owner  text        COLLATE "C" NOT NULL,
  fence  bigint      NOT NULL,
  until  timestamptz NOT NULL,
  PRIMARY KEY (tenant, name)
);

-- append runs a group of appends in order and returns one row for each append:
--
--   outcome          0 appended, 1 replayed, 2 conflict, 3 duplicate, 4 claimed
--   last_version     the version of the append's last event; for a conflict the version
--                    of the stream, for a duplicate the version of the existing event
--   last_position    the position of the append's last event
--   name             the event id or key that caused a refusal
--   in_type, in_id   the stream that has this id or holds this key
--
-- A refused append changes nothing. The function fails if two appends of the group have
-- the same event id or take the same key.
--
-- The s_ arrays list each stream once. s_log is the index of the stream's log in logs,
-- which is sorted. a_stream, c_stream, e_append and c_append are indexes into the
-- streams and the appends, and e_place is the index of an event in its append. All
-- indexes start at 1. In a_expected, -1 means no stream, -2 an existing stream and -3 any
-- version. No other append of the group has the stream of an append with claims. The
-- function sends news on the channel evolve.event.
--
-- Each statement sees what was committed before the statement began, so the statements
-- after the lock see everything that is before them in the log. They must use the right
-- index even if they were planned when the table was nearly empty. So they look an id up
-- as the first id that is not less, which only the index event_id can answer.
CREATE FUNCTION evolve.append(
  logs text[], news text,
  s_log int[], s_tenant text[], s_type text[], s_id text[],
  a_stream int[], a_expected bigint[], a_count int[],
  e_append int[], e_place int[], e_tenant text[], e_stream_type text[], e_stream_id text[],
  e_id text[], e_type text[], e_schema bigint[], e_content_type text[], e_time timestamptz[],
  e_correlation text[], e_causation text[], e_actor text[], e_headers text[], e_data bytea[],
  c_append int[], c_stream int[], c_key text[], c_release boolean[]
) RETURNS TABLE (outcome int, last_version bigint, last_position bigint, name text, in_type text, in_id text)
LANGUAGE plpgsql
SET enable_seqscan = off
SET enable_sort = off
SET jit = off
SET plan_cache_mode = force_generic_plan
SET lock_timeout = '10s'
AS $$
#variable_conflict use_column
DECLARE
  now       timestamptz;
  heads     bigint[]; -- of the logs
  versions  bigint[]; -- of the streams
  taken     int[];    -- the appends with an event id that is already recorded
  befores   bigint[]; -- the version before each append, NULL if it is refused
  positions bigint[]; -- the position before each append
  made      boolean := false;
  s         int;
BEGIN
  SELECT array_agg(l.head) INTO heads
  FROM (SELECT head FROM evolve.log WHERE name = ANY (logs) ORDER BY name FOR UPDATE) l;
  IF heads IS NULL OR cardinality(heads) < cardinality(logs) THEN
    INSERT INTO evolve.log (name) SELECT unnest(logs) ON CONFLICT DO NOTHING;
    SELECT array_agg(l.head) INTO heads
    FROM (SELECT head FROM evolve.log WHERE name = ANY (logs) ORDER BY name FOR UPDATE) l;
  END IF;
  now := clock_timestamp();

  SELECT array_agg(coalesce((
    SELECT x.version FROM evolve.event x
    WHERE x.tenant = s.tenant AND x.stream_type = s.type AND x.stream_id = s.id
    ORDER BY x.version DESC LIMIT 1), 0))
  INTO versions FROM unnest(s_tenant, s_type, s_id) s (tenant, type, id);

  SELECT array_agg(e.append) INTO taken FROM unnest(e_append, e_tenant, e_id) e (append, tenant, id)
  WHERE (SELECT x.id FROM evolve.event x WHERE x.tenant = e.tenant AND x.id >= e.id ORDER BY x.id LIMIT 1) = e.id;

  FOR n IN 1 .. cardinality(a_stream) LOOP
    s := a_stream[n];
    outcome := 0;
    last_version := versions[s];
    last_position := NULL;
    name := NULL;
    in_type := NULL;
    in_id := NULL;
    IF taken IS NOT NULL AND n = ANY (taken) THEN
      SELECT f.outcome, f.last_version, f.last_position, f.name, f.in_type, f.in_id
      INTO outcome, last_version, last_position, name, in_type, in_id
      FROM evolve.find(n, e_append, e_place, e_tenant, e_stream_type, e_stream_id,
        e_id, e_type, e_schema, e_content_type, e_data) f;
    ELSIF NOT (CASE a_expected[n]
        WHEN -1 THEN versions[s] = 0
        WHEN -2 THEN versions[s] > 0
        WHEN -3 THEN true
        ELSE versions[s] = a_expected[n] END) THEN
      outcome := 2;
    ELSE
      IF n = ANY (c_append) THEN
        SELECT h.key, h.stream_type, h.stream_id INTO name, in_type, in_id
        FROM unnest(c_append, c_key) WITH ORDINALITY c (append, key, place)
        CROSS JOIN LATERAL (SELECT * FROM evolve.claim h WHERE h.tenant = s_tenant[s] AND h.key = c.key OFFSET 0) h
        WHERE c.append = n AND (h.stream_type <> s_type[s] OR h.stream_id <> s_id[s])
        ORDER BY c.place LIMIT 1;
      END IF;
      IF name IS NOT NULL THEN
        outcome := 4;
      ELSE
        befores[n] := versions[s];
        positions[n] := heads[s_log[s]];
        last_version := versions[s] + a_count[n];
        last_position := positions[n] + a_count[n];
        versions[s] := last_version;
        heads[s_log[s]] := last_position;
        made := true;
      END IF;
    END IF;
    RETURN NEXT;
  END LOOP;
  IF NOT made THEN
    RETURN;
  END IF;

  INSERT INTO evolve.event
  SELECT e.tenant, positions[e.append] + e.place, e.stream_type, e.stream_id, befores[e.append] + e.place,
    e.id, e.type, e.schema, e.content_type, coalesce(e.time, now), now,
    e.correlation, e.causation, e.actor, nullif(e.headers, '')::jsonb, e.data
  FROM (SELECT unnest(e_append) AS append, unnest(e_place) AS place, -- unnest in FROM would copy each array
      unnest(e_tenant) AS tenant, unnest(e_stream_type) AS stream_type, unnest(e_stream_id) AS stream_id,
      unnest(e_id) AS id, unnest(e_type) AS type, unnest(e_schema) AS schema, unnest(e_content_type) AS content_type,
      unnest(e_time) AS time, unnest(e_correlation) AS correlation, unnest(e_causation) AS causation,
      unnest(e_actor) AS actor, unnest(e_headers) AS headers, unnest(e_data) AS data) e
  WHERE befores[e.append] IS NOT NULL;

  UPDATE evolve.log l SET head = h.head FROM unnest(logs, heads) h (name, head) WHERE l.name = h.name AND l.head < h.head;

  IF cardinality(c_append) > 0 THEN
    DELETE FROM evolve.claim h USING unnest(c_append, c_stream, c_key, c_release) c (append, stream, key, release)
    WHERE c.release AND befores[c.append] IS NOT NULL AND h.tenant = s_tenant[c.stream] AND h.key = c.key;
    INSERT INTO evolve.claim
    SELECT s_tenant[c.stream], c.key, s_type[c.stream], s_id[c.stream]
    FROM unnest(c_append, c_stream, c_key, c_release) c (append, stream, key, release)
    WHERE NOT c.release AND befores[c.append] IS NOT NULL AND NOT coalesce((
      SELECT true FROM evolve.claim h WHERE h.tenant = s_tenant[c.stream] AND h.key = c.key), false);
  END IF;
  PERFORM pg_notify('evolve.event', news);
END
$$;

-- find returns the outcome of append n, which has an event id that is already recorded.
-- If all its events are recorded in its stream, unchanged and at consecutive versions,
-- the append is replayed, and find returns the version and position of the last event.
-- Otherwise it is a duplicate, and find returns the first event that has one of its ids.
CREATE FUNCTION evolve.find(
  n int, e_append int[], e_place int[], e_tenant text[], e_stream_type text[], e_stream_id text[],
  e_id text[], e_type text[], e_schema bigint[], e_content_type text[], e_data bytea[],
  OUT outcome int, OUT last_version bigint, OUT last_position bigint, OUT name text, OUT in_type text, OUT in_id text
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
  same   boolean;
  latest record;
BEGIN
  SELECT x.version, x.position, x.id, x.stream_type, x.stream_id
  INTO last_version, last_position, name, in_type, in_id
  FROM unnest(e_append, e_place, e_tenant, e_id) e (append, place, tenant, id)
  CROSS JOIN LATERAL (SELECT * FROM evolve.event x WHERE x.tenant = e.tenant AND x.id >= e.id ORDER BY x.id LIMIT 1) x
  WHERE e.append = n AND x.id = e.id ORDER BY e.place LIMIT 1;

  SELECT bool_and(coalesce(x.stream_type = e.stream_type AND x.stream_id = e.stream_id AND x.version = last_version + e.place - 1
    AND x.type = e.type AND x.schema = e.schema AND x.content_type = e.content_type AND x.data = e.data, false)) AS same,
    max(x.version) AS version, max(x.position) AS position
  INTO latest
  FROM unnest(e_append, e_place, e_tenant, e_stream_type, e_stream_id, e_id, e_type, e_schema, e_content_type, e_data)
    e (append, place, tenant, stream_type, stream_id, id, type, schema, content_type, data)
  LEFT JOIN LATERAL (SELECT * FROM evolve.event x WHERE x.tenant = e.tenant AND x.id >= e.id ORDER BY x.id LIMIT 1) x ON x.id = e.id
  WHERE e.append = n;

  outcome := 3;
  IF latest.same THEN
    outcome := 1;
    last_version := latest.version;
    last_position := latest.position;
  END IF;
END
$$;

INSERT INTO evolve.migration (version) VALUES (1);
