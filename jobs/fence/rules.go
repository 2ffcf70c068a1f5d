package fence

import (
	"fmt"
	"slices"

	"outboxd/db"
	"outboxd/jobs/witness"
)

// evidence is all that tells whether a company's database is the one that it was, or a copy of it.
type evidence struct {
	company  string
	instance string
	reached  []string          // how jobs.yaml says that the database is reached: one for each host
	said     db.Fence          // by the database itself
	known    []db.Known        // by the witnesses: the control database and the state directory
	control  []db.Known        // of these, by the control database
	again    uint64            // a row that waits although it was handed over; 0 for none
	own      *witness.Identity // what this daemon remembers of this identity, on this computer; nil for nothing
}

// verdict is what the evidence means.
type verdict struct {
	fenced string // why it is a copy; "" when it is none
	first  bool   // nobody has seen it before: it gets an identity
	moved  bool   // it is known at another place, and vouched for at this one: the place is to be noted
}

// judge tells whether the database may be sent from. Anything that cannot be explained is a copy.
func (e evidence) judge() verdict {
	own, company := 0, 0
	for _, k := range e.known {
		if k.Identity == e.said.Identity && k.Identity != "" {
			own++
		} else if k.Company == e.company {
			company++
		}
	}
	switch said := e.said; {
	case !said.Tables:
		return verdict{fenced: "it has no identity, and its tables are older than that: it was restored from an older backup, or is another database"}
	case said.Adopting != "":
		return verdict{fenced: "its adoption has begun and is not complete"}
	case said.Identity == "" && company > 0:
		return verdict{fenced: "it has no identity, and outboxd knows one of this company: it was restored from an older backup, or is another database"}
	case said.Identity == "":
		return verdict{first: true}
	}
	if why := e.older(); why != "" {
		return verdict{fenced: why}
	}
	if e.again != 0 {
		return verdict{fenced: e.sentAgain()}
	}
	if own == 0 && company > 0 {
		return verdict{fenced: "its identity is none that outboxd knows of this company: it is another database, or a copy of one"}
	}
	return e.placed()
}

func (e evidence) sentAgain() string {
	return fmt.Sprintf("row %d waits to be sent, and outboxd knows that it was handed over: the table is older than that", e.again)
}

// older tells what the witnesses remember that the database does not know.
func (e evidence) older() string {
	for _, k := range e.known {
		if k.Identity != e.said.Identity {
			continue
		}
		switch now, there := e.said.Beats[k.Instance]; {
		case k.N == 0: // adopted, and not used since
		case !there || now.N < k.N:
			return fmt.Sprintf("it is older than outboxd remembers: it was restored, or is a copy (it knows %d of the %d beats of the daemon %s)", now.N, k.N, k.Instance)
		case now.N == k.N && now.Nonce != k.Nonce:
			return fmt.Sprintf("it is another branch of the database that outboxd remembers: one of the two is a copy (at beat %d of the daemon %s they differ)", k.N, k.Instance)
		}
	}
	return ""
}

// placed tells whether the database is where it may be: at a place where it was seen, at another node of the same cluster, or
// where this daemon has always reached it, with all that this daemon remembers in it: its server was moved, or another one of
// its hosts has taken over.
func (e evidence) placed() verdict {
	at := e.said.Place
	if slices.Contains(e.said.Places, at.Name) {
		return verdict{moved: at.ClusterPlace() != "" && !slices.Contains(e.said.Places, at.ClusterPlace())}
	}
	if cluster := at.ClusterPlace(); cluster != "" && slices.Contains(e.said.Places, cluster) {
		return verdict{moved: true}
	}
	if e.own != nil && slices.ContainsFunc(e.own.Addresses, func(a string) bool { return slices.Contains(e.reached, a) }) && e.own.Beats[e.instance].N > 0 {
		return verdict{moved: true}
	}
	return verdict{fenced: fmt.Sprintf("it is at another place than it was: a copy of it, or it was moved (now %s)", at.Name)}
}
