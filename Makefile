SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS   += --warn-undefined-variables --no-builtin-rules --no-print-directory
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

ROOT    := github.com/evolvego/evolve
BIN     := $(CURDIR)/.bin
MODULES := $(shell go list -m -f '{{.Dir}}')
NESTED  := $(filter-out $(CURDIR),$(MODULES))

GOLANGCI_LINT := v2.15.0
BENCHSTAT     := v0.0.0-20260910190515-1b6b2a1f0d1e

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## Watch the bank work
	go run ./examples/bank

.PHONY: check
check: tidy-check lint test ## Everything CI requires before a merge: format, lint, vet, tests, dependencies

.PHONY: test
test: ## Run the tests of every module with the race detector
	go test -race work
