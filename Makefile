# Belfry. `make` alone says what there is.

GO ?= go

# The linter is pinned: a new version finds new things, in a change of its own.
GOLANGCI_LINT_VERSION := v2.15.0
GOLANGCI_LINT := bin/golangci-lint-$(GOLANGCI_LINT_VERSION)

.DEFAULT_GOAL := help
.PHONY: help build run cluster test race lint bench kill9 triggers sim chaos faults grow pythons

help: ## say what the targets do
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/belfry
	$(GO) build -o bin/belfry ./cli/belfry

run: build ## build, and run a node with its data in ./data
	./bin/belfry up --data ./data

CLUSTER_NATS := nats://127.0.0.1:4221,nats://127.0.0.1:4222,nats://127.0.0.1:4223
CLUSTER_JOIN := 127.0.0.1:7421,127.0.0.1:7422,127.0.0.1:7423
cluster: build ## build, run three nodes with their data in ./data/n1 to n3, and show how they are
	@trap 'trap - INT TERM EXIT; kill 0; wait' INT TERM EXIT; \
	for n in 1 2 3; do \
		./bin/belfry node --name n$$n --data ./data/n$$n --bootstrap-expect 3 --join $(CLUSTER_JOIN) --log-level warn \
			--nats-addr 127.0.0.1:422$$n --http-addr 127.0.0.1:842$$n --raft-addr 127.0.0.1:742$$n --cluster-addr 127.0.0.1:622$$n & \
	done; \
	while sleep 3; do ./bin/belfry --nats $(CLUSTER_NATS) cluster status | sed '/^stream/,$$d'; done

# Packages whose tests start real processes or servers keep time: one of them at a time.
# Clusters mostly wait, for elections and for who was cut off: several beside each other.
KEEP_TIME := ./testing/chaos ./exec/python ./exec/process ./eventlog/jetstream ./node/broker ./node/cluster
test: ## run every test once, with the race detector
	$(GO) build -race ./...
	$(GO) test -race -timeout 15m $$($(GO) list ./... | grep -vxF "$$($(GO) list $(KEEP_TIME) ./testing/cluster)")
	$(GO) test -race -parallel 5 -timeout 15m ./testing/cluster
	$(GO) test -race -p 1 -timeout 15m $(KEEP_TIME)

race: ## run every test three times over, to meet races that hide
	$(GO) test -race -p 1 -timeout 45m -count=3 ./...

# A directory with the interpreter as python3 goes first in PATH: tests take that one.
PYTHONS ?= python3.9 python3.10 python3.11 python3.12 python3.13 python3.14
pythons: ## run the tests of the runtime and the shim with each Python of PYTHONS that is there
	@for name in $(PYTHONS); do \
		python=$$($$name -c 'import sys; print(sys.executable)' 2>/dev/null) || { echo "$$name is not there: left out"; continue; }; \
		dir=$$(mktemp -d) && ln -s "$$python" "$$dir/python3" && $$python --version && \
		PATH="$$dir:$$PATH" $(GO) test -count=1 ./exec/python && \
		PATH="$$dir:$$PATH" $(GO) test -count=1 -run 'TestMisbehavingCode|TestWhatEachSandboxClosed' ./testing/cluster; failed=$$?; rm -r "$$dir"; [ $$failed -eq 0 ] || exit 1; \
	done

lint: ## check format, vet and the linters of .golangci.yml
	@files=$$(gofmt -l .); test -z "$$files" || { echo "not formatted, run gofmt -w on:"; echo "$$files"; exit 1; }
	$(GO) vet ./...
	@if $(MAKE) --no-print-directory $(GOLANGCI_LINT); then $(GOLANGCI_LINT) run; \
	else echo "golangci-lint cannot be installed here: its checks are left out"; fi

bench: ## run the benchmarks of testing/bench, each once
	$(GO) test -run '^$$' -bench . -benchtime 1x -timeout 60m ./testing/bench/...

kill9: ## 5,000 items and 10,000 races, kill -9 amidst them, judged from the stream
	KILL9_ITEMS=5000 KILL9_SECONDS=20 RACES=10000 $(GO) test -count=1 -run 'TestKill9|TestCancelRaces' -v -timeout 20m ./testing/cluster

triggers: ## 50 triggers a second and kill -9, pauses that race, 10,000 at one moment: judged from the stream
	TRIGGERS=50 TRIGGER_SECONDS=120 TRIGGER_KILLS=3 PAUSE_SECONDS=120 CHANGE_SECONDS=60 MINUTE_TRIGGERS=10000 $(GO) test -count=1 -run 'TestTriggersKill9|TestPauseRaces|TestScheduleChanges|TestMinute' -v -timeout 30m ./testing/cluster

SIM_MINUTES ?= 10
SIM_SEED ?= $(shell date +%s)
sim: ## simulated clusters for SIM_MINUTES (10) on every core, or SIM_SEEDS of them, from SIM_SEED on
	$(GO) test -c -o bin/sim.test ./testing/sim
	@cores=$$(getconf _NPROCESSORS_ONLN); cd testing/sim && seq 0 $$((cores - 1)) | GOMAXPROCS=1 GOGC=800 xargs -P $$cores -I {} \
		env SIM_MINUTES=$(SIM_MINUTES) SIM_SEEDS=$(SIM_SEEDS) SIM_SEED=$(SIM_SEED) SIM_CORE={} SIM_CORES=$$cores \
		../../bin/sim.test -test.run '^TestSeeds$$' -test.timeout 0 -test.v=$(if $(V),true,false)

CHAOS_MINUTES ?= 10
chaos: ## break real processes, disks and files for CHAOS_MINUTES (10), judged after each round
	CHAOS_MINUTES=$(CHAOS_MINUTES) $(GO) test -count=1 -v -timeout 0 ./testing/chaos

INIT_ITEMS ?= 100000
grow: ## make a node alone with INIT_ITEMS (100000) queued items one of three, and kill that at each step
	INIT_ITEMS=$(INIT_ITEMS) $(GO) test -count=1 -run 'TestOneBecomesThree|TestInit' -v -timeout 30m ./testing/cluster

FAULTS ?= kill owner,kill raft,kill stream,kill meta,fill disk,stop owner,stop raft,stop stream,freeze owner,freeze raft,kill executor,two gone,kill all,restart rolling,split owner,split stream,split raft,split both
FAULTS_TIMES ?= 3
FAULTS_RATE ?= 200
faults: ## lose each role of three nodes, fill a disk (as root), or cut one off from the others, FAULTS_TIMES (3) times, FAULTS_RATE (200) runs due each second, judged; prints how late runs were
	FAULTS="$(FAULTS)" FAULTS_TIMES=$(FAULTS_TIMES) FAULTS_RATE=$(FAULTS_RATE) FAULTS_AFTER=8 $(GO) test -count=1 -run TestFaultsByRole -v -timeout 0 ./testing/cluster

$(GOLANGCI_LINT):
	GOBIN="$(CURDIR)/bin" $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv bin/golangci-lint $@
