# Everything here needs Go and make, and Postgres for the tests of its store, which
# scripts/with-postgres finds or installs. Linters run at the versions named below
# and are fetched as Go modules.

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GREMLINS    := github.com/go-gremlins/gremlins/cmd/gremlins@v0.6.0
FUZZTIME    ?= 5s
SOAKTIME    ?= 2m

# The race detector needs a C compiler. Where there is none, tests run without it
# rather than not at all; set CGO_ENABLED=1 to insist.
RACE := $(if $(filter 1,$(shell go env CGO_ENABLED)),-race,)

# Directories of the modules in go.work, relative to this one.
MODULES := $(patsubst $(CURDIR)/%,%,$(shell go list -m -f '{{.Dir}}'))

# What a guard allocates is counted without the race detector, which allocates too.
ADAPTERS := $(patsubst %/cost_test.go,%,$(wildcard */cost_test.go))

.PHONY: help demo test lint links tidy e2e fuzz soak mutate cover bench

help: ## show what there is
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## /{printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## a provider and an application, to click through
	go run ./examples/demo

# Tests of the examples run programs that they build, of which go test knows nothing
# when it takes a result from its cache.
test: ## every test of every module, with the race detector
	@$(if $(RACE),,echo "no C compiler: testing without the race detector")
	@scripts/with-postgres sh -c 'set -e; for m in $(MODULES); do echo "== $$m"; (cd $$m && go test $(RACE) $$([ $$m != examples ] || echo -count=1) ./...); done'
	@set -e; $(if $(RACE),for m in $(ADAPTERS); do echo "== $$m: allocations"; (cd $$m && go test -run '^TestGuardMakesFewAllocations$$' .); done)

lint: links ## gofmt, go vet, staticcheck, and what each module may link
	@out=$$("$$(go env GOROOT)/bin/gofmt" -l .); test -z "$$out" || { echo "not formatted with gofmt:"; echo "$$out"; exit 1; }
	@set -e; for m in $(MODULES); do echo "== $$m"; (cd $$m && go vet ./... && go run $(STATICCHECK) ./...); done

links:
	@cd examples && go test -count=1 -run '^TestLinks' .

tidy: ## fails when a go.mod or go.sum is not tidy, or a module needs go.work to build
	@set -e; for m in $(MODULES); do echo "== $$m"; (cd $$m && GOWORK=off go mod tidy -diff && GOWORK=off go build -o /dev/null ./...); done

e2e: ## real providers, foreign clients and browsers, with Java, Maven, Node and Python; E2E="-only keycloak" for some, E2E=-list
	@go run ./e2e $(E2E)

fuzz: ## each fuzz target for FUZZTIME
	@set -e; for m in $(MODULES); do (cd $$m; \
		for p in $$(go list ./...); do \
			for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
				echo "== $$p $$f"; go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p; \
			done; \
		done); done

soak: ## for SOAKTIME, processes, Postgres and provider fail, and no session may be lost
	@cd examples && go test $(RACE) -count=1 -timeout 0 -v ./soak -soak $(SOAKTIME)

# Packages below core/internal, one after the other: each change is a run of its tests.
# They run in a copy of core, from which ../store is not there: a copy of go.mod says where
# it is. Otherwise what imports it does not build, and gremlins counts that as noticed.
MUTATE ?= seal jose session vault verify
mutate: ## change the code of MUTATE bit by bit, and list what no test has run or noticed
	@set -e; d=$$(mktemp -d); trap 'rm -rf "$$d"' EXIT; GOBIN=$$d go install $(GREMLINS); \
		sed 's|=> \.\./|=> $(CURDIR)/|' core/go.mod >$$d/core.mod; cp core/go.sum $$d/core.sum; \
		export GOWORK=off GOFLAGS="$$(go env GOFLAGS) -modfile=$$d/core.mod"; \
		cd core; for p in $(MUTATE); do echo "== $$p"; \
		nice -n 10 $$d/gremlins unleash --workers 2 --timeout-coefficient 30 --output-statuses lct ./internal/$$p; done

cover: ## coverage of each module, in cover.out and on the screen
	@scripts/with-postgres sh -c 'set -e; for m in $(MODULES); do echo "== $$m"; (cd $$m && go test -coverpkg=./... -coverprofile=cover.out ./... >/dev/null && go tool cover -func=cover.out | tail -n 1); done'

bench: ## our guards beside other libraries, in some two minutes; BENCH=-quick for a look
	@go run ./bench $(BENCH)
