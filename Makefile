# Needs Go and a Docker Engine, and nothing else prepared.

.DEFAULT_GOAL := help
.PHONY: help e2e drill test check images bench fuzz clean FORCE

FIREDRILL := build/firedrill

# Everything that needs no Docker.
UNITS := ./tools/... ./fixtures/...

PROMTOOL := build/promtool

# A service that is not StemeDB's.
EXAMPLE := fixtures/examples/web

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

e2e: $(FIREDRILL) ## prove every alert and runbook; FOCUS=regexp LABELS=filter SUITE=tls PROCS=4 KEEP=1
	$(FIREDRILL) prove $(if $(FOCUS),--focus "$$FOCUS") $(if $(LABELS),--labels "$$LABELS") $(if $(PROCS),--procs $(PROCS)) $(if $(KEEP),--keep) $(if $(SUITE),./e2e/$(SUITE),./e2e/... $(EXAMPLE))

drill: $(FIREDRILL) ## rehearse disasters; SCENARIO=host-lost, or surprise; SEED=7 PAUSE=1 for a game day
	$(FIREDRILL) drill $(if $(SCENARIO),--scenario "$$SCENARIO") $(if $(SEED),--seed "$$SEED") $(if $(PAUSE),--pause) $(if $(PROCS),--procs $(PROCS)) $(if $(KEEP),--keep)

test: check $(PROMTOOL) ## everything that needs no Docker
	@unformatted=$$(gofmt -l tools fixtures e2e) && { [ -z "$$unformatted" ] || { echo "run gofmt -w on:" $$unformatted; exit 1; }; }
	go vet $(UNITS) ./e2e/...
	go test $(UNITS)
	$(PROMTOOL) test rules rules/*_test.yml
	$(FIREDRILL) test --strict --coverage --min-coverage 100 rules/*_test.yml
	$(FIREDRILL) test --strict $(EXAMPLE)/rules/*_test.yml
	$(FIREDRILL) mutate
	FUZZTIME=3s .ci/fuzz $(UNITS)

check: $(FIREDRILL) ## rules and runbooks against each other
	$(FIREDRILL) check
	cd $(EXAMPLE) && $(CURDIR)/$(FIREDRILL) check

images: $(FIREDRILL) ## build the container images that are missing
	$(FIREDRILL) images

bench: images ## how long the costly parts take; PINT=/path/to/pint, COLLECTION=/folder/of/rules
	go test -run '^$$' -bench . $(UNITS)
	go test -run '^$$' -bench . -benchtime 3x ./e2e/stemedb

fuzz: ## every fuzz test for a minute; FUZZTIME=10s
	.ci/fuzz $(UNITS)

clean: $(FIREDRILL) ## remove what is ours: containers, networks, images, reports
	$(FIREDRILL) clean
	rm -rf build report

# The go command knows when to rebuild, and keeps a program's exit status where go run does not.
$(FIREDRILL): FORCE
	@go build -o $@ ./tools/firedrill

# Compiled as the Prometheus image is, so that the one serves the other, and without the clouds' SDKs.
$(PROMTOOL): FORCE
	CGO_ENABLED=0 go build -o $@ -trimpath -buildvcs=false -tags=remove_all_sd,netgo github.com/prometheus/prometheus/cmd/promtool

FORCE:
