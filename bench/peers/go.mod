module github.com/evolvego/evolve/bench/peers

go 1.26.0

require (
	github.com/DeluxeOwl/chronicle v0.5.0
	github.com/aneshas/eventstore v1.5.2
	github.com/evolvego/evolve v0.0.0
	github.com/evolvego/evolve/store/postgres v0.0.0
	github.com/evolvego/evolve/store/sqlite v0.0.0
	github.com/google/uuid v1.6.0
	github.com/hallgren/eventsourcing v0.9.1
	github.com/hallgren/eventsourcing/core v0.5.2
	github.com/hallgren/eventsourcing/eventstore/sql v0.7.0
	github.com/jackc/pgx/v5 v5.12.0
	github.com/lib/pq v1.10.9
	github.com/looplab/eventhorizon v0.17.0
	github.com/mattn/go-sqlite3 v1.14.32
	github.com/modernice/goes v0.9.0
	github.com/terraskye/eventsourcing v0.1.7
	google.golang.org/genproto v0.0.0-20260316180232-0b37fe3546d5
	google.golang.org/protobuf v1.36.11
	gorm.io/gorm v1.25.12
)

require (
	github.com/Masterminds/squirrel v1.5.4 // indirect
	github.com/aneshas/tx/v2 v2.3.0 // indirect
	github.com/avast/retry-go/v4 v4.6.1 // indirect
	github.com/cenkalti/backoff/v4 v4.3.0 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/dustin/go-humanize v1.1.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/puddle/v2 v2.2.3 // indirect
	github.com/jinzhu/copier v0.3.4 // indirect
	github.com/jinzhu/inflection v1.0.0 // indirect
	github.com/jinzhu/now v1.1.5 // indirect
	github.com/lann/builder v0.0.0-20180802200727-47ae307949d0 // indirect
	github.com/lann/ps v0.0.0-20150810152359-62de8c46ede0 // indirect
	github.com/mattn/go-isatty v0.0.24 // indirect
	github.com/mfridman/interpolate v0.0.2 // indirect
	github.com/ncruces/go-strftime v1.1.0 // indirect
	github.com/pressly/goose/v3 v3.26.0 // indirect
	github.com/remyoudompheng/bigfft v0.0.0-20230129092748-24d4a6f8daec // indirect
	github.com/sethvargo/go-retry v0.3.0 // indirect
	go.opentelemetry.io/otel v1.42.0 // indirect
	go.opentelemetry.io/otel/trace v1.42.0 // indirect
	go.uber.org/multierr v1.11.0 // indirect
	golang.org/x/exp v0.0.0-20250620022241-b7579e27df2b // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.41.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260414002931-afd174a4e478 // indirect
	gorm.io/driver/postgres v1.5.11 // indirect
	gorm.io/driver/sqlite v1.5.6 // indirect
	modernc.org/libc v1.80.1 // indirect
	modernc.org/mathutil v1.7.1 // indirect
	modernc.org/memory v1.12.1 // indirect
	modernc.org/sqlite v1.62.0 // indirect
)

// The comparison is never released. It measures the tree that it is in.
replace (
	github.com/evolvego/evolve => ../..
	github.com/evolvego/evolve/store/postgres => ../../store/postgres
	github.com/evolvego/evolve/store/sqlite => ../../store/sqlite
)
