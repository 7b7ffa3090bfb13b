-- Upgrade from version 1 to version 2.

CREATE TABLE claim (
  tenant INTEGER NOT NULL REFERENCES tenant,
  key    TEXT    NOT NULL,
  stream INTEGER NOT NULL REFERENCES stream,
  PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE lease (
  tenant INTEGER NOT NULL REFERENCES tenant,
  name   TEXT    NOT NULL,
  owner  TEXT    NOT NULL,
  fence  INTEGER NOT NULL,
  until  INTEGER NOT NULL,
  PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;
