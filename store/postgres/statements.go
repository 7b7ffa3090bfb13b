package postgres

import (
	"fmt"
	"strings"
)

// statements holds the SQL for a schema.
type statements struct {
	append                 string
	quickOne, quickSeveral string
	quickGroup             string

	read, readBackward string
	head               string
	// Pages of the log, with and without a filter.
	log, logBackward, filtered, filteredBackward string

	saveSnapshot, loadSnapshot                    string
	loadCheckpoint, newCheckpoint, moveCheckpoint string
	listCheckpoints                               string
	acquireLease, heldLease, releaseLease         string
	holder                                        string

	loadDocuments, scanDocuments, scanDocumentsTo string
	saveDocuments, removeDocuments                string

	streams, streamTypes, findEvent string
}

// eventColumns are the columns with which each row of a page begins.
const eventColumns = `position, version, id, type, schema, content_type, time, recorded_at,
  correlation, causation, actor, headers, data`

// headRow returns a query for a row with eventColumns that is not an event, but has the
// values that a pager needs: the position is the head, the version is minus a bound,
// the id is that of an event, and the schema is the first number that exists.
func headRow(head, bound, id, first string) string {
	return "SELECT " + head + ", -" + bound + ", " + id + ", '', " + first +
		", '', 'epoch'::timestamptz, 'epoch'::timestamptz, '', '', '', NULL::jsonb, ''::bytea"
}

func newStatements(schema, channel string) *statements {
	event := schema + ".event"
	outcome := "SELECT outcome, last_version, last_position, name, in_type, in_id FROM " + schema + "."
	s := &statements{
		append: outcome + "append(" +
			"$1::text[], $2::text, $3::int[], $4::text[], $5::text[], $6::text[], " +
			"$7::int[], $8::bigint[], $9::int[], " +
			"$10::int[], $11::int[], $12::text[], $13::text[], $14::text[], " +
			"$15::text[], $16::text[], $17::bigint[], $18::text[], $19::timestamptz[], " +
			"$20::text[], $21::text[], $22::text[], $23::text[], $24::bytea[], " +
			"$25::int[], $26::int[], $27::text[], $28::boolean[])",
		quickOne:     quickStatement(schema, channel, quickEvent, "1", "($7::text)", "taken"),
		quickSeveral: quickStatement(schema, channel, quickEvents, "cardinality($7::text[])", "($7::text[])[1]", quickTaken(schema)),
		quickGroup:   quickGroupStatement(schema, channel),
		head:         "SELECT coalesce((SELECT position FROM " + event + " WHERE tenant = $1 ORDER BY position DESC LIMIT 1), 0)",
		saveSnapshot: "INSERT INTO " + schema + ".snapshot AS s (tenant, stream_type, stream_id, schema, version, data) " +
			"VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, stream_type, stream_id, schema) " +
			"DO UPDATE SET version = excluded.version, data = excluded.data WHERE excluded.version >= s.version",
		loadSnapshot: "SELECT version, data FROM " + schema + ".snapshot " +
			"WHERE tenant = $1 AND stream_type = $2 AND stream_id = $3 AND schema = $4",
		listCheckpoints: "SELECT name, position, event FROM " + schema + ".checkpoint " +
			"WHERE tenant = $1 AND name >= $2 AND (position > 0 OR event <> '') ORDER BY name LIMIT $3",
		loadCheckpoint: "SELECT position, event FROM " + schema + ".checkpoint WHERE tenant = $1 AND name = $2",
		newCheckpoint: "INSERT INTO " + schema + ".checkpoint AS c (tenant, name, position, event) VALUES ($1, $2, $3, $4) " +
			"ON CONFLICT (tenant, name) DO UPDATE SET position = excluded.position, event = excluded.event " +
			"WHERE c.position = 0 AND c.event = ''",
		moveCheckpoint: "UPDATE " + schema + ".checkpoint SET position = $3, event = $4 " +
			"WHERE tenant = $1 AND name = $2 AND position = $5 AND event = $6",
		acquireLease: "INSERT INTO " + schema + ".lease AS l (tenant, name, owner, fence, until) " +
			"VALUES ($1, $2, $3, 1, clock_timestamp() + $4::interval) ON CONFLICT (tenant, name) DO UPDATE " +
			"SET owner = excluded.owner, until = excluded.until, " +
			"fence = CASE WHEN l.until > clock_timestamp() THEN l.fence ELSE l.fence + 1 END " +
			"WHERE l.owner = excluded.owner OR l.until <= clock_timestamp() RETURNING fence, until",
		heldLease: "SELECT owner, until FROM " + schema + ".lease " +
			"WHERE tenant = $1 AND name = $2 AND until > clock_timestamp()",
		releaseLease: "UPDATE " + schema + ".lease SET until = 'epoch' " +
			"WHERE tenant = $1 AND name = $2 AND owner = $3 AND fence = $4",
		holder: "SELECT stream_type, stream_id FROM " + schema + ".claim WHERE tenant = $1 AND key = $2",
	}
	const documents = "SELECT id, data FROM %s.document WHERE tenant = $1 AND kind = $2 AND "
	s.loadDocuments = fmt.Sprintf(documents+"id = ANY ($3::text[])", schema)
	s.scanDocuments = fmt.Sprintf(documents+"id >= $3 ORDER BY id LIMIT $4", schema)
	s.scanDocumentsTo = fmt.Sprintf(documents+"id >= $3 AND id < $5 ORDER BY id LIMIT $4", schema)
	s.saveDocuments = "INSERT INTO " + schema + ".document (tenant, kind, id, data) " +
		"SELECT $1, unnest($2::text[]), unnest($3::text[]), unnest($4::bytea[]) " +
		"ON CONFLICT (tenant, kind, id) DO UPDATE SET data = excluded.data"
	s.removeDocuments = "DELETE FROM " + schema + ".document d USING unnest($2::text[], $3::text[]) r (kind, id) " +
		"WHERE d.tenant = $1 AND d.kind = r.kind AND d.id = r.id"
	s.streams, s.streamTypes, s.findEvent = finders(event)
	event += " "
	s.read, s.log, s.filtered = readStatements(event, false)
	s.readBackward, s.logBackward, s.filteredBackward = readStatements(event, true)
	return s
}

// The events of a quick append, one or several. The arrays are not unnested in FROM,
// because that would copy each array.
const (
	quickEvent = "1 AS place, $7::text AS id, $8::text AS type, $9::bigint AS schema, $10::text AS content_type, " +
		"$11::timestamptz AS time, $12::text AS correlation, $13::text AS causation, $14::text AS actor, " +
		"$15::text AS headers, $16::bytea AS data"
	quickEvents = "generate_series(1, cardinality($7::text[])) AS place, " +
		"unnest($7::text[]) AS id, unnest($8::text[]) AS type, unnest($9::bigint[]) AS schema, unnest($10::text[]) AS content_type, " +
		"unnest($11::timestamptz[]) AS time, unnest($12::text[]) AS correlation, unnest($13::text[]) AS causation, " +
		"unnest($14::text[]) AS actor, unnest($15::text[]) AS headers, unnest($16::bytea[]) AS data"
)

// quickTaken returns the expression that tells whether one of several ids is already
// recorded. It checks the ids after the first only if nothing was appended.
func quickTaken(schema string) string {
	return "taken OR head IS NULL AND EXISTS (SELECT FROM unnest($7::text[]) u (id) WHERE " + isTaken(schema+".event", "u.id") + ")"
}

// isTaken returns the expression that tells whether an id is already recorded. It looks
// for the first id that is not less, because only one index has that order. For a
// search by id alone, on a table that was never analyzed, the planner might choose any
// index that begins with the tenant.
func isTaken(event, id string) string {
	return "coalesce((SELECT x.id FROM " + event + " x WHERE x.tenant = $3 AND x.id >= " + id + " ORDER BY x.id LIMIT 1) = " + id + ", false)"
}

// quickStatement returns the statement for an append of count events. It sees what was
// committed before it began. So while it waits for the lock on the log, the stream may
// move on and an id may be recorded without its notice. Then the constraints refuse it.
// The head is the one after the wait, because an UPDATE reads its row again.
func quickStatement(schema, channel, events, count, first, anyTaken string) string {
	event := schema + ".event"
	return "WITH v AS MATERIALIZED (SELECT " + number("SELECT version FROM "+event+
		" WHERE tenant = $3::text AND stream_type = $4::text AND stream_id = $5::text ORDER BY version DESC LIMIT 1") + " AS version, " +
		isTaken(event, first) + " AS taken), " +
		"l AS (UPDATE " + schema + ".log l SET head = l.head + " + count + " FROM v " +
		"WHERE l.name = $1::text AND v.version BETWEEN $6::bigint AND $17::bigint AND NOT v.taken " +
		"RETURNING l.head, v.version, clock_timestamp() AS now, pg_notify('" + channel + "', $2::text)), " +
		"e AS (INSERT INTO " + event + " SELECT $3, l.head - " + count + " + e.place, $4, $5, l.version + e.place, " +
		"e.id, e.type, e.schema, e.content_type, coalesce(e.time, l.now), l.now, " +
		"e.correlation, e.causation, e.actor, nullif(e.headers, '')::jsonb, e.data FROM l, (SELECT " + events + ") e) " +
		"SELECT v.version, coalesce(l.head, 0), " + anyTaken + " FROM v LEFT JOIN l ON true"
}

// quickGroupStatement is quickStatement for a group of appends, each to a different
// stream. It makes the appends whose streams are at their expected versions. It returns
// the head before them, or -1 if the log is new, and for each append the version of its
// stream, its place after the head, and whether it was made. For an append that expects
// no exact version, it also checks whether the first id is already recorded. If any
// other id is already recorded, the constraints refuse the whole group.
func quickGroupStatement(schema, channel string) string {
	event := schema + ".event"
	const list = "unnest($3::text[], $4::text[], $5::text[], $6::bigint[], $17::bigint[], $18::int[], $19::text[]) " +
		"WITH ORDINALITY u (tenant, stream_type, stream_id, least, most, count, first, n)"
	return "WITH a AS MATERIALIZED (SELECT n, version, count, version BETWEEN least AND most AND NOT taken AS made FROM (" +
		"SELECT u.n, u.count, u.least, u.most, " + number("SELECT x.version FROM "+event+" x WHERE x.tenant = u.tenant AND "+
		"x.stream_type = u.stream_type AND x.stream_id = u.stream_id ORDER BY x.version DESC LIMIT 1") + " AS version, " +
		"u.least < u.most AND " + strings.ReplaceAll(isTaken(event, "u.first"), "$3", "u.tenant") + " AS taken FROM " + list + " OFFSET 0) a), " +
		"v AS MATERIALIZED (SELECT array_agg(version ORDER BY n) AS versions, array_agg(made ORDER BY n) AS made, " +
		"array_agg(upto - count ORDER BY n) AS places, max(upto) AS total FROM (" +
		"SELECT n, version, made, count, sum(CASE WHEN made THEN count ELSE 0 END) OVER (ORDER BY n) AS upto FROM a) a), " +
		"l AS (UPDATE " + schema + ".log l SET head = l.head + v.total FROM v WHERE l.name = $1::text AND v.total > 0 " +
		"RETURNING l.head - v.total AS head, v.versions, v.made, v.places, clock_timestamp() AS now, pg_notify('" + channel + "', $2::text)), " +
		"e AS (INSERT INTO " + event + " SELECT e.tenant, l.head + l.places[e.append] + e.place, e.stream_type, e.stream_id, " +
		"l.versions[e.append] + e.place, e.id, e.type, e.schema, e.content_type, coalesce(e.time, l.now), l.now, " +
		"e.correlation, e.causation, e.actor, nullif(e.headers, '')::jsonb, e.data FROM l, (SELECT " + groupEvents + ") e WHERE l.made[e.append]) " +
		"SELECT coalesce(l.head, CASE WHEN v.total > 0 THEN -1 ELSE 0 END), v.versions, v.places::bigint[], v.made FROM v LEFT JOIN l ON true"
}

// groupEvents are the events of a group, each with the index of its append and its
// place in that append.
const groupEvents = "unnest($20::int[]) AS append, unnest($21::int[]) AS place, unnest($22::text[]) AS tenant, " +
	"unnest($23::text[]) AS stream_type, unnest($24::text[]) AS stream_id, " +
	"unnest($7::text[]) AS id, unnest($8::text[]) AS type, unnest($9::bigint[]) AS schema, unnest($10::text[]) AS content_type, " +
	"unnest($11::timestamptz[]) AS time, unnest($12::text[]) AS correlation, unnest($13::text[]) AS causation, " +
	"unnest($14::text[]) AS actor, unnest($15::text[]) AS headers, unnest($16::bytea[]) AS data"

// readStatements returns the queries for a page of a stream, of a log, and of the
// events of a log that match a filter. Each is one statement, so that a page shows one
// moment. For a log, the first row also has the id of the event at a position.
func readStatements(event string, backward bool) (read, log, filtered string) {
	order, beyond, upto, last := "", ">=", "<=", "9223372036854775807"
	if backward {
		order, beyond, upto, last = " DESC", "<=", ">=", "0"
	}
	const ofStream = "WHERE tenant = $1 AND stream_type = $2 AND stream_id = $3 "
	read = headRow(number("SELECT version FROM "+event+ofStream+"ORDER BY version DESC LIMIT 1"), "0::bigint", "''", "1::bigint") +
		" UNION ALL (SELECT " + eventColumns + " FROM " + event + ofStream +
		"AND version " + beyond + " $4 ORDER BY version" + order + " LIMIT $5)"

	const ofLog = "WHERE tenant = $1 "
	head := number("SELECT position FROM " + event + ofLog + "ORDER BY position DESC LIMIT 1")
	id := "coalesce((SELECT id FROM (SELECT id, position FROM " + event + ofLog + "AND position >= $4 ORDER BY position LIMIT 1) x WHERE position = $4), '')"
	first := "0::bigint"
	if backward {
		first = number("SELECT position FROM " + event + ofLog + "ORDER BY position LIMIT 1")
	}
	events := " UNION ALL (SELECT " + eventColumns + ", stream_type, stream_id FROM " + event + ofLog + "AND position " + beyond + " $2 "
	end := "ORDER BY position" + order + " LIMIT $3)"
	log = headRow(head, "0::bigint", id, first) + ", '', ''" + events + end
	// The last position to examine, so that a filter that matches few events still returns
	// in bounded time.
	bound := fmt.Sprintf("SELECT position AS n FROM %s%sAND position %s $2 ORDER BY position%s OFFSET %d LIMIT 1",
		event, ofLog, beyond, order, maxScan-1)
	filtered = "WITH bound AS MATERIALIZED (" + bound + ") " +
		headRow(head, number("SELECT n FROM bound"), id, first) + ", '', ''" + events +
		// A plain comparison, because an OR would become a filter on a scan of the whole log.
		"AND position " + upto + " coalesce((SELECT n FROM bound), " + last + ") " +
		"AND ($5::text[] IS NULL OR stream_type = ANY ($5)) AND starts_with(stream_id, $6) " +
		"AND ($7::text[] IS NULL OR type = ANY ($7)) " + end
	return read, log, filtered
}

// number returns the expression for the number that query returns, or 0 if it returns
// none.
func number(query string) string { return "coalesce((" + query + "), 0)" }
