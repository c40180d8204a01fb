# aimarket: build, run and prove the hub. `make help` lists the targets.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  = -s -w -X main.version=$(VERSION)
DATA    ?= ./data

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

.PHONY: build
build: ## build bin/aimarket
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/aimarket ./cmd/aimarket

.PHONY: run
run: build ## build, then serve http://localhost:9083 to this machine, demo money, state in ./data
	./bin/aimarket serve --data $(DATA) --listen localhost:9083 --allow-local-publish

.PHONY: testnet
testnet: build ## five hubs on ports 9101 to 9105 and a table of who knows whom, until Ctrl-C
	./bin/aimarket testnet up --nodes 5 --http-port 9101

.PHONY: provider
provider: ## run the example provider on http://127.0.0.1:9090
	$(GO) run ./examples/hello-provider

.PHONY: test
test: lint ## everything that says the tree is good
	$(GO) test ./...
	$(GO) test -race $(RACE)

# The packages that start goroutines or are called from many.
RACE = ./internal/store ./internal/limit ./internal/safehttp ./catalog/... ./ledger/... ./routing ./httpapi/... ./node ./testnet

.PHONY: race
race: ## the race detector on the mesh; one core, because it and virtual time do not stand each other on two
	$(GO) test -race -cpu 1 ./p2p/...

.PHONY: lint
lint: ## gofmt and go vet
	@bad=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$bad" || { echo "gofmt these:"; echo "$$bad"; exit 1; }
	$(GO) vet ./...

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (default 30s) each
	@for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	    echo "== $$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(or $(FUZZTIME),30s) $$p || exit 1; \
	  done; done

.PHONY: soak
soak: build ## kill -9 the real binary under load, over and over, and check its books and what the mesh knows of it (ROUNDS=20)
	AIMARKET_SOAK_ROUNDS=$(or $(ROUNDS),20) $(GO) test -count=1 -run 'TestKillLoop' -v -timeout 2h ./cmd/aimarket

.PHONY: sim
sim: ## the whole mesh in virtual time: churn, cuts, loss, hostile hubs (SEED=, HUBS=100, RUN=)
	$(GO) test -count=1 -v -timeout 1h -run '$(or $(RUN),.)' ./testnet/sim -sim.seed $(or $(SEED),0) -sim.hubs $(or $(HUBS),100)

.PHONY: interop
interop: build ## the published clients and js-libp2p against this hub; needs package registries
	./httpapi/interop/run.sh bin/aimarket
	./p2p/interop/run.sh bin/aimarket

.PHONY: bench
bench: build ## the measured figures, each beside its bare floor
	./bin/aimarket bench

.PHONY: static
static: ## a static binary for the container image
	CGO_ENABLED=1 $(GO) build -tags netgo,osusergo -ldflags "$(LDFLAGS) -linkmode external -extldflags -static" -o bin/aimarket-static ./cmd/aimarket

.PHONY: clean
clean: ## remove what was built
	rm -rf bin
