-- Version 3 of the file, beside what version 2 has.

CREATE TABLE document (
  tenant INTEGER NOT NULL REFERENCES tenant,
  kind   TEXT    NOT NULL,
  id     TEXT    NOT NULL,
  data   BLOB    NOT NULL,
  PRIMARY KEY (tenant, kind, id)
) STRICT, WITHOUT ROWID;
