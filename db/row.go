package db

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Row is one taken row, with what the sender wrote.
type Row struct {
	Lease
	Recipients, Cc, Bcc string
	From, ReplyTo       string
	Subject             string
	Text, HTML          string
	Headers             string
	Template, Language  string
	Account, Reference  string
	Priority            int
	Claims, Attempts    int
	Lane                uint32
	Domain              uint32 // hash of the first recipient's domain
	MessageID           string // "" for a finished message until NameMessage
	CreatedAt           time.Time
	Ready               time.Time // when it was ready to go: the later of created_at and send_after
	Size                int64     // octets of bodies and headers
	Raw                 bool      // it has a finished message: Store.Raw
	Attached            bool      // it has attachments: Store.Content
	Run                 uint64    // of which run it is; 0 for none
	First               bool      // it had no Message-ID when it was taken: it was never taken before
	Expired             bool      // expires_at is over
	Spent               error     // why it is never to be sent: a *KeyUsedError or a *PurgedError; nil for others
	Known               []Recipient
}

type rowRow struct {
	ID         uint64         `db:"id"`
	Recipients string         `db:"recipients"`
	Cc         sql.NullString `db:"cc"`
	Bcc        sql.NullString `db:"bcc"`
	From       sql.NullString `db:"from_address"`
	ReplyTo    sql.NullString `db:"reply_to"`
	Subject    sql.NullString `db:"subject"`
	Text       sql.NullString `db:"body_text"`
	HTML       sql.NullString `db:"body_html"`
	Headers    sql.NullString `db:"headers"`
	Template   string         `db:"template"`
	Language   string         `db:"language"`
	Raw        bool           `db:"raw"`
	Attached   bool           `db:"attached"`
	Run        uint64         `db:"run_id"`
	Priority   int            `db:"priority"`
	Account    sql.NullString `db:"account"`
	Reference  sql.NullString `db:"reference"`
	Claims     int            `db:"claims"`
	Attempts   int            `db:"attempts"`
	Lane       uint32         `db:"lane"`
	Domain     uint32         `db:"rdom"`
	MessageID  string         `db:"message_id"`
	CreatedAt  time.Time      `db:"created_at"`
	SendAfter  sql.NullTime   `db:"send_after"`
	Size       int64          `db:"size"`
	Expired    sql.NullBool   `db:"expired"`
	Keyed      bool           `db:"keyed"`
}

func (r rowRow) row(token string) Row {
	ready := r.CreatedAt
	if r.SendAfter.Time.After(ready) {
		ready = r.SendAfter.Time
	}
	return Row{
		Lease: Lease{r.ID, token}, Recipients: r.Recipients, Cc: r.Cc.String, Bcc: r.Bcc.String, From: r.From.String,
		ReplyTo: r.ReplyTo.String, Subject: r.Subject.String, Text: r.Text.String, HTML: r.HTML.String, Headers: r.Headers.String,
		Template: r.Template, Language: r.Language, Raw: r.Raw, Attached: r.Attached, Run: r.Run,
		Account: r.Account.String, Reference: r.Reference.String, Priority: r.Priority, Claims: r.Claims, Attempts: r.Attempts,
		Lane: r.Lane, Domain: r.Domain, MessageID: r.MessageID, CreatedAt: r.CreatedAt, Ready: ready, Size: r.Size, Expired: r.Expired.Bool,
	}
}

// several tells whether the row may have more than one recipient, and so an outcome for some of them, whatever its
// counters say: they begin anew when a person retries it, and a taking that was given back is taken off.
func (r rowRow) several() bool {
	return r.Cc.String != "" || r.Bcc.String != "" || strings.ContainsAny(r.Recipients, ",;\r\n")
}

// claimed reads what a token took.
func (s *Store) claimed(ctx context.Context, ids []uint64, token string, maxSize int64) ([]Row, error) {
	if err := s.lookForStep(ctx); err != nil { // rows may have been given more while they were taken
		return nil, err
	}
	found, err := selectAll[rowRow](ctx, s.pool.db, s.sql.list("claimed", len(ids)), slices.Concat([]any{maxSize, maxSize, maxSize}, idArgs(ids), []any{token})...)
	if err != nil {
		return nil, err
	}
	return s.complete(ctx, found, token)
}

// Row reads a row as a claim would return it, without taking it: with the Message-ID that it has or will have. Domain and
// maxSize are as in Claim. A missing row is a *NoRowError.
func (s *Store) Row(ctx context.Context, id uint64, domain string, maxSize int64) (Row, error) {
	if err := s.lookForStep(ctx); err != nil {
		return Row{}, fmt.Errorf("read row %d of %s: %w", id, s.database, err)
	}
	found, err := selectAll[rowRow](ctx, s.pool.db, s.sql.text("one-row"), slices.Concat([]any{maxSize, maxSize, maxSize}, s.messageID(domain), []any{id})...)
	if err == nil && len(found) == 0 {
		return Row{}, &NoRowError{s.database, id}
	}
	var rows []Row
	if err == nil {
		rows, err = s.complete(ctx, found, "")
	}
	if err != nil {
		return Row{}, fmt.Errorf("read row %d of %s: %w", id, s.database, err)
	}
	return rows[0], nil
}

// maxDomain is how long the domain of a Message-ID may be, so that all of it fits into the column.
const maxDomain = 190

// messageID are the values of part-message-id. The mark tells apart the rows of two databases of one domain.
func (s *Store) messageID(domain string) []any {
	sum := sha256.Sum256([]byte(s.database))
	return []any{hex.EncodeToString(sum[:4]), domain[:min(len(domain), maxDomain)]}
}

// complete adds what other tables know about rows.
func (s *Store) complete(ctx context.Context, found []rowRow, token string) ([]Row, error) {
	rows := make([]Row, len(found))
	var several, keyed, empty []uint64
	for i, f := range found {
		rows[i] = f.row(token)
		if f.several() {
			several = append(several, f.ID)
		}
		if f.Keyed {
			keyed = append(keyed, f.ID)
		}
		if f.Size == 0 {
			empty = append(empty, f.ID)
		}
	}
	known, err := s.recipients(ctx, several)
	if err != nil {
		return nil, err
	}
	spent, err := s.spent(ctx, keyed, empty)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		rows[i].Known, rows[i].Spent = known[rows[i].ID], spent[rows[i].ID]
	}
	return rows, nil
}

// NameMessage gives a row that is held by its lease the Message-ID that its finished message brings; one that it has
// already stays. A *LeaseLostError says that the row is somebody else's by now, a *ContentError that the column cannot hold it.
func (s *Store) NameMessage(ctx context.Context, l Lease, messageID string) error {
	n, err := s.pool.write(ctx, s.sql.text("name-message"), messageID, l.ID, l.Token)
	switch {
	case Kind(err) == KindData:
		return &ContentError{l.ID, "raw", fmt.Sprintf("its Message-ID has %d octets, the column message_id holds %d characters", len(messageID), maxMessageID),
			"give it a shorter one, or none: then outboxd makes one"}
	case err == nil && n == 0:
		err = &LeaseLostError{l}
	}
	return wrap(err, fmt.Sprintf("write the Message-ID of row %d of %s", l.ID, s.database))
}

const maxMessageID = 255

// Overdue tells whether a row's expires_at is over by now.
func (s *Store) Overdue(ctx context.Context, id uint64) (over bool, err error) {
	err = retry(ctx, func() error { return s.pool.db.GetContext(ctx, &over, s.sql.text("overdue"), id) })
	return over, wrap(err, fmt.Sprintf("read expires_at of row %d of %s", id, s.database))
}
