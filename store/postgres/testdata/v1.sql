--
-- PostgreSQL database dump
--


-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: evolve; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA evolve;


--
-- Name: append(text[], text, integer[], text[], text[], text[], integer[], bigint[], integer[], integer[], integer[], text[], text[], text[], text[], text[], bigint[], text[], timestamp with time zone[], text[], text[], text[], text[], bytea[], integer[], integer[], text[], boolean[]); Type: FUNCTION; Schema: evolve; Owner: -
--

CREATE FUNCTION evolve.append(logs text[], news text, s_log integer[], s_tenant text[], s_type text[], s_id text[], a_stream integer[], a_expected bigint[], a_count integer[], e_append integer[], e_place integer[], e_tenant text[], e_stream_type text[], e_stream_id text[], e_id text[], e_type text[], e_schema bigint[], e_content_type text[], e_time timestamp with time zone[], e_correlation text[], e_causation text[], e_actor text[], e_headers text[], e_data bytea[], c_append integer[], c_stream integer[], c_key text[], c_release boolean[]) RETURNS TABLE(outcome integer, last_version bigint, last_position bigint, name text, in_type text, in_id text)
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET lock_timeout TO '10s'
    AS $$
#variable_conflict use_column
DECLARE
  now       timestamptz;
  heads     bigint[]; -- of logs
  versions  bigint[]; -- of the streams
  taken     int[];    -- the appends with an id that is taken
  befores   bigint[]; -- the version before an append, NULL if it is refused
  positions bigint[]; -- the position before an append
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
  FROM (SELECT unnest(e_append) AS append, unnest(e_place) AS place, -- not in FROM, which would copy each
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


--
-- Name: find(integer, integer[], integer[], text[], text[], text[], text[], text[], bigint[], text[], bytea[]); Type: FUNCTION; Schema: evolve; Owner: -
--

CREATE FUNCTION evolve.find(n integer, e_append integer[], e_place integer[], e_tenant text[], e_stream_type text[], e_stream_id text[], e_id text[], e_type text[], e_schema bigint[], e_content_type text[], e_data bytea[], OUT outcome integer, OUT last_version bigint, OUT last_position bigint, OUT name text, OUT in_type text, OUT in_id text) RETURNS record
    LANGUAGE plpgsql STABLE
    AS $$
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


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: checkpoint; Type: TABLE; Schema: evolve; Owner: -
--

CREATE TABLE evolve.checkpoint (
    tenant text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    "position" bigint NOT NULL,
    event text NOT NULL COLLATE pg_catalog."C"
);


--
-- Name: claim; Type: TABLE; Schema: evolve; Owner: -
--

CREATE TABLE evolve.claim (
    tenant text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    stream_type text NOT NULL COLLATE pg_catalog."C",
    stream_id text NOT NULL COLLATE pg_catalog."C"
);


--
-- Name: event; Type: TABLE; Schema: evolve; Owner: -
--

CREATE TABLE evolve.event (
    tenant text NOT NULL COLLATE pg_catalog."C",
    "position" bigint NOT NULL,
    stream_type text NOT NULL COLLATE pg_catalog."C",
    stream_id text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    type text NOT NULL COLLATE pg_catalog."C",
    schema bigint NOT NULL,
    content_type text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    correlation text NOT NULL COLLATE pg_catalog."C",
    causation text NOT NULL COLLATE pg_catalog."C",
    actor text NOT NULL COLLATE pg_catalog."C",
    headers jsonb,
    data bytea NOT NULL
);


--
-- Name: lease; Type: TABLE; Schema: evolve; Owner: -
--

CREATE TABLE evolve.lease (
    tenant text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    owner text NOT NULL COLLATE pg_catalog."C",
    fence bigint NOT NULL,
    until timestamp with time zone NOT NULL
);


--
-- Name: log; Type: TABLE; Schema: evolve; Owner: -
--

CREATE TABLE evolve.log (
    name text NOT NULL COLLATE pg_catalog."C",
    head bigint DEFAULT 0 NOT NULL
)
WITH (fillfactor='10', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='500');


--
-- Name: migration; Type: TABLE; Schema: evolve; Owner: -
--

CREATE TABLE evolve.migration (
    version integer NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);


--
-- Name: setting; Type: TABLE; Schema: evolve; Owner: -
--

CREATE TABLE evolve.setting (
    one boolean DEFAULT true NOT NULL,
    log_per_tenant boolean NOT NULL,
    CONSTRAINT setting_one_check CHECK (one)
);


--
-- Name: snapshot; Type: TABLE; Schema: evolve; Owner: -
--

CREATE TABLE evolve.snapshot (
    tenant text NOT NULL COLLATE pg_catalog."C",
    stream_type text NOT NULL COLLATE pg_catalog."C",
    stream_id text NOT NULL COLLATE pg_catalog."C",
    schema text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    data bytea NOT NULL
);


--
-- Data for Name: checkpoint; Type: TABLE DATA; Schema: evolve; Owner: -
--

COPY evolve.checkpoint (tenant, name, "position", event) FROM stdin;
default	consumer	2	e2
\.


--
-- Data for Name: claim; Type: TABLE DATA; Schema: evolve; Owner: -
--

COPY evolve.claim (tenant, key, stream_type, stream_id) FROM stdin;
default	seat	A	1
\.


--
-- Data for Name: event; Type: TABLE DATA; Schema: evolve; Owner: -
--

COPY evolve.event (tenant, "position", stream_type, stream_id, version, id, type, schema, content_type, "time", recorded_at, correlation, causation, actor, headers, data) FROM stdin;
default	1	A	1	1	e1	Happened	2	application/json	2026-01-02 03:04:05.000006+00	2026-11-26 18:42:04.844783+00	request	cause	ann	{"k": "v"}	\\x7b226e223a317d
default	2	A	1	2	e2	Happened	2	application/json	2026-01-02 03:04:05.000006+00	2026-11-26 18:42:04.844783+00	request	cause	ann	{"k": "v"}	\\x7b226e223a317d
b	3	A	1	1	e1	Happened	2	application/json	2026-01-02 03:04:05.000006+00	2026-11-26 18:42:04.914854+00	request	cause	ann	{"k": "v"}	\\x7b226e223a317d
default	4	A	2	1	e3	Happened	2	application/json	2026-01-02 03:04:05.000006+00	2026-11-26 18:42:04.928291+00	request	cause	ann	{"k": "v"}	\\x7b226e223a317d
\.


--
-- Data for Name: lease; Type: TABLE DATA; Schema: evolve; Owner: -
--

COPY evolve.lease (tenant, name, owner, fence, until) FROM stdin;
default	lease	owner	1	2026-11-26 19:42:04.944253+00
\.


--
-- Data for Name: log; Type: TABLE DATA; Schema: evolve; Owner: -
--

COPY evolve.log (name, head) FROM stdin;
	4
\.


--
-- Data for Name: migration; Type: TABLE DATA; Schema: evolve; Owner: -
--

COPY evolve.migration (version, applied_at) FROM stdin;
1	2026-11-26 18:42:04.512205+00
\.


--
-- Data for Name: setting; Type: TABLE DATA; Schema: evolve; Owner: -
--

COPY evolve.setting (one, log_per_tenant) FROM stdin;
t	f
\.


--
-- Data for Name: snapshot; Type: TABLE DATA; Schema: evolve; Owner: -
--

COPY evolve.snapshot (tenant, stream_type, stream_id, schema, version, data) FROM stdin;
default	A	1	v1	2	\\x7374617465
\.


--
-- Name: checkpoint checkpoint_pkey; Type: CONSTRAINT; Schema: evolve; Owner: -
--

ALTER TABLE ONLY evolve.checkpoint
    ADD CONSTRAINT checkpoint_pkey PRIMARY KEY (tenant, name);


--
-- Name: claim claim_pkey; Type: CONSTRAINT; Schema: evolve; Owner: -
--

ALTER TABLE ONLY evolve.claim
    ADD CONSTRAINT claim_pkey PRIMARY KEY (tenant, key);


--
-- Name: event event_id; Type: CONSTRAINT; Schema: evolve; Owner: -
--

ALTER TABLE ONLY evolve.event
    ADD CONSTRAINT event_id UNIQUE (tenant, id);


--
-- Name: event event_pkey; Type: CONSTRAINT; Schema: evolve; Owner: -
--

ALTER TABLE ONLY evolve.event
    ADD CONSTRAINT event_pkey PRIMARY KEY (tenant, "position");


--
-- Name: event event_version; Type: CONSTRAINT; Schema: evolve; Owner: -
--

ALTER TABLE ONLY evolve.event
    ADD CONSTRAINT event_version UNIQUE (tenant, stream_type, stream_id, version);


--
-- Name: lease lease_pkey; Type: CONSTRAINT; Schema: evolve; Owner: -
--

ALTER TABLE ONLY evolve.lease
    ADD CONSTRAINT lease_pkey PRIMARY KEY (tenant, name);


--
-- Name: log log_pkey; Type: CONSTRAINT; Schema: evolve; Owner: -
--

ALTER TABLE ONLY evolve.log
    ADD CONSTRAINT log_pkey PRIMARY KEY (name);


--
-- Name: migration migration_pkey; Type: CONSTRAINT; Schema: evolve; Owner: -
--

ALTER TABLE ONLY evolve.migration
    ADD CONSTRAINT migration_pkey PRIMARY KEY (version);


--
-- Name: setting setting_pkey; Type: CONSTRAINT; Schema: evolve; Owner: -
--

ALTER TABLE ONLY evolve.setting
    ADD CONSTRAINT setting_pkey PRIMARY KEY (one);


--
-- Name: snapshot snapshot_pkey; Type: CONSTRAINT; Schema: evolve; Owner: -
--

ALTER TABLE ONLY evolve.snapshot
    ADD CONSTRAINT snapshot_pkey PRIMARY KEY (tenant, stream_type, stream_id, schema);


--
-- PostgreSQL database dump complete
--


