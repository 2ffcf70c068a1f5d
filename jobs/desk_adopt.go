package jobs

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"outboxd/db"
	"outboxd/jobs/witness"
	"outboxd/mail"
)

// AdoptRequest asks to let a restored or copied database be the company's own.
type AdoptRequest struct {
	By
	Company string `json:"company"`
	Send    bool   `json:"send,omitempty"` // also let go what adoptions have held
}

// AdoptReply counts what an adoption did.
type AdoptReply struct {
	Company   string `json:"company"`
	Why       string `json:"why,omitempty"` // why the database was a copy; "" when there was nothing to adopt
	Sent      int    `json:"sent"`          // rows marked as sent, or partly sent: outboxd knows that they were
	Failed    int    `json:"failed"`        // rows marked as failed: outboxd knows that they were refused for good
	Uncertain int    `json:"uncertain"`     // rows marked as uncertain: handed over, with nobody knowing the outcome
	Held      int    `json:"held"`          // all other unfinished rows: held until they are released
	Runs      int    `json:"runs"`          // due runs marked as skipped
	Stopped   int    `json:"stopped"`       // open runs of mailings and reports that were stopped, or failed while their rows were made
	Released  int    `json:"released"`      // rows let go
	Done      bool   `json:"done"`          // false: it was cut off; ask again, and it goes on
}

const (
	heldByAdopt = "held by outboxd adopt: the database was restored or copied, and outboxd does not know that this mail was sent. outboxd adopt --send lets it go"
	sentBefore  = "outboxd knew when the database was adopted that it was sent"
	// adoptTime is shorter than what the control socket gives an operation: an adoption that takes longer is asked for again.
	adoptTime = 150 * time.Second
)

// Adopt lets a fenced database be the company's own: what is known to be sent becomes sent, all else that is unfinished is
// held. It goes in small steps; the fence stays until the last one, and one that was cut off goes on.
func (d *Desk) Adopt(ctx context.Context, q AdoptRequest) (AdoptReply, error) {
	p, err := d.place(q.Company)
	if err != nil {
		return AdoptReply{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, adoptTime)
	defer cancel()
	a := &adoption{desk: d, place: p, reply: AdoptReply{Company: q.Company}}
	if a.reply.Why, err = a.why(ctx); err != nil {
		return a.reply, err
	}
	if a.reply.Why == "" && !q.Send {
		return a.reply, &AskError{Text: fmt.Sprintf("there is nothing to adopt: the database of %s is the one that it was", q.Company),
			Hint: fmt.Sprintf("outboxd status shows how it does; rows that an adoption has held go by outboxd adopt %s --send", q.Company)}
	}
	detail := a.reply.Why
	if q.Send {
		detail = strings.TrimSpace("--send " + detail)
	}
	if err := d.audit(ctx, q.By, "adopt", q.Company, detail); err != nil {
		return a.reply, err
	}
	err = a.do(ctx, q.Send)
	if a.reply.Done = err == nil; errors.Is(err, context.DeadlineExceeded) {
		return a.reply, nil
	}
	if err != nil {
		return a.reply, &AskError{Text: err.Error(), Hint: DatabaseHint(err) + "; then ask again, it goes on where it stopped", Err: err}
	}
	return a.reply, nil
}

// adoption is one at work.
type adoption struct {
	desk  *Desk
	place *Place
	known witness.Outcomes
	reply AdoptReply
}

// why tells why the database is a copy; an error when it cannot be told, or cannot be adopted yet.
func (a *adoption) why(ctx context.Context) (string, error) {
	said, err := a.place.Store.Fence(ctx)
	if err == nil && !said.Tables {
		return "", &AskError{Text: fmt.Sprintf("the tables of %s are older than adoption", a.place.Company.Name), Hint: "run outboxd migrate, then ask again"}
	}
	why := ""
	if err == nil && a.desk.live != nil {
		if f := a.desk.live().Companies[a.place.Company.Name].Fenced; f != nil {
			why = f.Why
		}
	}
	if err == nil && why == "" {
		why, err = a.desk.examine(ctx, a.place)
	}
	if err != nil {
		return "", &AskError{Text: err.Error(), Hint: DatabaseHint(err), Err: err}
	}
	return why, nil
}

func (a *adoption) do(ctx context.Context, send bool) error {
	if a.reply.Why != "" {
		if err := a.adopt(ctx); err != nil {
			return err
		}
	}
	for send {
		n, err := a.place.Store.AdoptRelease(ctx, heldByAdopt)
		if err != nil {
			return err
		}
		if a.reply.Released += n; n == 0 {
			break
		}
	}
	return nil
}

func (a *adoption) adopt(ctx context.Context) error {
	store := a.place.Store
	if err := a.learn(ctx); err != nil {
		return err
	}
	if err := store.AdoptBegin(ctx); err != nil {
		return err
	}
	for {
		ids, err := store.AdoptOpen(ctx)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			break
		}
		if err := a.rows(ctx, ids); err != nil {
			return err
		}
	}
	for _, list := range []func(context.Context, uint64) ([]uint64, error){store.AdoptUncertain, store.AdoptHeld} {
		for after := uint64(0); ; {
			ids, err := list(ctx, after)
			if err != nil {
				return err
			}
			if len(ids) == 0 {
				break
			}
			if err := a.rows(ctx, ids); err != nil {
				return err
			}
			after = ids[len(ids)-1]
		}
	}
	stopped, err := stopRuns(ctx, a.place)
	if err != nil {
		return err
	}
	a.reply.Stopped += stopped
	if a.reply.Runs, err = skipRuns(ctx, a.place, a.desk.now()); err != nil {
		return err
	}
	identity, err := store.AdoptEnd(ctx)
	if err != nil {
		return err
	}
	return a.tell(ctx, identity)
}

// learn reads what became of the unfinished mails, as the witnesses know.
func (a *adoption) learn(ctx context.Context) error {
	a.known = witness.Outcomes{}
	unfinished, err := a.place.Store.AdoptUnfinished(ctx)
	if err != nil {
		return err
	}
	wanted := &witness.Seen{}
	for _, id := range unfinished {
		wanted.Add(witness.Mail{ID: id, Created: math.MaxInt64})
	}
	add := func(r witness.Record) {
		if wanted.Has(r.Mail) { // all that was sent in forty days may be much more
			a.known.Add(r)
		}
	}
	name := a.place.Company.Name
	if err := a.desk.state.Company(name).Records(math.MaxInt64, func(_ string, r witness.Record) { add(r) }); err != nil {
		return &AskError{Text: "what was sent cannot be read in the state directory: " + err.Error(), Hint: "ask as the daemon's user (sudo -u outboxd outboxd adopt ...)", Err: err}
	}
	_, err = a.desk.world.Control.Handed(ctx, name, 0, func(list db.Handed) error {
		records, err := witness.Read(list)
		for _, r := range records {
			add(r)
		}
		return err
	})
	if db.NoTable(err) {
		return nil
	}
	return err
}

// tell lets the witnesses know the new identity.
func (a *adoption) tell(ctx context.Context, identity string) error {
	d, name := a.desk, a.place.Company.Name
	c := d.world.witnessed(a.place, d.state.Folder)
	now := db.Known{Identity: identity, Instance: c.Instance, Company: name}
	memory := c.Memory.Note(witness.Identity{Identity: identity, Addresses: c.Reached, Beats: map[string]db.Beat{now.Instance: {}}})
	control := d.world.Control.NoteWitness(ctx, now)
	if db.NoTable(control) {
		control = nil
	}
	return errors.Join(memory, control)
}

// rows decides about some rows. The counts are those of the last try of the transaction.
func (a *adoption) rows(ctx context.Context, ids []uint64) error {
	var counted AdoptReply
	err := a.place.Store.Adopt(ctx, ids, func(rows []db.AdoptedRow) (all []db.Adoption) {
		counted = AdoptReply{}
		for _, r := range rows {
			if change, needed := a.decide(r, &counted); needed {
				all = append(all, change)
			}
		}
		return all
	})
	a.reply.Sent += counted.Sent
	a.reply.Failed += counted.Failed
	a.reply.Uncertain += counted.Uncertain
	a.reply.Held += counted.Held
	return err
}

// decide tells what becomes of a row; false leaves it as it is.
func (a *adoption) decide(row db.AdoptedRow, count *AdoptReply) (db.Adoption, bool) {
	change := db.Adoption{ID: row.ID, State: db.Queued, Held: true, LastError: heldByAdopt}
	record, known := a.known[witness.Mail{ID: row.ID, Created: row.CreatedAt.UnixMicro()}]
	switch {
	case known:
		change = settledBefore(row, record)
	case row.Marked:
		change = settledBefore(row, witness.Record{What: strings.Repeat(string(witness.Marked), max(1, len(row.Known)))})
	}
	switch change.State {
	case db.Sent, db.Partial:
		count.Sent++
	case db.Failed:
		count.Failed++
	case db.Uncertain:
		if row.State == db.Uncertain {
			return change, false
		}
		count.Uncertain++
	default:
		if row.LastError == heldByAdopt { // met again among the held rows
			count.Held++
		}
		if row.State == db.Uncertain || row.Held { // somebody's hold, or a doubt that stays
			return change, false
		}
	}
	return change, true
}

var stateOf = map[rune]db.RecipientState{witness.Marked: db.RecipientUncertain, witness.Uncertain: db.RecipientUncertain,
	witness.Accepted: db.RecipientAccepted, witness.Failed: db.RecipientFailed, witness.Open: db.RecipientOpen}

var aloneOf = map[db.RecipientState]db.State{db.RecipientUncertain: db.Uncertain, db.RecipientAccepted: db.Sent, db.RecipientFailed: db.Failed, db.RecipientOpen: db.Queued}

// settledBefore is what becomes of a row whose record is known.
func settledBefore(row db.AdoptedRow, r witness.Record) db.Adoption {
	at := time.UnixMilli(r.At).UTC()
	change := db.Adoption{ID: row.ID}
	each := recipientsOf(row)
	if len(each) != len(r.What) { // alone, or a row that was changed since
		each = nil
	}
	for i, letter := range []rune(r.What) {
		state := stateOf[letter]
		if each != nil {
			each[i].State = state
		}
		if letter == witness.Accepted {
			change.SentAt = at
		}
	}
	change.State = db.Together(each, aloneOf[stateOf[worst(r.What)]])
	if len(each) > 1 {
		change.Recipients = each
	}
	switch change.State {
	case db.Sent, db.Partial:
		change.LastError = fmt.Sprintf("%s (handed over at %s)", sentBefore, at.Format(time.DateTime+" MST"))
	case db.Failed:
		change.LastError = "refused for good before the database was adopted, as outboxd knew"
	case db.Uncertain:
		change.LastError = "it was handed over before the database was adopted, and whether the server has it is not known. Ask the recipient or the server's log, then: outboxd queue settle (it arrived) or outboxd queue retry (it did not)"
	default:
		change.Held, change.LastError = true, heldByAdopt
	}
	return change
}

// worst is the letter that decides where the recipients cannot be told apart: a doubt before all, then whoever has it.
func worst(what string) rune {
	for _, letter := range []rune{witness.Marked, witness.Uncertain, witness.Accepted, witness.Failed} {
		if strings.ContainsRune(what, letter) {
			return letter
		}
	}
	return witness.Open
}

// recipientsOf are the row's recipients in the order in which they are sent to; nil for columns that hold no addresses.
func recipientsOf(row db.AdoptedRow) []db.Recipient {
	var lists [3][]mail.Address
	for i, text := range []string{row.Recipients, row.Cc.String, row.Bcc.String} {
		var err error
		if lists[i], err = mail.ParseAddressList(text); err != nil {
			return nil
		}
	}
	p := &parcel{}
	if err := p.address(lists[0], lists[1], lists[2]); err != nil {
		return nil
	}
	return slices.Clone(p.all)
}
