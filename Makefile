# Everything a developer types. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GO_BUILD = CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)"

# The end-to-end tests wait for a cluster more than they compute, so more of them run at once than there are cores.
E2E_TEST = go test -tags e2e -count=1 -parallel 5 -timeout 75m ./test/e2e/...

include test/cluster/cluster.mk

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

.PHONY: build
build: ## the stsbackup binary, static, in bin/
	$(GO_BUILD) -o bin/stsbackup ./cmd/stsbackup

.PHONY: deps
deps: ## install what is missing on Debian or Ubuntu as root, or list it
	@test/deps

.PHONY: demo
demo: deps build cluster-up ## the main job on a real cluster: back up, destroy, restore, compare (KEEP=1 keeps the cluster)
	@source $(CLUSTER_DIR)/env && go run ./test/demo; status=$$?; \
	  [ -n "$(KEEP)" ] && echo "The cluster is still up: export KUBECONFIG=$(CLUSTER_DIR)/kubeconfig; make cluster-down ends it." || $(MAKE) --no-print-directory cluster-down; \
	  exit $$status

.PHONY: test
test: deps lint test-unit test-fuzz test-e2e ## everything .ci/run runs: linter, unit and contract tests, fuzzing, end-to-end on a real cluster

.PHONY: test-unit
test-unit: test-servers ## unit tests; buckets against real S3 servers, the repository against stock restic
	STSBACKUP_TEST_BIN=$(CLUSTER_DIR)/bin go test -timeout 20m ./...
	go test -tags purego ./storage/sha256pair
	GOARCH=arm64 go vet ./storage/sha256pair
	cd test/cluster && go vet ./... && go test ./...
	cd test/bench && go vet ./... && go test ./...

.PHONY: test-fuzz
test-fuzz: ## every fuzz target for half a minute
	FUZZTIME=30s test/fuzz

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (10m), or those of TARGETS, such as ./storage/repository/treeblob:FuzzTree
	test/fuzz $(TARGETS)

.PHONY: test-e2e
ifdef E2E_EXISTING_CLUSTER
test-e2e: build ## end-to-end tests (E2E_EXISTING_CLUSTER=1 with KUBECONFIG: on that cluster; KEEP=1 keeps ours)
	$(E2E_TEST)
else
test-e2e: build test-servers cluster-up
	@source $(CLUSTER_DIR)/env && $(E2E_TEST); status=$$?; \
	  [ -n "$(KEEP)" ] || $(MAKE) --no-print-directory cluster-down; \
	  exit $$status
endif

# Tests that take too long for every change.
LONG_TEST = go test -tags e2e,e2elong -count=1 -timeout 3h -run '^TestLong' ./test/e2e/...

.PHONY: test-long
ifdef E2E_EXISTING_CLUSTER
test-long: build ## end-to-end tests that take an hour, such as keys of 15 minutes that are renewed
	$(LONG_TEST)
else
test-long: build test-servers cluster-up
	@source $(CLUSTER_DIR)/env && $(LONG_TEST); status=$$?; \
	  [ -n "$(KEEP)" ] || $(MAKE) --no-print-directory cluster-down; \
	  exit $$status
endif

# Restores that are killed at any of their steps while somebody else acts: so many combinations, chosen by a seed that is logged; and API
# servers that are away for minutes, for one command alone or for the whole cluster.
ACTS_TEST = STSBACKUP_TEST_ACTS=$${STSBACKUP_TEST_ACTS:-60} go test -tags e2e,e2elong -count=1 -v -parallel 5 -timeout 150m -run '^(TestSomebodyActs|TestLongAPIServerAway|TestLongAPIServerStopped)$$' ./test/e2e/...

.PHONY: test-acts
ifdef E2E_EXISTING_CLUSTER
test-acts: build ## kill restores at any of their steps while somebody else acts: STSBACKUP_TEST_ACTS (60) combinations, STSBACKUP_TEST_SEED repeats them
	$(ACTS_TEST)
else
test-acts: build test-servers cluster-up
	@source $(CLUSTER_DIR)/env && $(ACTS_TEST); status=$$?; \
	  [ -n "$(KEEP)" ] || $(MAKE) --no-print-directory cluster-down; \
	  exit $$status
endif

# The peers are built from the module proxy, at the versions that test/bench/go.mod gives.
BENCH = bin/bench -bin bin -server $(CLUSTER_DIR)/bin/versitygw -document docs/benchmarks.md $(if $(BENCH_DIR),-dir $(BENCH_DIR)) $(if $(BENCH_FULL),-full) $(BENCH_FLAGS)

.PHONY: bench-tools
bench-tools: build
	cd test/bench && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o ../../bin/ . github.com/restic/restic/cmd/restic
	cd test/bench && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -tags nohtmlui -o ../../bin/ github.com/kopia/kopia

.PHONY: bench
bench: bench-tools test-servers ## compare speed with restic and kopia, within 15 minutes (BENCH_FULL=1: a million small files); writes docs/benchmarks.md
	$(BENCH)

.PHONY: bench-memory
bench-memory: bench-tools ## the memory of volumes up to 10 GiB and a million files, on 20 GiB of disk (BENCH_DIR=…); writes docs/benchmarks.md
	$(BENCH) -memory

.PHONY: lint
lint: ## the linter, at the version that test/tools pins
	go tool -modfile=test/tools/go.mod golangci-lint run ./...
	cd test/cluster && go tool -modfile=../tools/go.mod golangci-lint run --config ../../.golangci.yml ./...
	cd test/bench && go tool -modfile=../tools/go.mod golangci-lint run --config ../../.golangci.yml ./...
