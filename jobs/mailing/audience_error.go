package mailing

import (
	"fmt"
)

// Trouble of an audience as a whole.
type AudienceKind string

// The kinds.
const (
	NoAddress AudienceKind = "no-address" // no column says whom a mail goes to
	BadSQL    AudienceKind = "sql"        // the server refuses the statement
	TooSlow   AudienceKind = "slow"
	Writes    AudienceKind = "writes"  // it does more than read
	NoValue   AudienceKind = "value"   // a parameter has no value, or one that cannot stand in SQL
	NoKey     AudienceKind = "key"     // a column that key names is missing
	Twice     AudienceKind = "twice"   // two columns have one name
	Repeats   AudienceKind = "repeats" // so many rows have the same key that the query is wrong
	NoReader  AudienceKind = "reader"  // the company has no database user to read with
)

// AudienceError is why an audience is none, with the remedy. Trying again helps only when somebody has mended it. What passes by
// itself, as a server that is away or a disk that is full, is another error.
type AudienceError struct {
	Audience string // its name
	Kind     AudienceKind
	Text     string // what is wrong
	Remedy   string
	Err      error // what happened below; may be nil
}

// Error is the audience's name, what is wrong, and the remedy, in one line.
func (e *AudienceError) Error() string {
	return fmt.Sprintf("audience %s: %s; %s", e.Audience, e.Text, e.Remedy)
}

// Unwrap is what happened below.
func (e *AudienceError) Unwrap() error { return e.Err }
