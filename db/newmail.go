package db

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"
)

const (
	enqueueRows  = 1000     // of one statement at most
	enqueueBytes = 4 << 20  // of one statement, unless it is a single row
	packetSlack  = 16 << 10 // of a statement beside the octets of one mail
	fewMails     = 8        // inserted one by one
)

// insertMails inserts mails and what is attached to them, those of a run (not 0) held by it, and returns their numbers. What is
// too large for the server is inserted as failed, with the reason: mails is changed accordingly.
func (s *Store) insertMails(ctx context.Context, tx *sqlx.Tx, run uint64, mails []NewMail) ([]uint64, error) {
	if len(mails) == 0 {
		return nil, nil
	}
	var server inserter
	if err := tx.GetContext(ctx, &server, `SELECT @@auto_increment_increment AS step, @@max_allowed_packet AS packet`); err != nil {
		return nil, err
	}
	server.single = s.oneByOne.Load() || len(mails) <= fewMails
	for i, m := range mails {
		if why := server.tooLarge(m); why != "" {
			mails[i] = m.unfit(why)
		}
	}
	ids := make([]uint64, 0, len(mails))
	for chunk := range server.chunks(mails) {
		got, err := s.insertChunk(ctx, tx, run, chunk, server)
		if err != nil {
			return nil, err
		}
		ids = append(ids, got...)
	}
	return ids, s.attach(ctx, tx, mails, ids)
}

// inserter is what a server says about itself to one who inserts.
type inserter struct {
	Step   uint64 `db:"step"`   // between the numbers of two rows: more than 1 in a cluster
	Packet int64  `db:"packet"` // octets of a statement at most
	single bool   // one row a statement
}

// room is how many octets of values a statement has place for.
func (i inserter) room() int64 { return i.Packet - packetSlack }

// tooLarge says what of a mail the server cannot take; "" when it can take all.
func (i inserter) tooLarge(m NewMail) string {
	const remedy = "the server takes %d octets in one statement: raise its max_allowed_packet, or send less"
	if n := m.octets(); n > i.room() {
		return fmt.Sprintf("the mail has %d octets, "+remedy, n, i.Packet)
	}
	for _, a := range m.Attachments {
		if n := int64(len(a.Content)); n > i.room() {
			return fmt.Sprintf("the attachment %q has %d octets, "+remedy, cut(a.Name, 100), n, i.Packet)
		}
	}
	return ""
}

// chunks yields the mails of one statement after the other: each fits even if every octet has to be escaped.
func (i inserter) chunks(mails []NewMail) func(yield func([]NewMail) bool) {
	return func(yield func([]NewMail) bool) {
		from, size := 0, int64(0)
		for at, m := range mails {
			n := 2*m.octets() + rowOctets
			if at > from && (i.single || at-from == enqueueRows || size+n > min(enqueueBytes, i.room())) {
				if !yield(mails[from:at]) {
					return
				}
				from, size = at, 0
			}
			size += n
		}
		yield(mails[from:])
	}
}

// rowOctets are a row's numbers, times and commas.
const rowOctets = 256

// octets are those of a mail's texts.
func (m NewMail) octets() int64 {
	n := 0
	for _, text := range []string{m.Key, m.Recipients, m.Cc, m.Bcc, m.From, m.ReplyTo, m.Subject, m.Text, m.HTML, m.Headers, m.Template, m.Params,
		m.Language, m.Reference, m.Account, m.LastError} {
		n += len(text)
	}
	return int64(n)
}

func (m NewMail) queued() bool { return m.State == "" || m.State == Queued }

// unfit is what can be kept of a mail that the table does not take: enough for a person to know which it is.
func (m NewMail) unfit(why string) NewMail {
	return NewMail{Identity: m.Identity, Key: cut(m.Key, 255), Recipients: cut(m.Recipients, 10_000), Subject: cut(m.Subject, 998), Reference: cut(m.Reference, 255),
		State: Failed, LastError: cut(why, maxError)}
}

// refusedValue says why the server does not take a row.
func refusedValue(err error) string {
	text := err.Error()
	var my *mysql.MySQLError
	if errors.As(err, &my) {
		text = fmt.Sprintf("error %d: %s", my.Number, my.Message)
	}
	return "the table outbox does not take the mail: " + text + "; mend what the audience returns, then insert the mail by itself"
}

// insertRow are the placeholders of a row of mail-insert.
const insertRow = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

func (m NewMail) args(run uint64) []any {
	held := 0
	if run > 0 && m.queued() {
		held = heldByRun
	}
	return []any{mend(m.Recipients), null(mend(m.Cc)), null(mend(m.Bcc)), null(mend(m.From)), null(mend(m.ReplyTo)), null(mend(m.Subject)), null(mend(m.Text)), null(mend(m.HTML)),
		null(m.Headers), cmp.Or(m.Priority, 3), m.SendAfter, m.ExpiresAt, null(mend(m.Reference)), null(m.Account), null(m.Template), null(m.Params), null(m.Language),
		cmp.Or(m.State, Queued), held, null(cut(m.LastError, maxError)), null(run)}
}

// insertChunk inserts mails by one statement. Their numbers follow from the first one; it is made sure that they are those.
func (s *Store) insertChunk(ctx context.Context, tx *sqlx.Tx, run uint64, mails []NewMail, server inserter) ([]uint64, error) {
	args := make([]any, 0, 21*len(mails))
	size := int64(0)
	for _, m := range mails {
		args = append(args, m.args(run)...)
		size += 2*m.octets() + rowOctets
	}
	first, err := insertID(ctx, tx, s.sql.rows("mail-insert", len(mails), insertRow), size > server.room(), args)
	if err != nil {
		return nil, err
	}
	ids := make([]uint64, len(mails))
	for k := range ids {
		ids[k] = first + uint64(k)*server.Step
	}
	if len(ids) == 1 {
		return ids, nil
	}
	return ids, s.verify(ctx, tx, run, mails, ids)
}

// insertID runs an INSERT and returns the number of its first row. A raw one sends the values beside the statement, where nothing
// is escaped.
func insertID(ctx context.Context, tx *sqlx.Tx, statement string, raw bool, args []any) (uint64, error) {
	insert := func() (sql.Result, error) { return tx.ExecContext(ctx, statement, args...) }
	if raw {
		prepared, err := tx.PreparexContext(ctx, statement)
		if err != nil {
			return 0, err
		}
		defer prepared.Close()
		insert = func() (sql.Result, error) { return prepared.ExecContext(ctx, args...) }
	}
	r, err := insert()
	if err != nil {
		return 0, err
	}
	id, err := r.LastInsertId()
	return uint64(id), err
}

// errNumbers says that rows of one statement did not get the numbers that were expected. From then on each is inserted by itself.
var errNumbers = errors.New("the server numbers the rows of one INSERT in an unknown way")

// verify reads the rows back.
func (s *Store) verify(ctx context.Context, tx *sqlx.Tx, run uint64, mails []NewMail, ids []uint64) error {
	var found []struct {
		ID         uint64 `db:"id"`
		Recipients string `db:"recipients"`
	}
	if err := tx.SelectContext(ctx, &found, s.sql.text("mail-verify"), ids[0], ids[len(ids)-1], run); err != nil {
		return err
	}
	there := make(map[uint64]string, len(found))
	for _, f := range found {
		there[f.ID] = f.Recipients
	}
	for i, id := range ids {
		if to, ok := there[id]; !ok || to != mend(mails[i].Recipients) {
			s.oneByOne.Store(true)
			return errNumbers
		}
	}
	return nil
}

// content is one of a batch's attachments, by its hash.
type content struct {
	hash   string
	octets []byte
}

// attach stores the attachments of mails, each content once.
func (s *Store) attach(ctx context.Context, tx *sqlx.Tx, mails []NewMail, ids []uint64) error {
	contents := map[string][]byte{}
	var rows []any
	for i, m := range mails {
		for _, a := range m.Attachments {
			sum := sha256.Sum256(a.Content)
			hash := hex.EncodeToString(sum[:])
			contents[hash] = a.Content
			rows = append(rows, ids[i], mend(a.Name), null(a.Type), hash, null(a.ContentID))
		}
	}
	if len(rows) == 0 {
		return nil
	}
	if err := s.share(ctx, tx, contents); err != nil {
		return err
	}
	for chunk := range chunks(rows, 5*enqueueRows) {
		if _, err := tx.ExecContext(ctx, s.sql.rows("mail-attach", len(chunk)/5, "(?, ?, ?, ?, ?)"), chunk...); err != nil {
			return err
		}
	}
	return nil
}

// share has contents in outbox_content. Those that are there are locked, so that no purge takes them away meanwhile; an old one
// becomes young, for a purge on another node of a cluster. In the order of their hashes, so that two never wait for each other.
func (s *Store) share(ctx context.Context, tx *sqlx.Tx, contents map[string][]byte) error {
	var all []content
	var hashes []any
	for hash, octets := range contents {
		all = append(all, content{hash, octets})
	}
	slices.SortFunc(all, func(a, b content) int { return cmp.Compare(a.hash, b.hash) })
	there := map[string]bool{}
	for _, c := range all {
		hashes = append(hashes, c.hash)
	}
	for chunk := range chunks(hashes, enqueueRows) {
		var found []string
		if _, err := tx.ExecContext(ctx, s.sql.list("content-freshen", len(chunk)), chunk...); err != nil {
			return err
		}
		if err := tx.SelectContext(ctx, &found, s.sql.list("content-there", len(chunk)), chunk...); err != nil {
			return err
		}
		for _, hash := range found {
			there[hash] = true
		}
	}
	for _, c := range all {
		if there[c.hash] {
			continue
		}
		if _, err := insertID(ctx, tx, s.sql.text("content-insert"), true, []any{c.octets}); err != nil {
			return err
		}
	}
	return nil
}
