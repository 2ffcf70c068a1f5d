package db

import "time"

// The events that are written back.
const (
	WroteSent   = "sent"   // sent, or partly
	WroteFailed = "failed" // failed or expired
)

// WriteBack is a statement in the company's own tables that says what became of a mail of a run (on_sent, on_failed).
type WriteBack struct {
	Run       uint64
	Event     string         // WroteSent or WroteFailed
	Statement string         // one that CheckWriteBack lets pass
	Args      map[string]any // its parameters: see Bind
	Zone      *time.Location // in which the statement's session is, so that NOW() is what the company's clocks show; nil means UTC
}
