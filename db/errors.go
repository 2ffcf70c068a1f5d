package db

import (
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"

	"github.com/go-sql-driver/mysql"
)

// ErrorKind says what to do about a database error.
type ErrorKind uint8

// The kinds of database errors.
const (
	KindOther    ErrorKind = iota // no rule: report it
	KindConflict                  // a deadlock, a lock wait, a failed certification: rolled back, try again at once
	KindLost                      // the server is away, starting, full, over its time or not in its cluster: wait
	KindReadOnly                  // the server takes no writes: wait, on new connections
	KindFull                      // the server's disk is full: wait
	KindSetup                     // a wrong password or certificate, a missing or altered database, table, column, index or right: a person's matter
	KindData                      // the statement's own values are refused
)

var kindByNumber = map[uint16]ErrorKind{
	1213: KindConflict, 1205: KindConflict, 3572: KindConflict, 1020: KindConflict, 3101: KindConflict,
	1040: KindLost, 1047: KindLost, 1180: KindLost, 3100: KindLost, 1053: KindLost, 1203: KindLost, 1226: KindLost, 1927: KindLost,
	1317: KindLost, 1969: KindLost, 3024: KindLost, 4031: KindLost,
	1021: KindFull, 1114: KindFull, 3: KindFull,
	1290: KindReadOnly, 1792: KindReadOnly, 1836: KindReadOnly,
	1044: KindSetup, 1045: KindSetup, 1049: KindSetup, 1054: KindSetup, 1142: KindSetup, 1143: KindSetup, 1146: KindSetup, 1370: KindSetup, 1665: KindSetup, 1698: KindSetup,
	1176: KindSetup, 1267: KindSetup, 1364: KindSetup, 1932: KindSetup,
	1129: KindSetup, 1130: KindSetup, 1227: KindSetup, 1356: KindSetup, 1449: KindSetup, 1820: KindSetup, 1862: KindSetup, 3118: KindSetup, 4151: KindSetup,
	1153: KindData, 1366: KindData, 1406: KindData, 1062: KindData, 3819: KindData, 4025: KindData,
	1048: KindData, 1264: KindData, 1265: KindData, 1292: KindData, 1300: KindData, 1690: KindData,
}

// Kind sorts a database error. Numbers are those of the MySQL and MariaDB error reference.
func Kind(err error) ErrorKind {
	var my *mysql.MySQLError
	var netErr net.Error
	var certificate *tls.CertificateVerificationError
	var none *NoNodeError
	var skip *skipError
	var archive *ArchiveError
	switch {
	case err == nil, errors.As(err, &archive): // a file's trouble is not the server's, though the system's errors look alike
		return KindOther
	case errors.As(err, &none):
		return none.kind()
	case errors.As(err, &skip):
		return skip.kind
	case errors.As(err, &my):
		return kindByNumber[my.Number]
	case errors.As(err, &certificate), errors.Is(err, mysql.ErrNoTLS):
		return KindSetup
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, mysql.ErrInvalidConn), errors.Is(err, sql.ErrConnDone),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &netErr):
		return KindLost
	}
	return KindOther
}

// rolledBack tells whether an error of COMMIT proves that nothing was committed: a deadlock, or a failed certification of
// Galera (1213) or Group Replication (3101). After any other the commit may have happened, or may still.
func rolledBack(err error) bool {
	var my *mysql.MySQLError
	return errors.As(err, &my) && (my.Number == 1213 || my.Number == 3101)
}

// leavesNode tells whether the node of a cluster takes no more work, though its connection works.
func leavesNode(err error) bool {
	var my *mysql.MySQLError
	return errors.As(err, &my) && my.Number == 1047 || Kind(err) == KindReadOnly
}

// Waits tells whether the error heals when the server is back: nobody's row is to blame for it.
func Waits(err error) bool {
	switch Kind(err) {
	case KindConflict, KindLost, KindReadOnly, KindFull:
		return true
	}
	return false
}

// Denied tells whether a right is missing: the tables themselves may be all right.
func Denied(err error) bool {
	var my *mysql.MySQLError
	return errors.As(err, &my) && slices.Contains([]uint16{1044, 1045, 1142, 1143, 1227, 1370, 1698}, my.Number)
}

// LeaseLostError says that a row was no longer held by the token it was taken with.
type LeaseLostError struct{ Lease Lease }

// Error names the row and the token.
func (e *LeaseLostError) Error() string {
	return fmt.Sprintf("lease of row %d lost (%s)", e.Lease.ID, e.Lease.Token)
}

// wrap adds the operation to an error, if there is one.
func wrap(err error, what string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
