package db

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-sql-driver/mysql"
)

// ReadReason is why a query of a row's own came to nothing.
type ReadReason uint8

// The reasons.
const (
	ReadRefused     ReadReason = iota + 1 // it does more than read, or a parameter does not fit: the row fails
	ReadSlow                              // it was ended at its time limit: the row fails
	ReadLarge                             // it has more rows or octets than allowed: the row fails
	ReadFailed                            // the server refuses it, as for its syntax or a missing right: the row fails
	ReadUnreachable                       // the server could not be asked: the row waits, no attempt is spent
)

// ReadError is why a query of a row's own came to nothing, with the remedy. Only what makes the row wait is wrapped: Kind tells
// of it whether the server is away or a person has to mend the way to it (a password, the database's name); of all others Kind is
// KindOther.
type ReadError struct {
	Reason ReadReason
	Number uint16 // the server's error number; 0 when it is not the server's
	Text   string // what happened
	Remedy string
	err    error
}

var reasonTexts = map[ReadReason]string{ReadRefused: "query refused", ReadSlow: "query too slow", ReadLarge: "query result too large",
	ReadFailed: "query failed", ReadUnreachable: "query not asked"}

// Error is reason, cause and remedy in one line.
func (e *ReadError) Error() string {
	s := reasonTexts[e.Reason] + ": " + e.Text
	if e.Remedy != "" {
		s += "; " + e.Remedy
	}
	return s
}

// Unwrap is what makes the row wait.
func (e *ReadError) Unwrap() error { return e.err }

func refused(format string, args ...any) *ReadError {
	return &ReadError{Reason: ReadRefused, Text: fmt.Sprintf(format, args...)}
}

func tooSlow(limit time.Duration) *ReadError {
	return &ReadError{Reason: ReadSlow, Text: fmt.Sprintf("it was ended after %s", limit), Remedy: "let it read less, or add an index"}
}

func tooLarge(text string) *ReadError {
	return &ReadError{Reason: ReadLarge, Text: text, Remedy: "let it return less, as by WHERE or LIMIT"}
}

func unreachable(err error) *ReadError {
	return &ReadError{Reason: ReadUnreachable, Text: err.Error(), Remedy: "it is asked again by itself", err: err}
}

// noWay is an error before the statement: whatever the query is, it cannot be asked.
func noWay(err error) *ReadError {
	e := unreachable(err)
	if Kind(err) == KindSetup {
		e.Remedy = "the database's user needs the right to connect and to read: GRANT SELECT ON the company's database"
	}
	return e
}

// Errors of the server about a statement.
const (
	timeOverMariaDB = 1969
	timeOverMySQL   = 3024
)

var writeErrors = []uint16{1290, 1792, 1836}

var readRemedies = map[uint16]string{
	1064: "mend the SQL where the message points to",
	1054: "the columns are those of the company's database, as SHOW COLUMNS lists them",
	1146: "the tables are those of the company's database, as SHOW TABLES lists them",
	1305: "the functions are those of the company's database, as SHOW FUNCTION STATUS lists them",
	1044: "GRANT SELECT on it to the user that reads",
	1142: "GRANT SELECT on it to the user that reads",
	1143: "GRANT SELECT on it to the user that reads",
	1370: "GRANT EXECUTE on it to the user that reads",
	1227: "the user that reads has no such right, and should not",
	1356: "what the view reads must be there, and its definer (with SQL SECURITY INVOKER: the user that reads) needs the right to read it",
	1449: "create the view again as a user that there is",
}

// Warnings of a server that has left something out of a result.
var cutRemedies = map[uint16]string{
	1260: "let GROUP_CONCAT join less, or raise group_concat_max_len",
	1301: "let it return less at once, or raise max_allowed_packet",
	1931: "let it read less, or raise the limit that the message names",
}

// cutShort is the error that a warning of the server stands for: what is left of the result is not what was asked for.
func cutShort(number uint16, text string) error {
	remedy, cut := cutRemedies[number]
	if !cut {
		return nil
	}
	return &ReadError{Reason: ReadFailed, Number: number, Text: fmt.Sprintf("warning %d: %s", number, text), Remedy: remedy}
}

// readFailure says what an error of the statement itself means.
func readFailure(err error, limit time.Duration) *ReadError {
	var my *mysql.MySQLError
	if !errors.As(err, &my) {
		return unreachable(err)
	}
	switch {
	case my.Number == timeOverMariaDB || my.Number == timeOverMySQL:
		e := tooSlow(limit)
		e.Number = my.Number
		return e
	case slices.Contains(writeErrors, my.Number):
		return &ReadError{Reason: ReadRefused, Number: my.Number, Text: my.Message, Remedy: "a query, and what it calls, may only read"}
	case Waits(err):
		e := unreachable(err)
		e.Number = my.Number
		return e
	}
	remedy := readRemedies[my.Number]
	if remedy == "" {
		remedy = "try the query in a client of the database"
	}
	return &ReadError{Reason: ReadFailed, Number: my.Number, Text: fmt.Sprintf("error %d: %s", my.Number, my.Message), Remedy: remedy}
}
