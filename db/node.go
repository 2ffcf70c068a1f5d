package db

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
)

// nodeState is what a server says about itself, by the lower-case names of its variables.
type nodeState map[string]string

// SHOW is answered also by a node that refuses everything else.
const (
	showVariables = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('read_only', 'super_read_only', 'innodb_read_only', 'wsrep_on', 'wsrep_provider')"
	showClock     = "SELECT 'clock', CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)"
	showStatus    = "SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_ready', 'wsrep_cluster_status', 'wsrep_local_state', 'wsrep_local_state_comment', 'wsrep_cluster_size')"
)

func askState(ctx context.Context, q driver.QueryerContext) (nodeState, error) {
	state := nodeState{}
	for _, show := range []string{showVariables, showStatus} {
		if err := state.read(ctx, q, show); err != nil {
			return nil, fmt.Errorf("ask for its state: %w", err)
		}
	}
	return state, nil
}

// read adds the names and values that a SHOW lists.
func (s nodeState) read(ctx context.Context, q driver.QueryerContext, show string) error {
	rows, err := q.QueryContext(ctx, show, nil)
	if err != nil {
		return err
	}
	pair := make([]driver.Value, 2)
	for err = rows.Next(pair); err == nil; err = rows.Next(pair) {
		s[strings.ToLower(text(pair[0]))] = text(pair[1])
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, rows.Close())
}

func text(v driver.Value) string {
	if b, ok := v.([]byte); ok {
		return string(b)
	}
	return fmt.Sprint(v)
}

// synced is wsrep_local_state of a node that takes part in everything. Donor or desynced is 2, joined 3: such a node may
// lag or stand still.
const synced = "4"

// serves returns why the node is to be passed over, nil when it is not.
func (s nodeState) serves() error {
	for _, name := range []string{"read_only", "super_read_only", "innodb_read_only"} {
		if v := s[name]; v != "" && v != "0" && !strings.EqualFold(v, "OFF") {
			return &skipError{KindReadOnly, fmt.Sprintf("%s is %s", name, v)}
		}
	}
	switch {
	case !s.galera():
	case s["wsrep_cluster_status"] != "Primary":
		return &skipError{KindLost, fmt.Sprintf("wsrep_cluster_status is %s", s["wsrep_cluster_status"])}
	case s["wsrep_local_state"] != synced:
		return &skipError{KindLost, fmt.Sprintf("wsrep_local_state is %s (%s)", s["wsrep_local_state"], s["wsrep_local_state_comment"])}
	case !strings.EqualFold(s["wsrep_ready"], "ON"):
		return &skipError{KindLost, fmt.Sprintf("wsrep_ready is %s", s["wsrep_ready"])}
	}
	return nil
}

// galera tells whether the server runs with Galera. Many can, and do not.
func (s nodeState) galera() bool {
	return strings.EqualFold(s["wsrep_on"], "ON") && s["wsrep_provider"] != "" && s["wsrep_provider"] != "none"
}

// String tells a person how the node stands.
func (s nodeState) String() string {
	if !s.galera() {
		return "serves; in no Galera cluster"
	}
	return fmt.Sprintf("%s, %s, %s nodes", s["wsrep_local_state_comment"], s["wsrep_cluster_status"], s["wsrep_cluster_size"])
}

// skipError is why a node is passed over that answers.
type skipError struct {
	kind ErrorKind
	why  string
}

func (e *skipError) Error() string { return e.why }
