-- Version 2 of the schema: documents of read models.

CREATE TABLE evolve.document (
  tenant text  COLLATE "C" NOT NULL,
  kind   text  COLLATE "C" NOT NULL,
  id     text  COLLATE "C" NOT NULL,
  data   bytea NOT NULL,
  PRIMARY KEY (tenant, kind, id)
);

INSERT INTO evolve.migration (version) VALUES (2);
