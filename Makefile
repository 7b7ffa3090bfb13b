SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS   += --warn-undefined-variables --no-builtin-rules --no-print-directory
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

ROOT    := github.com/evolvego/evolve
BIN     := $(CURDIR)/.bin
MODULES := $(shell go list -m -f '{{.Dir}}')
NESTED  := $(filter-out $(CURDIR),$(MODULES))
# The replacements that make one module alone use this tree, as go.work does for all.
LOCAL   := $(shell go list -m -f '-replace={{.Path}}={{.Dir}}')
REMOTE  := $(shell go list -m -f '-dropreplace={{.Path}}')

GOLANGCI_LINT := v2.15.0
BENCHSTAT     := v0.0.0-20260908200009-22c9c6c9d4da
BUF           := v1.75.0
GEN_GO        := v1.36.10
GEN_GO_GRPC   := v1.6.2

LINT      := $(BIN)/golangci-lint-$(GOLANGCI_LINT)
STAT      := $(BIN)/benchstat-$(BENCHSTAT)
PROTO     := $(BIN)/buf-$(BUF) $(BIN)/protoc-gen-go-$(GEN_GO) $(BIN)/protoc-gen-go-grpc-$(GEN_GO_GRPC)
# Names the plugins with their pinned versions, which a buf.gen.yaml cannot do.
GENERATE  := $(firstword $(PROTO)) generate store/grpc --template '{"version": "v2", "plugins": [ \
	{"local": "$(word 2,$(PROTO))", "out": "store/grpc", "opt": "paths=source_relative"}, \
	{"local": "$(word 3,$(PROTO))", "out": "store/grpc", "opt": "paths=source_relative"}]}'
BENCH     ?= .
COUNT     ?= 1
FUZZTIME  ?= 20s
PKG       ?= ./decider
MUTANTS   ?= 20
SEED      ?= 1
VERSION   ?= v0.0.0-ci
FAILOVERS ?= 4
KILLS     ?= 300
UPDATE    ?=
STORES    ?=
ROUNDS    ?= 5
TIME      ?= 80ms
WRITE     ?=

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## Run the bank example
	go run ./examples/bank

.PHONY: test
test: ## Run the tests of every module with the race detector
	go test -race -timeout 20m $$(go list work | grep -v '/evolve/props$$')
	go test ./props # its laws run long searches in one goroutine, which the race detector slows down tenfold
	EVOLVE_SCHEDULES=all go test -run '^TestSchedules$$' ./decider/projection

.PHONY: test-unit
test-unit: ## Run the tests without the race detector, short
	go test -short work

.PHONY: test-all
test-all: ## Run the tests with ten times the histories (rapid reads RAPID_CHECKS from v1.3.0 on, which bench requires)
	RAPID_CHECKS=1000 go test -race -timeout 60m work

.PHONY: test-failures
test-failures: ## Run the long tests of failures: kill programs and servers, cut them off, fill them (FAILOVERS=4 KILLS=300)
	EVOLVE_FAILOVERS=$(FAILOVERS) go test -timeout 120m -count=1 ./store/jetstream ./store/jetstream/jetstreamtest
	EVOLVE_FAILOVERS=$(FAILOVERS) go test -timeout 60m -count=1 -run '^TestFailover' ./store/postgres
	EVOLVE_KILLS=$(KILLS) go test -timeout 120m -count=1 -run '^TestKilled$$' ./store/open

.PHONY: check
check: lint deps generated documented test ## Everything CI requires: format, lint, vet, dependencies, generated code, tests

.PHONY: lint
lint: $(LINT) ## Vet, lint and check the format of every module
	go vet work
	go build -o $(BIN)/decidervet ./cmd/decidervet
	cd bench/peers && GOWORK=off CGO_ENABLED=0 go vet ./... && GOWORK=off CGO_ENABLED=0 $(LINT) run ./... # not in go.work; no compiler of C
	@rc=0; for m in $(MODULES); do (cd $$m && go vet -vettool=$(BIN)/decidervet ./... && $(LINT) run ./...) || rc=1; done; exit $$rc

.PHONY: fmt
fmt: $(LINT) ## Format all Go files
	@for m in $(MODULES); do (cd $$m && $(LINT) fmt ./...); done

.PHONY: generate
generate: $(PROTO) ## Generate the Go code of the protocol
	$(GENERATE)

.PHONY: generated
generated: $(PROTO) ## Check that the generated code is up to date
	$(GENERATE) -o $(BIN)/generated
	@for f in $$(cd $(BIN)/generated && find . -name '*.go'); do diff -u $$f $(BIN)/generated/$$f || \
		{ echo "$$f is out of date: make generate" >&2; exit 1; }; done

.PHONY: docs
docs: ## Write docs/cli.md, the help of the commands, and llms.txt, the index for coding assistants
	cd .ci/release && GOWORK=off go run . docs

.PHONY: documented
documented: ## Check that docs/cli.md and llms.txt are up to date
	cd .ci/release && GOWORK=off go run . documented

.PHONY: bench
bench: $(STAT) ## Run the benchmarks next to their plain-Go baselines (BENCH=regexp COUNT=n)
	go test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) work | tee bench.out
	@$(STAT) bench.out

.PHONY: bench-peers
bench-peers: ## Compare with other libraries, as Markdown (STORES=memory,sqlite ROUNDS=5 TIME=80ms; WRITE=1 also puts it into docs/performance.md)
	cd bench/peers && GOWORK=off go run . -rounds $(ROUNDS) -time $(TIME) $(if $(STORES),-stores $(STORES)) $(if $(WRITE),-write)

.PHONY: cover
cover: ## Report the test coverage, per function and as coverage.html
	go test -coverpkg=$(ROOT)/... -coverprofile=coverage.out ./...
	go tool cover -html=coverage.out -o coverage.html
	go tool cover -func=coverage.out

.PHONY: fuzz
fuzz: ## Fuzz every decoder for FUZZTIME each
	@for f in $$(git grep -lE '^func Fuzz' -- '*_test.go'); do \
		for t in $$(grep -oE '^func Fuzz[A-Za-z]+' $$f | cut -c6-); do \
			(cd $$(dirname $$f) && go test -run '^$$' -fuzz "^$$t$$" -fuzztime $(FUZZTIME) .); done; done

.PHONY: mutants
mutants: ## Plant MUTANTS bugs in each of PKG, and list those that no test finds (PKG=./props MUTANTS=30 SEED=1)
	ulimit -d 8000000; go run ./internal/mutants -n $(MUTANTS) -seed $(SEED) $(PKG) # kB: some bugs take all the memory they can get

.PHONY: qa-fast
qa-fast: lint test-unit ## What to run before each commit

.PHONY: qa
qa: check test-all fuzz cover ## What to run before a release

.PHONY: setup
setup: $(LINT) $(STAT) $(PROTO) ## Install the pinned tools into .bin, and explain how to get Postgres for the tests
	@ls $$(command -v initdb) /usr/lib/postgresql/*/bin/initdb 2>/dev/null || \
		echo 'no initdb: for the tests of Postgres, apt-get install postgresql (its binaries are enough) or set EVOLVE_POSTGRES_URL' 

.PHONY: tidy
tidy: ## Tidy every module
	GOWORK=off go mod tidy
	cd bench/peers && GOWORK=off go mod tidy
	@for m in $(NESTED); do (cd $$m && go mod edit $(LOCAL) && \
		{ rc=0; GOWORK=off go mod tidy || rc=$$?; go mod edit $(REMOTE); exit $$rc; }); done

.PHONY: stranger
stranger: ## Get, build and install every module as a stranger would (the last commit; VERSION=v0.0.0-ci)
	cd .ci/release && GOWORK=off go vet . && GOWORK=off go run . stranger -version $(VERSION) $(UPDATE)

.PHONY: portable
portable: ## Vet every module for every supported operating system and processor
	@for p in linux/amd64 linux/arm64 linux/386 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64 windows/386; do \
		echo $$p; GOOS=$${p%/*} GOARCH=$${p#*/} CGO_ENABLED=0 go vet work || exit 1; done

.PHONY: release-check
release-check: portable ## Check everything that must hold before a release (VERSION=v0.1.0)
	cd .ci/release && GOWORK=off go run . check -version $(VERSION) $(UPDATE)

.PHONY: release
release: ## Write VERSION everywhere, commit and tag it, without pushing (VERSION=v0.1.0)
	cd .ci/release && GOWORK=off go run . write -version $(VERSION)

.PHONY: deps
deps: ## Check which packages import which, and which modules are required
	GOWORK=off go mod tidy -diff
	GOWORK=off go build ./...
	@mkdir -p $(BIN)
	@for m in $(NESTED); do (cd $$m && cp go.mod $(BIN)/tidy.mod && cp go.sum $(BIN)/tidy.sum && \
		go mod edit $(LOCAL) $(BIN)/tidy.mod && \
		GOWORK=off go mod tidy -diff -modfile=$(BIN)/tidy.mod); done
	@got=$$(go list -deps -f '{{if not .Standard}}{{.ImportPath}}{{end}}' ./decider ./store ./store/memory | grep -v '^$(ROOT)/' || true); \
		test -z "$$got" || { echo "the core imports: $$got" >&2; exit 1; }
	@got=$$(go list -f '{{join .Imports "\n"}}' ./decider ./store | grep '^$(ROOT)/' || true); \
		test -z "$$got" || { echo "decider and store import nothing of ours, but: $$got" >&2; exit 1; }
	@got=$$(GOWORK=off go list -m -f '{{if not .Indirect}}{{.Path}}{{end}}' all | \
		grep -vxE '$(ROOT)|github.com/samber/lo|google.golang.org/(grpc|protobuf)|pgregory.net/rapid' || true); \
		test -z "$$got" || { echo "the root module requires: $$got" >&2; exit 1; }
	@got=$$(cd cmd && go list -deps -f '{{with .Module}}{{.Path}}{{end}}' ./... | sort -u | grep -E '/(grpc|pgx|sqlite|client_golang)(/|$$)' || true); \
		test -z "$$got" || { echo "the tools for developers import: $$got" >&2; exit 1; }

$(LINT):
	GOBIN=$(BIN) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT)
	mv $(BIN)/golangci-lint $@

$(STAT):
	GOBIN=$(BIN) go install golang.org/x/perf/cmd/benchstat@$(BENCHSTAT)
	mv $(BIN)/benchstat $@

$(BIN)/buf-$(BUF):
	GOBIN=$(BIN) go install github.com/bufbuild/buf/cmd/buf@$(BUF)
	mv $(BIN)/buf $@

$(BIN)/protoc-gen-go-$(GEN_GO):
	GOBIN=$(BIN) go install google.golang.org/protobuf/cmd/protoc-gen-go@$(GEN_GO)
	mv $(BIN)/protoc-gen-go $@

$(BIN)/protoc-gen-go-grpc-$(GEN_GO_GRPC):
	GOBIN=$(BIN) go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@$(GEN_GO_GRPC)
	mv $(BIN)/protoc-gen-go-grpc $@
