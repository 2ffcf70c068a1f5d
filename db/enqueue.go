package db

import "time"

// NewMail is a mail that outboxd itself inserts: one of a run, or of its own, as a proof. Empty means NULL.
type NewMail struct {
	Identity                     [16]byte // tells the mail from the others of its run, also when the audience is read again
	Key                          string   // the business key: for people, and for outbox_key
	Recipients, Cc, Bcc          string
	From, ReplyTo                string
	Subject, Text, HTML, Headers string
	Template, Params, Language   string
	Reference, Account           string
	Priority                     int // 1 to 5; 0 means 3
	SendAfter, ExpiresAt         *time.Time
	State                        State  // Queued, or how it has ended at once, as Skipped; "" means Queued
	LastError                    string // why it has ended
	Attachments                  []NewAttachment
}

// NewAttachment is a content that goes with a mail. Equal contents are stored once.
type NewAttachment struct {
	Name, Type, ContentID string
	Content               []byte
}
