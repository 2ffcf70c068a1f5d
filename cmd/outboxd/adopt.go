package main

import (
	"fmt"

	"outboxd/jobs"
)

type adoptCommand struct {
	Company string `arg:"" help:"Whose database was restored, copied or moved."`
	Send    bool   `help:"Also let go what adoptions have held: it is sent."`
	Reason  string `help:"Why, for the audit." placeholder:"TEXT"`
	JSON    bool   `help:"Print JSON."`
}

// Run adopts and tells what was done. An adoption that was cut off is exit status 1.
func (c adoptCommand) Run(i *invocation) error {
	reply, err := ask(i, opAdopt, jobs.AdoptRequest{By: jobs.By{Reason: c.Reason}, Company: c.Company, Send: c.Send})
	if err != nil {
		return err
	}
	w := &errorWriter{w: i.stdout}
	if c.JSON {
		w.err = printJSON(i.stdout, reply, "  ")
	} else {
		c.print(w, reply)
	}
	if w.err == nil && !reply.Done {
		return exitError(exitFailed)
	}
	return w.err
}

func (c adoptCommand) print(w *errorWriter, r jobs.AdoptReply) {
	if r.Why != "" {
		fmt.Fprintf(w, "The database of %s was fenced: %s\n\n", clean(r.Company), clean(r.Why))
		t := newTable(w)
		t.row("marked as sent", r.Sent, "outboxd knows that they were")
		t.row("marked as failed", r.Failed, "outboxd knows that they were refused for good")
		t.row("marked as uncertain", r.Uncertain, "handed over, outcome unknown: outboxd queue list --state uncertain")
		t.row("held", r.Held, "all else that is unfinished: outboxd queue list --held")
		t.row("runs skipped", r.Runs)
		if r.Stopped > 0 {
			t.row("runs stopped", r.Stopped, "of mailings that had not ended: outboxd mailing list, then mailing resume or mailing stop")
		}
		w.err = t.end()
	}
	if c.Send {
		fmt.Fprintf(w, "%s let go.\n", counted(r.Released, "row"))
	}
	switch {
	case !r.Done:
		fmt.Fprintf(w, "\nIt is not complete and %s stays as it is. What to do: give the command again, it goes on where it stopped\n", clean(r.Company))
	case !c.Send && r.Held > 0:
		fmt.Fprintf(w, "\nNew mail of %[1]s is sent again. To let go what is held: outboxd adopt %[1]s --send; or row by row: outboxd queue release, outboxd queue cancel\n", clean(r.Company))
	default:
		fmt.Fprintf(w, "\nThe mail of %s is sent again.\n", clean(r.Company))
	}
}
