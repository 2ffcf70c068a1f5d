package mail

import (
	"errors"
	"testing"
)

func TestRecall(t *testing.T) {
	for _, c := range replyCases {
		o := Classify(c.step, ParseReply(c.code, c.text))
		got, ok := Recall(o.Step.String(), o.Reply.Code, o.Reply.Enhanced, o.Reply.String())
		if !ok || got != o {
			t.Errorf("%s %s: recalled as %+v, was %+v", c.step, o.Reply, got, o)
		}
	}
	lost := ClassifyIO(StepDot, errors.New("reset"))
	if got, ok := Recall("dot", 0, "", lost.Reply.String()); !ok || got != lost {
		t.Errorf("%+v, %v", got, ok)
	}
	for _, step := range []string{"rcpt", "", "nonsense"} {
		if got, ok := Recall(step, 0, "", "no route to host"); ok {
			t.Errorf("%q: %+v", step, got)
		}
	}
}
