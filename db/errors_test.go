package db

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/go-sql-driver/mysql"
)

func number(n uint16) error { return fmt.Errorf("settle: %w", &mysql.MySQLError{Number: n}) }

func TestKindsOfErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		err   error
		kind  ErrorKind
		waits bool
	}{
		{"none", nil, KindOther, false},
		{"a full disk of the archive", &ArchiveError{syscall.ENOSPC}, KindOther, false},
		{"deadlock or failed certification", number(1213), KindConflict, true},
		{"lock wait", number(1205), KindConflict, true},
		{"NOWAIT", number(3572), KindConflict, true},
		{"record has changed", number(1020), KindConflict, true},
		{"group replication rolled back", number(3101), KindConflict, true},
		{"too many connections", number(1040), KindLost, true},
		{"node not in its cluster", number(1047), KindLost, true},
		{"shutdown", number(1053), KindLost, true},
		{"statement killed", number(1317), KindLost, true},
		{"connection killed", number(1927), KindLost, true},
		{"statement over its time", number(1969), KindLost, true},
		{"statement over its time, MySQL", number(3024), KindLost, true},
		{"disk full", number(1021), KindFull, true},
		{"table full", number(1114), KindFull, true},
		{"idle for too long", number(4031), KindLost, true},
		{"read only", number(1290), KindReadOnly, true},
		{"read only, super", number(1836), KindReadOnly, true},
		{"wrong password", number(1045), KindSetup, false},
		{"no such database", number(1049), KindSetup, false},
		{"no such table", number(1146), KindSetup, false},
		{"no such column", number(1054), KindSetup, false},
		{"right on a table", number(1142), KindSetup, false},
		{"right on a column", number(1143), KindSetup, false},
		{"statement binlog", number(1665), KindSetup, false},
		{"the view's definer is gone", number(1449), KindSetup, false},
		{"host is not allowed", number(1130), KindSetup, false},
		{"duplicate", number(1062), KindData, false},
		{"too long", number(1406), KindData, false},
		{"not UTF-8", number(1366), KindData, false},
		{"larger than max_allowed_packet", number(1153), KindData, false},
		{"check, MariaDB", number(4025), KindData, false},
		{"check, MySQL", number(3819), KindData, false},
		{"out of range", number(1690), KindData, false},
		{"a number nobody knows", number(65000), KindOther, false},
		{"connection gone before the statement", driver.ErrBadConn, KindLost, true},
		{"connection gone", fmt.Errorf("mark: %w", mysql.ErrInvalidConn), KindLost, true},
		{"connection returned", sql.ErrConnDone, KindLost, true},
		{"refused", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, KindLost, true},
		{"no such host", &net.DNSError{Err: "no such host", Name: "db1"}, KindLost, true},
		{"closed while greeting", io.ErrUnexpectedEOF, KindLost, true},
		{"deadline", context.DeadlineExceeded, KindLost, true},
		{"stopped", context.Canceled, KindOther, false},
		{"no TLS offered", mysql.ErrNoTLS, KindSetup, false},
		{"bad certificate", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, KindSetup, false},
		{"commit unknown", &commitUnknownError{mysql.ErrInvalidConn}, KindLost, true},
		{"no row", sql.ErrNoRows, KindOther, false},
	} {
		if got := Kind(c.err); got != c.kind || Waits(c.err) != c.waits {
			t.Errorf("%s: kind %d, waits %v", c.name, got, Waits(c.err))
		}
	}
}

func TestErrorsNameTheRow(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&LeaseLostError{Lease{7, "aaaaaaaa-1"}}, "lease of row 7 lost (aaaaaaaa-1)"},
		{&NoRowError{"acme", 7}, "no row 7 in acme (deleted, or another company's)"},
		{&StateError{ID: 7, State: Queued, Held: true, Hint: "wait"}, "row 7 is queued, held: wait"},
		{&StateError{ID: 7, State: Sent, Hint: "too late"}, "row 7 is sent: too late"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestConflictsAreTriedAgainAndNoOthers(t *testing.T) {
	ctx := context.Background()
	conflict := &mysql.MySQLError{Number: 1213}
	for _, c := range []struct {
		name  string
		errs  []error // of the tries, then nil
		tries int
		ends  error
	}{
		{"at once", nil, 1, nil},
		{"after two conflicts", []error{conflict, conflict}, 3, nil},
		{"conflicts without end", []error{conflict, conflict, conflict, conflict, conflict, conflict, conflict, conflict}, conflictTries, conflict},
		{"lost", []error{mysql.ErrInvalidConn}, 1, mysql.ErrInvalidConn},
	} {
		tries := 0
		err := retry(ctx, func() error {
			tries++
			if tries <= len(c.errs) {
				return c.errs[tries-1]
			}
			return nil
		})
		if !errors.Is(err, c.ends) || tries != c.tries {
			t.Errorf("%s: %d tries, %v", c.name, tries, err)
		}
	}
	stopped, stop := context.WithCancel(ctx)
	stop()
	if err := retry(stopped, func() error { return conflict }); !errors.Is(err, context.Canceled) || !errors.Is(err, conflict) {
		t.Errorf("stopped: %v", err)
	}
}

func TestCutKeepsCharactersWholeAndValid(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want string
	}{
		{"", 3, ""}, {"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"žltý", 4, "žltý"}, {"žltýx", 4, "žlt…"},
		{"a\xffb", 5, "a\uFFFDb"}, {strings.Repeat("\xff", 9), 3, "\uFFFD"}, {"a\xff\xfe\xfdb", 2, "a…"},
	} {
		if got := cut(c.text, c.n); got != c.want {
			t.Errorf("cut(%q, %d) = %q, want %q", c.text, c.n, got, c.want)
		}
	}
}
