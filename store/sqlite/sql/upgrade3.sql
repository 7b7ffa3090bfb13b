-- Upgrade from version 2 to version 3: the events move to a new table. Do not change this
-- file when the schema changes. The view is dropped first, because a table that a view
-- uses cannot be renamed.

DROP VIEW log;
ALTER TABLE event RENAME TO old_event;

-- One row, which tells whether a log belongs to the file. See wal.go.
CREATE TABLE file (
  id   BLOB NOT NULL, -- changes whenever a program begins a new log
  last BLOB NOT NULL  -- the previous id
) STRICT;
INSERT INTO file (id, last) VALUES (randomblob(16), randomblob(16));

-- Values that many events have in common.
CREATE TABLE kind (
  id           INTEGER PRIMARY KEY,
  type         TEXT    NOT NULL,
  schema       INTEGER NOT NULL,
  content_type TEXT    NOT NULL,
  UNIQUE (type, schema, content_type)
) STRICT;

-- A table with a rowid keeps its rows in the leaves of its B-tree, in the order of seq,
-- so a log is read page by page.
CREATE TABLE event (
  seq         INTEGER PRIMARY KEY, -- tenant << 40 | position
  tenant      INTEGER NOT NULL REFERENCES tenant,
  stream      INTEGER NOT NULL REFERENCES stream,
  version     INTEGER NOT NULL,
  id          ANY     NOT NULL, -- the 16 bytes of a lower-case UUID, or the text of another id
  kind        INTEGER NOT NULL REFERENCES kind,
  time        INTEGER NOT NULL,
  recorded_at INTEGER NOT NULL,
  meta        TEXT    NOT NULL, -- JSON, or '' for none
  data        BLOB    NOT NULL
) STRICT;

CREATE TABLE document (
  tenant INTEGER NOT NULL REFERENCES tenant,
  kind   TEXT    NOT NULL,
  id     TEXT    NOT NULL,
  data   BLOB    NOT NULL,
  PRIMARY KEY (tenant, kind, id)
) STRICT, WITHOUT ROWID;

INSERT INTO kind (type, schema, content_type) SELECT DISTINCT type, schema, content_type FROM old_event ORDER BY 1, 2, 3;

INSERT INTO event (seq, tenant, stream, version, id, kind, time, recorded_at, meta, data)
SELECT e.tenant << 40 | e.position, e.tenant, e.stream, e.version,
  CASE e.id WHEN format('%s-%s-%s-%s-%s', lower(hex(substr(unhex(e.id, '-'), 1, 4))), lower(hex(substr(unhex(e.id, '-'), 5, 2))),
    lower(hex(substr(unhex(e.id, '-'), 7, 2))), lower(hex(substr(unhex(e.id, '-'), 9, 2))), lower(hex(substr(unhex(e.id, '-'), 11))))
  THEN CASE length(e.id) WHEN 36 THEN unhex(e.id, '-') ELSE e.id END ELSE e.id END,
  k.id, e.time, e.recorded_at, e.meta, e.data
FROM old_event e CROSS JOIN kind k ON k.type = e.type AND k.schema = e.schema AND k.content_type = e.content_type
ORDER BY e.tenant, e.position;

DROP TABLE old_event;

ALTER TABLE claim RENAME TO old_claim;
CREATE TABLE claim (
  tenant INTEGER NOT NULL REFERENCES tenant,
  key    TEXT    NOT NULL,
  stream INTEGER NOT NULL, -- the holder; a foreign key would make SQLite read all claims to delete a stream
  PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;
INSERT INTO claim (tenant, key, stream) SELECT tenant, key, stream FROM old_claim ORDER BY tenant, key;
DROP TABLE old_claim;

CREATE UNIQUE INDEX event_stream ON event (stream, version);
CREATE UNIQUE INDEX event_id ON event (tenant, id);

-- For people to read: SELECT * FROM log ORDER BY position DESC LIMIT 20;
CREATE VIEW log AS
SELECT t.name AS tenant, e.seq & 0xffffffffff AS position, s.type AS stream_type, s.name AS stream_id, e.version,
  k.type, k.schema, CASE typeof(e.id) WHEN 'text' THEN e.id ELSE lower(format('%s-%s-%s-%s-%s', substr(hex(e.id), 1, 8),
    substr(hex(e.id), 9, 4), substr(hex(e.id), 13, 4), substr(hex(e.id), 17, 4), substr(hex(e.id), 21))) END AS id,
  strftime('%Y-%m-%dT%H:%M:%fZ', e.time / 1e6, 'unixepoch') AS time, e.meta, CAST(e.data AS TEXT) AS data
FROM event e JOIN stream s ON s.id = e.stream JOIN tenant t ON t.id = e.tenant JOIN kind k ON k.id = e.kind;
