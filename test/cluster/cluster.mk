# The test cluster's targets. STSBACKUP_CLUSTER_DIR is the state folder; another one is another cluster, beside the first. There are unix sockets
# in it, whose whole paths may have 107 bytes: where .cluster would be too deep for them, the state is in a folder of its own under /var/tmp.
ifndef STSBACKUP_CLUSTER_DIR
STSBACKUP_CLUSTER_DIR := $(shell dir=$(CURDIR)/.cluster; [ $${#dir} -le 45 ] && echo "$$dir" || echo /var/tmp/stsbackup-$$(printf %s "$$dir" | sha256sum | cut -c1-8))
endif
export STSBACKUP_CLUSTER_DIR
CLUSTER_DIR := $(STSBACKUP_CLUSTER_DIR)
VERSION ?= dev
CLUSTER = $(CLUSTER_DIR)/bin/testcluster -dir $(CLUSTER_DIR) -repository $(CURDIR) -version $(VERSION)

.PHONY: cluster-tool
cluster-tool:
	@cd test/cluster && CGO_ENABLED=0 GOFLAGS=-mod=readonly go build -trimpath -ldflags "-s -w" -o $(CLUSTER_DIR)/bin/ ./cmd/...

.PHONY: cluster-up
cluster-up: cluster-tool ## a real cluster on this machine, Ready, with the stsbackup image loaded
	@$(CLUSTER) up

.PHONY: cluster-down
cluster-down: ## end the cluster, keep what was built and the logs
	@[ ! -x $(CLUSTER_DIR)/bin/testcluster ] || $(CLUSTER) down

.PHONY: cluster-purge
cluster-purge: ## end the cluster and remove all of its state
	@[ ! -x $(CLUSTER_DIR)/bin/testcluster ] || $(CLUSTER) purge

.PHONY: cluster-status
cluster-status: cluster-tool ## how the cluster is
	@$(CLUSTER) status

.PHONY: cluster-logs
cluster-logs: cluster-tool ## the cluster's logs (NAME=kubelet: the end of one)
	@$(CLUSTER) logs $(NAME)

.PHONY: load-image
load-image: cluster-tool ## build the stsbackup image and load it into the running cluster
	@$(CLUSTER) load-image

.PHONY: test-servers
test-servers: cluster-tool ## the S3 servers of the storage tests, in $(CLUSTER_DIR)/bin
	@$(CLUSTER) test-servers

.PHONY: test-cluster
test-cluster: cluster-tool ## the test cluster's own lifecycle test, on a second cluster beside the first
	cd test/cluster && go test -tags lifecycle -count=1 -timeout 30m ./lifecycle/...
