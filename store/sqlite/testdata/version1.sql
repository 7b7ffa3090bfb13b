-- Version 1 of the file. Times are microseconds since 1970 in UTC.

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

CREATE TABLE event (
  tenant       INTEGER NOT NULL REFERENCES tenant,
  position     INTEGER NOT NULL,
  stream       INTEGER NOT NULL REFERENCES stream,
  version      INTEGER NOT NULL,
  id           TEXT    NOT NULL,
  type         TEXT    NOT NULL,
  schema       INTEGER NOT NULL,
  content_type TEXT    NOT NULL,
  time         INTEGER NOT NULL,
  recorded_at  INTEGER NOT NULL,
  meta         TEXT    NOT NULL, -- JSON, or '' for none
  data         BLOB    NOT NULL,
  PRIMARY KEY (tenant, position),
  UNIQUE (stream, version),
  UNIQUE (tenant, id)
) STRICT, WITHOUT ROWID;

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

-- For people: SELECT * FROM log ORDER BY position DESC LIMIT 20;
CREATE VIEW log AS
SELECT t.name AS tenant, e.position, s.type AS stream_type, s.name AS stream_id, e.version, e.type, e.id,
  strftime('%Y-%m-%dT%H:%M:%fZ', e.time / 1e6, 'unixepoch') AS time, e.meta, CAST(e.data AS TEXT) AS data
FROM event e JOIN stream s ON s.id = e.stream JOIN tenant t ON t.id = e.tenant;
