-- Version 2 of the file, beside what version 1 has.

CREATE TABLE claim (
  tenant INTEGER NOT NULL REFERENCES tenant,
  key    TEXT    NOT NULL,
  stream INTEGER NOT NULL REFERENCES stream, -- which holds the key
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
