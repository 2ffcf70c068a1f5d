# outboxd: make help
.DEFAULT_GOAL := help
SHELL         := /bin/sh
STATICCHECK   := honnef.co/go/tools/cmd/staticcheck@v0.8.2
VERSION       := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
DEMO          := cmd/outboxd-demo
PREFIX        := /usr/local
DESTDIR       :=

.PHONY: help build test test-mysql test-galera test-postfix torture mailing-torture simulate bench fuzz lint generate demo install mariadb galera postfix verifiers
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build the static binary bin/outboxd
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/outboxd ./cmd/outboxd

test: mariadb verifiers ## run every test with the race detector; installs what the tests need when it is missing
	go test -race -parallel 3 -timeout 40m ./...
	go test -C $(DEMO) ./...

test-mysql: ## run the tests of store, engine and program against a given server: make test-mysql DSN='root:secret@tcp(127.0.0.1:3306)/'
	@test -n "$(DSN)" || { echo "say which server: make test-mysql DSN='user:password@tcp(host:port)/'"; exit 2; }
	OUTBOXD_TEST_DSN='$(DSN)' go test -count=1 -timeout 40m ./db/... ./jobs/... ./cmd/outboxd

SEED    := $(shell date +%s)
KILLS   := 200
ROWS    := 20000
DAEMONS := 3
MINUTES := 30
torture: mariadb ## attack whole daemons and compare ledger and table: make torture SEED=7 KILLS=1000 ROWS=100000 MINUTES=30
	go test -count=1 -v -timeout $$(( $(MINUTES) + 20 ))m ./torture -seed $(SEED) -kills $(KILLS) -rows $(ROWS) -daemons $(DAEMONS) -minutes $(MINUTES)

RECIPIENTS    := 200000
MAILING_KILLS := 10
mailing-torture: mariadb ## kill daemons while a mailing of 200,000 is made and sent, and compare ledger, table and run: make mailing-torture RECIPIENTS=200000 MAILING_KILLS=10
	go test -count=1 -v -timeout 40m -run 'TestP7_MailingTorture' ./torture -seed $(SEED) -recipients $(RECIPIENTS) -mailing-kills $(MAILING_KILLS)

GALERA_TIME := 2m
test-galera: galera ## three Galera nodes, one killed every five seconds for GALERA_TIME (2m); prints figures. As in make test-galera GALERA_TIME=10m
	PATH="$(CURDIR)/bin/galera/usr/bin:$$PATH" go test -tags galera -count=1 -v -run 'TestGalera$$' ./db
	PATH="$(CURDIR)/bin/galera/usr/bin:$$PATH" OUTBOXD_GALERA_TIME=$(GALERA_TIME) go test -tags galera -count=1 -v -timeout 60m -run 'TestGaleraNodesAreKilled$$' ./cmd/outboxd

test-postfix: mariadb postfix ## a real Postfix with Dovecot's logins, of the tests' own: each login, refusal and limit, and whole outboxes; as root
	@test "$$(id -u)" = 0 || { echo 'Postfix gives its parts other users, so these tests need root: sudo env "PATH=$$PATH" make test-postfix'; exit 1; }
	go test -tags postfix -count=1 -run Postfix ./mail/smtpout ./cmd/outboxd

simulate: mariadb ## let 30 days pass for accounts with all kinds of limits, and days at servers that throttle, in minutes: make simulate SEED=7
	OUTBOXD_SIMULATE=$(SEED) go test -count=1 -v -timeout 30m -run 'TestP3_SimulatedDays|TestP3_WindowsHoldWhileThePaceChanges|TestThrottledAccount' ./db

bench: mariadb ## measure throughput, claims, latency, many companies and memory; an hour and 20 GB of disk (docs/performance.md)
	go test -run '^$$' -bench 'Throughput|Latency|Waiting' -benchtime 1x -timeout 60m ./jobs
	go test -run '^$$' -bench 'Claim|Purge|Enqueue|Suppressed|Run$$' -benchtime 1x -timeout 2h ./db
	go test -run '^$$' -bench Audience -benchtime 1x -timeout 30m ./jobs/mailing
	go test -run '^$$' -bench 'Memory|Companies' -benchtime 1x -timeout 30m ./cmd/outboxd
	go test -run '^$$' -bench . ./mail/...

FUZZTIME := 30s
fuzz: ## run every fuzz target for FUZZTIME (30s) each
	@for package in $$(go list ./...); do \
	  for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
	    echo "$$package $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
	  done; \
	done

lint: ## gofmt, go vet, staticcheck, and whether generated files are fresh
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "gofmt would change: $$unformatted"; exit 1; }
	go vet ./...
	go vet -tags galera ./db/... ./cmd/outboxd
	go vet -tags postfix ./mail/... ./cmd/outboxd
	go vet -C $(DEMO) ./...
	go run $(STATICCHECK) ./...
	go run -C $(DEMO) $(STATICCHECK) ./...
	go generate ./...
	git diff --exit-code -- docs/jobs-yaml.md

generate: ## write the generated files anew
	go generate ./...

demo: ## show outboxd at work, with nothing installed
	go run -C $(DEMO) .

install: build ## install binary, unit, sysusers, tmpfiles, example and docs below PREFIX (/usr/local) and DESTDIR
	install -D -m 0755 bin/outboxd '$(DESTDIR)$(PREFIX)/bin/outboxd'
	install -d '$(DESTDIR)/etc/systemd/system' '$(DESTDIR)/usr/lib/sysusers.d' '$(DESTDIR)/usr/lib/tmpfiles.d'
	sed 's#/usr/local/bin/outboxd#$(PREFIX)/bin/outboxd#' systemd/outboxd.service > '$(DESTDIR)/etc/systemd/system/outboxd.service'
	install -m 0644 systemd/outboxd.sysusers '$(DESTDIR)/usr/lib/sysusers.d/outboxd.conf'
	install -m 0644 systemd/outboxd.tmpfiles '$(DESTDIR)/usr/lib/tmpfiles.d/outboxd.conf'
	install -d '$(DESTDIR)$(PREFIX)/share/doc/outboxd'
	install -m 0644 jobs.yaml docs/*.md docs/*.png '$(DESTDIR)$(PREFIX)/share/doc/outboxd'
	install -d '$(DESTDIR)$(PREFIX)/share/doc/outboxd/acme' && cp -R acme/templates acme/documents acme/sample.sql '$(DESTDIR)$(PREFIX)/share/doc/outboxd/acme'
	install -D -m 0644 -t '$(DESTDIR)$(PREFIX)/share/doc/outboxd/companies' companies/*.yaml
	install -d '$(DESTDIR)$(PREFIX)/share/doc/outboxd/library' && cp -R library/templates library/sample.sql '$(DESTDIR)$(PREFIX)/share/doc/outboxd/library'

# mariadb-server-core holds mariadbd and mariadb-install-db, mariadb-client-core what that one runs; neither installs a system service.
mariadb:
	@PATH="$$PATH:/usr/sbin:/opt/homebrew/bin"; if command -v mariadbd >/dev/null && command -v mariadb-install-db >/dev/null && \
	  command -v my_print_defaults >/dev/null; then exit 0; fi; \
	sudo=; test "$$(id -u)" = 0 || sudo='sudo -n'; \
	install="$$sudo apt-get install -y --no-install-recommends mariadb-server-core mariadb-client-core"; \
	if command -v apt-get >/dev/null && { test -z "$$sudo" || sudo -n true 2>/dev/null; }; then \
	  echo "MariaDB is missing: $$install"; $$sudo apt-get update -qq && $$install; \
	else \
	  echo "MariaDB is missing and cannot be installed from here. Install it, then try again:"; \
	  echo "  Debian, Ubuntu: sudo apt-get install mariadb-server-core mariadb-client-core"; \
	  echo "  macOS:          brew install mariadb"; exit 1; \
	fi

# What reads our mails back with other people's code: dkimpy verifies signatures.
verifiers:
	@if /usr/bin/python3 -c 'import dkim, nacl.signing' 2>/dev/null; then exit 0; fi; \
	needs="python3 python3-dkim python3-nacl"; sudo=; test "$$(id -u)" = 0 || sudo='sudo -n'; \
	install="$$sudo apt-get install -y --no-install-recommends $$needs"; \
	if command -v apt-get >/dev/null && { test -z "$$sudo" || sudo -n true 2>/dev/null; }; then \
	  echo "The verifiers are missing: $$install"; $$sudo apt-get update -qq && $$install; \
	else \
	  echo "The verifiers are missing and cannot be installed from here. Install them for /usr/bin/python3, then try again:"; \
	  echo "  Debian, Ubuntu: sudo apt-get install $$needs"; exit 1; \
	fi

postfix:
	@mail/postfixtest/install.sh

# Of the package mariadb-server only the scripts are wanted that carry a node's data to another: installed, it starts a service.
galera: mariadb
	@PATH="$(CURDIR)/bin/galera/usr/bin:$$PATH:/usr/sbin"; \
	needs="galera-4 mariadb-backup socat lsof"; sudo=; test "$$(id -u)" = 0 || sudo='sudo -n'; \
	if ! { ls /usr/lib/galera/libgalera_smm.so /usr/lib64/galera-4/libgalera_smm.so /usr/lib/libgalera_smm.so 2>/dev/null | grep -q . && \
	  command -v mariadb-backup && command -v socat && command -v lsof; } >/dev/null; then \
	  if command -v apt-get >/dev/null && { test -z "$$sudo" || sudo -n true 2>/dev/null; }; then \
	    echo "Galera is missing: installing $$needs"; $$sudo apt-get update -qq && $$sudo apt-get install -y --no-install-recommends $$needs || exit 1; \
	  else \
	    echo "Galera is missing and cannot be installed from here. Install it, then try again:"; \
	    echo "  Debian, Ubuntu: sudo apt-get install $$needs"; exit 1; \
	  fi; \
	fi; \
	if ! command -v wsrep_sst_mariabackup >/dev/null; then \
	  if command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then \
	    mkdir -p bin/galera && cd bin/galera && apt-get download mariadb-server && dpkg-deb -x mariadb-server_*.deb . && rm -f mariadb-server_*.deb; \
	  else \
	    echo "wsrep_sst_mariabackup is missing: it comes with the package of MariaDB's server"; exit 1; \
	  fi; \
	fi
