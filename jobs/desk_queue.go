package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"outboxd/db"
)

// QueueListRequest filters rows; zero fields do not filter.
type QueueListRequest struct {
	Company   string    `json:"company,omitempty"`   // "" means all
	Recipient string    `json:"recipient,omitempty"` // a bare address
	Reference string    `json:"reference,omitempty"`
	State     db.State  `json:"state,omitempty"`
	Held      bool      `json:"held,omitempty"`
	Since     time.Time `json:"since,omitzero"`
	Until     time.Time `json:"until,omitzero"`
	Before    uint64    `json:"before,omitempty"` // numbers below this one: the next page of one company
	Limit     int       `json:"limit,omitempty"`  // 0 means 50, at most 1000
}

// QueueListReply has the newest row first.
type QueueListReply struct {
	Rows    []ListedRow `json:"rows"`
	More    bool        `json:"more"`    // there may be more: ask for older ones
	Missing []Missing   `json:"missing"` // companies that could not be asked
}

// ListedRow is a row of a company.
type ListedRow struct {
	Row     string `json:"row"`
	Company string `json:"company"`
	db.Summary
}

// Missing is a company that could not be asked.
type Missing struct {
	Company string `json:"company"`
	Error   string `json:"error"`
	Hint    string `json:"hint,omitempty"`
}

var states = []db.State{db.Queued, db.Sending, db.Sent, db.Partial, db.Failed, db.Skipped, db.Suppressed, db.Cancelled, db.Expired, db.Uncertain}

// QueueList lists rows of one company or of all. A company that cannot be asked does not keep back the others.
func (d *Desk) QueueList(ctx context.Context, q QueueListRequest) (QueueListReply, error) {
	places := d.world.Companies
	if q.Company != "" {
		p, err := d.place(q.Company)
		if err != nil {
			return QueueListReply{}, err
		}
		places = []*Place{p}
	}
	if err := checkList(q, len(places)); err != nil {
		return QueueListReply{}, err
	}
	limit := limitOf(q.Limit)
	found, failed := make([][]db.Summary, len(places)), make([]error, len(places))
	each(len(places), func(i int) {
		ctx, cancel := context.WithTimeout(ctx, askTime)
		defer cancel()
		found[i], failed[i] = places[i].Store.Find(ctx, db.Filter{Recipient: q.Recipient, Reference: q.Reference, State: q.State, Held: q.Held,
			Since: q.Since, Until: q.Until, Before: q.Before, Limit: limit})
	})
	reply := QueueListReply{Rows: []ListedRow{}, Missing: []Missing{}}
	for i, p := range places {
		name := p.Company.Name
		if failed[i] != nil {
			reply.Missing = append(reply.Missing, Missing{name, failed[i].Error(), DatabaseHint(failed[i])})
		}
		reply.More = reply.More || len(found[i]) == limit
		for _, s := range found[i] {
			reply.Rows = append(reply.Rows, ListedRow{RowName{name, s.ID}.String(), name, s})
		}
	}
	if len(places) > 1 {
		slices.SortStableFunc(reply.Rows, func(a, b ListedRow) int { return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID)) })
	}
	if len(reply.Rows) > limit {
		reply.Rows, reply.More = reply.Rows[:limit], true
	}
	return reply, nil
}

func checkList(q QueueListRequest, companies int) error {
	switch {
	case q.State != "" && !slices.Contains(states, q.State):
		return &AskError{Text: fmt.Sprintf("there is no state %q", q.State), Hint: "the states are " + joined(states) + "; held rows are queued: --held", Usage: true}
	case q.Before > 0 && companies != 1:
		return &AskError{Text: "rows before a number are those of one company", Hint: "name the company", Usage: true}
	}
	return nil
}

func joined(list []db.State) string {
	var names []string
	for _, s := range list {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

// RowRequest names one row.
type RowRequest struct {
	Row string `json:"row"`
}

// QueueShowReply is all that is known about a row, but for its bodies.
type QueueShowReply struct {
	Row      string `json:"row"`
	Company  string `json:"company"`
	Timezone string `json:"timezone"`
	RunName  string `json:"run,omitempty"` // the run that it is a mail of, as acme/12
	db.Detail
}

// QueueShow tells all that is known about a row.
func (d *Desk) QueueShow(ctx context.Context, q RowRequest) (QueueShowReply, error) {
	p, name, detail, err := d.show(ctx, q.Row)
	if err != nil {
		return QueueShowReply{}, err
	}
	run := ""
	if detail.Run != 0 {
		run = runName(p, detail.Run)
	}
	return QueueShowReply{name.String(), name.Company, p.Company.Timezone.String(), run, detail}, nil
}

func (d *Desk) show(ctx context.Context, row string) (*Place, RowName, db.Detail, error) {
	p, name, err := d.row(row)
	if err != nil {
		return nil, name, db.Detail{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	detail, err := p.Store.Show(ctx, name.ID)
	if err != nil {
		return nil, name, detail, askError(name, "", err)
	}
	return p, name, detail, nil
}

// ChangeRequest asks for the same change of several rows; QueueRelease and QueueCancel also take Company with Held or Surplus
// in place of Rows, and change the next some of them.
type ChangeRequest struct {
	By
	Rows    []string `json:"rows"`
	Company string   `json:"company,omitempty"`
	Held    bool     `json:"held,omitempty"`    // all held rows of the company
	Surplus bool     `json:"surplus,omitempty"` // those that a job's hold_above has held
	After   uint64   `json:"after,omitempty"`   // numbers above this one: ChangeReply.Last of the step before
}

// SettleRequest says what became of uncertain rows: sent or failed.
type SettleRequest struct {
	ChangeRequest
	As db.State `json:"as"`
}

// ChangeReply has one result for each row that was asked for, in that order; or what was done to the held rows of a company.
type ChangeReply struct {
	Results []ChangeResult `json:"results"`
	Changed int            `json:"changed,omitempty"` // rows of this step
	Last    uint64         `json:"last,omitempty"`    // the step's last number: go on behind it; 0 when all is done
}

// ChangeResult tells whether a row was changed, or why not and what to do.
type ChangeResult struct {
	Row   string `json:"row"`
	Done  bool   `json:"done"`
	Error string `json:"error,omitempty"`
	Hint  string `json:"hint,omitempty"`
}

// QueueRetry queues rows again, to go at once. Of an uncertain row someone may then get a second copy.
func (d *Desk) QueueRetry(ctx context.Context, q ChangeRequest) (ChangeReply, error) {
	return d.change(ctx, q, "retry", "", func(ctx context.Context, s *db.Store, id uint64) error { return s.Retry(ctx, id) })
}

// QueueSettle ends uncertain rows as sent or failed: a person has found out. It wants a reason.
func (d *Desk) QueueSettle(ctx context.Context, q SettleRequest) (ChangeReply, error) {
	if q.As != db.Sent && q.As != db.Failed {
		return ChangeReply{}, &AskError{Text: fmt.Sprintf("a row is settled as sent or failed, not as %q", q.As), Hint: "say what became of the mail", Usage: true}
	}
	if err := reasonFor("settle", q.By); err != nil {
		return ChangeReply{}, err
	}
	return d.change(ctx, q.ChangeRequest, "settle", "as "+string(q.As), func(ctx context.Context, s *db.Store, id uint64) error {
		return s.SettleByHand(ctx, id, q.As, q.note("settled as "+string(q.As)))
	})
}

// QueueHold keeps queued rows back until they are released.
func (d *Desk) QueueHold(ctx context.Context, q ChangeRequest) (ChangeReply, error) {
	return d.change(ctx, q, "hold", "", func(ctx context.Context, s *db.Store, id uint64) error { return s.Hold(ctx, id, q.note("held")) })
}

// QueueRelease lets held rows go: the named ones, or the next some of a company's. It wants a reason.
func (d *Desk) QueueRelease(ctx context.Context, q ChangeRequest) (ChangeReply, error) {
	if err := reasonFor("release", q.By); err != nil {
		return ChangeReply{}, err
	}
	if q.many() {
		return d.changeHeld(ctx, q, "release", func(ctx context.Context, s *db.Store, h db.HeldRows) (uint64, int, error) {
			return s.ReleaseHeld(ctx, h)
		})
	}
	return d.change(ctx, q, "release", "", func(ctx context.Context, s *db.Store, id uint64) error { return s.Release(ctx, id) })
}

// QueueCancel ends queued rows, held or not: the named ones, or the next some of a company's held ones.
func (d *Desk) QueueCancel(ctx context.Context, q ChangeRequest) (ChangeReply, error) {
	if q.many() {
		return d.changeHeld(ctx, q, "cancel", func(ctx context.Context, s *db.Store, h db.HeldRows) (uint64, int, error) {
			return s.CancelHeld(ctx, h, q.note("cancelled"))
		})
	}
	return d.change(ctx, q, "cancel", "", func(ctx context.Context, s *db.Store, id uint64) error { return s.Cancel(ctx, id, q.note("cancelled")) })
}

func reasonFor(action string, by By) error {
	if strings.TrimSpace(by.Reason) != "" {
		return nil
	}
	return &AskError{Text: action + " wants a reason", Hint: "say how it is known, for whoever reads the audit later: --reason TEXT", Usage: true}
}

// change makes one change row by row: audited first, and one that fails does not stop the next.
func (d *Desk) change(ctx context.Context, q ChangeRequest, action, detail string, do func(context.Context, *db.Store, uint64) error) (ChangeReply, error) {
	if len(q.Rows) == 0 {
		return ChangeReply{}, &AskError{Text: "no row is named", Hint: "a row is named acme/17", Usage: true}
	}
	if len(q.Rows) > mostList {
		return ChangeReply{}, &AskError{Text: fmt.Sprintf("%d rows at once; at most %d", len(q.Rows), mostList), Hint: "ask in several parts", Usage: true}
	}
	reply := ChangeReply{Results: []ChangeResult{}}
	for _, row := range q.Rows {
		result := ChangeResult{Row: row}
		err := d.changeRow(ctx, q.By, row, action, detail, do, &result)
		if err != nil {
			result.Error = err.Error()
			var ask *AskError
			if errors.As(err, &ask) {
				result.Hint = ask.Hint
			}
		}
		result.Done = err == nil
		reply.Results = append(reply.Results, result)
	}
	return reply, nil
}

func (d *Desk) changeRow(ctx context.Context, by By, row, action, detail string, do func(context.Context, *db.Store, uint64) error, result *ChangeResult) error {
	p, name, err := d.row(row)
	if err != nil {
		return err
	}
	result.Row = name.String()
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	if err := d.audit(ctx, by, "queue "+action, name.String(), detail); err != nil {
		return err
	}
	err = do(ctx, p.Store, name.ID)
	if err == nil {
		return nil
	}
	// The entry above promises more than was done. Without this second one it is still true that it was asked.
	undone := d.audit(ctx, by, "queue "+action, name.String(), "not done: "+err.Error())
	return errors.Join(askError(name, action, err), undone)
}

// askError says why a row could not be read or changed, and what to do.
func askError(name RowName, action string, err error) error {
	var none *db.NoRowError
	var state *db.StateError
	var purged *db.PurgedError
	switch {
	case errors.As(err, &purged):
		return &AskError{Text: fmt.Sprintf("the content of %s was purged: there is nothing to send again", name), Hint: "to send the mail again, insert a new row", Err: err}
	case errors.As(err, &none):
		return &AskError{Text: fmt.Sprintf("there is no row %s", name), Hint: "it may have been deleted; find it by outboxd queue list --recipient or --reference", Err: err}
	case errors.As(err, &state):
		return &AskError{Text: fmt.Sprintf("%s is %s: %s", name, StateText(state.State, state.Held), state.Hint), Hint: stateHint(name, action, state), Err: err}
	}
	return &AskError{Text: err.Error(), Hint: DatabaseHint(err), Err: err}
}

// StateText is a row's state for people: a queued row that is held is held.
func StateText(s db.State, held bool) string {
	if held && s == db.Queued {
		return "held"
	}
	return string(s)
}

// stateHint tells what to do about a row whose state does not allow what was asked.
func stateHint(name RowName, action string, e *db.StateError) string {
	switch {
	case e.State == db.Sending:
		return fmt.Sprintf("wait until its outcome is known: outboxd queue why %s", name)
	case e.Final && e.State == db.Uncertain:
		return fmt.Sprintf("find out whether it arrived, then outboxd queue settle %s --as sent (or failed)", name)
	case e.Final:
		return "to send the mail again, insert a new row"
	case e.State == db.Uncertain:
		return fmt.Sprintf("find out whether it arrived, then outboxd queue settle %s --as sent (or failed), or send it again: outboxd queue retry %s", name, name)
	case e.State == db.Queued && e.Held && (action == "release" || action == "retry"):
		return fmt.Sprintf("it goes with its run; what that waits for: outboxd queue why %s", name)
	case action == "retry" && (e.State == db.Sent || e.State == db.Skipped):
		return "to send the mail again, insert a new row"
	case action == "retry":
		return "its expires_at is over: to send the mail all the same, insert a new row"
	case action == "hold" && e.Held:
		return "nothing: it is held already"
	case action == "release" && e.State == db.Queued:
		return fmt.Sprintf("it is not held; what it waits for: outboxd queue why %s", name)
	case e.State == db.Queued:
		return fmt.Sprintf("what it waits for: outboxd queue why %s", name)
	}
	return fmt.Sprintf("it has ended; what became of it: outboxd queue why %s", name)
}
