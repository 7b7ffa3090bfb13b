-- The schema, version 3. Times are microseconds since 1970 in UTC.

-- One row, which tells whether a log belongs to the file. See wal.go.
CREATE TABLE file (
  id   BLOB NOT NULL, -- changes whenever a program begins a new log
  last BLOB NOT NULL  -- the previous id
) STRICT;
INSERT INTO file (id, last) VALUES (randomblob(16), randomblob(16));

CREATE TABLE tenant (
  id   INTEGER PRIMARY KEY,
  name TEXT    NOT NULL UNIQUE
) STRICT;

CREATE TABLE stream (
  id     INTEGER PRIMARY KEY,
  tenant INTEGER NOT NULL REFERENCES tenant,
  type   TEXT    NOT NULL,
  name   TEXT    NOT NULL,
  UNIQUE (tenant, type, name)
) STRICT;

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

CREATE UNIQUE INDEX event_stream ON event (stream, version);
CREATE UNIQUE INDEX event_id ON event (tenant, id);

CREATE TABLE snapshot (
  tenant  INTEGER NOT NULL REFERENCES tenant,
  type    TEXT    NOT NULL,
  name    TEXT    NOT NULL,
  schema  TEXT    NOT NULL,
  version INTEGER NOT NULL,
  data    BLOB    NOT NULL,
  PRIMARY KEY (tenant, type, name, schema)
) STRICT;

CREATE TABLE checkpoint (
  tenant   INTEGER NOT NULL REFERENCES tenant,
  name     TEXT    NOT NULL,
  position INTEGER NOT NULL,
  event    TEXT    NOT NULL,
  PRIMARY KEY (tenant, name)
) STRICT;

CREATE TABLE claim (
  tenant INTEGER NOT NULL REFERENCES tenant,
  key    TEXT    NOT NULL,
  stream INTEGER NOT NULL, -- the holder; a foreign key would make SQLite read all claims to delete a stream
  PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE lease (
  tenant INTEGER NOT NULL REFERENCES tenant,
  name   TEXT    NOT NULL,
  owner  TEXT    NOT NULL, -- '' after a release
  fence  INTEGER NOT NULL,
  until  INTEGER NOT NULL,
  PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE document (
  tenant INTEGER NOT NULL REFERENCES tenant,
  kind   TEXT    NOT NULL,
  id     TEXT    NOT NULL,
  data   BLOB    NOT NULL,
  PRIMARY KEY (tenant, kind, id)
) STRICT, WITHOUT ROWID;

-- For people to read: SELECT * FROM log ORDER BY position DESC LIMIT 20;
CREATE VIEW log AS
SELECT t.name AS tenant, e.seq & 0xffffffffff AS position, s.type AS stream_type, s.name AS stream_id, e.version,
  k.type, k.schema, CASE typeof(e.id) WHEN 'text' THEN e.id ELSE lower(format('%s-%s-%s-%s-%s', substr(hex(e.id), 1, 8),
    substr(hex(e.id), 9, 4), substr(hex(e.id), 13, 4), substr(hex(e.id), 17, 4), substr(hex(e.id), 21))) END AS id,
  strftime('%Y-%m-%dT%H:%M:%fZ', e.time / 1e6, 'unixepoch') AS time, e.meta, CAST(e.data AS TEXT) AS data
FROM event e JOIN stream s ON s.id = e.stream JOIN tenant t ON t.id = e.tenant JOIN kind k ON k.id = e.kind;
