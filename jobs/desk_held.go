package jobs

import (
	"context"
	"fmt"

	"outboxd/db"
)

// heldStep is how many held rows are changed at once: a moment's work, so that nobody waits for it.
const heldStep = 1000

// many tells whether rows are meant by what they are and not by their names.
func (q ChangeRequest) many() bool { return q.Held || q.Surplus }

// changeHeld changes the next held rows of a company. Each step is audited before it is made.
func (d *Desk) changeHeld(ctx context.Context, q ChangeRequest, action string, do func(context.Context, *db.Store, db.HeldRows) (uint64, int, error)) (ChangeReply, error) {
	if len(q.Rows) > 0 || q.Held && q.Surplus {
		return ChangeReply{}, &AskError{Text: "either rows are named, or all held ones are meant, or the surplus", Hint: "one of the three", Usage: true}
	}
	p, err := d.placeOrOnly(q.Company)
	if err != nil {
		return ChangeReply{}, err
	}
	what := "held rows"
	if q.Surplus {
		what = "surplus rows"
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	name := p.Company.Name
	if err := d.audit(ctx, q.By, "queue "+action, name, fmt.Sprintf("%s after number %d, at most %d", what, q.After, heldStep)); err != nil {
		return ChangeReply{}, err
	}
	last, changed, err := do(ctx, p.Store, db.HeldRows{Surplus: q.Surplus, After: q.After, Limit: heldStep})
	if err != nil {
		return ChangeReply{}, &AskError{Text: err.Error(), Hint: DatabaseHint(err), Err: err}
	}
	return ChangeReply{Results: []ChangeResult{}, Changed: changed, Last: last}, nil
}

// placeOrOnly finds a company, or the only one where none is named.
func (d *Desk) placeOrOnly(company string) (*Place, error) {
	if company == "" && len(d.world.Companies) == 1 && len(d.world.leftOut) == 0 {
		return d.world.Companies[0], nil
	}
	if company == "" {
		return nil, &AskError{Text: "of which company?", Hint: "name it: --company NAME; the companies are " + d.companies(), Usage: true}
	}
	return d.place(company)
}
