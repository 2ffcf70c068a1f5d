package jobs

import (
	"context"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
)

// slot is one mail's turn in the buckets of the account and of the job, and at DATA its place in their windows.
type slot struct {
	f          *feeder
	recipients int
	domains    []db.Bucket // of its recipients' domains, where the account limits them
	takes      []grant
	counts     []grant
	used       bool // DATA was written
}

type grant struct {
	buckets *db.Buckets
	take    db.Take
}

// lateWait is how long a transaction may wait for room in a window when it comes to DATA.
const lateWait = time.Minute

// takeSlot takes a slot for a mail; errLost when there is none yet, a *domainFullError when it has to wait for a recipient's domain.
func (f *feeder) takeSlot(ctx context.Context, recipients []string) (*slot, error) {
	s := &slot{f: f, recipients: len(recipients), domains: f.a.domains.bucketsOf(recipients)}
	return s, s.ask(ctx)
}

// ask takes from all buckets or from none, and tells the paces when to ask next.
func (s *slot) ask(ctx context.Context) error {
	for _, part := range s.f.bucketParts(s.domains) {
		t, err := part.buckets.Take(ctx, part.list, s.recipients)
		if err = s.f.noteBuckets(part, err); err != nil {
			s.refund(ctx)
			s.f.setPaces(part.waits(limitsPause))
			return err
		}
		if t.Held { // the account is: whoever waits for it looks
			s.f.a.forget()
			s.refund(ctx)
			return errLost
		}
		s.f.setPaces(t.Wait)
		if !t.OK {
			s.f.a.noteFull(ctx, t.Wait[s.f.a.bucket.Name])
			s.refund(ctx)
			return s.f.a.domains.full(t.Wait)
		}
		s.f.a.domains.served(t.Wait, s.f.r.c.name)
		s.takes = append(s.takes, grant{part.buckets, t})
	}
	return nil
}

// noteBuckets notes whether the buckets answered: that is the matter of the control database or of the company's own. It
// returns the error as a *limitsError.
func (f *feeder) noteBuckets(part bucketPart, err error) error {
	if err != nil && (part.buckets != f.a.buckets || f.a.control == nil) {
		f.r.c.report(err)
	}
	if part.buckets == f.a.buckets {
		return f.a.noteBucket(err)
	}
	if err != nil {
		return &limitsError{err}
	}
	return nil
}

// setPaces tells the paces of account, recipient domains and job how long to wait, by the names of their buckets.
func (f *feeder) setPaces(waits map[string]time.Duration) {
	f.a.domains.heard(waits)
	if wait, ok := waits[f.a.bucket.Name]; ok && f.a.limited() {
		f.a.pace.next(time.Now().Add(wait))
	}
	if wait, ok := waits[f.r.bucket.Name]; ok {
		f.r.pace.next(time.Now().Add(wait))
	}
}

// use is called right before DATA: the mail is counted, once there is room for it in every window.
func (s *slot) use(ctx context.Context) error {
	slow := time.Duration(0)
	for ready := time.Now(); ; {
		asked := time.Now()
		wait, err := s.count(ctx, slow)
		if err != nil {
			return err
		}
		took := time.Since(asked)
		if wait == 0 && took <= s.f.hold+slow {
			s.used = true
			return nil
		}
		s.uncount(ctx) // counted too long ago: the windows have moved on
		if wait == 0 {
			slow = min(2*took, db.MaxSlow)
		}
		if time.Since(ready)+wait > lateWait {
			return errLost
		}
		if !sleep(ctx, wait) {
			return ctx.Err()
		}
	}
}

// count counts the mail in all buckets or in none, and tells how long a full one has to wait.
func (s *slot) count(ctx context.Context, slow time.Duration) (time.Duration, error) {
	for _, part := range s.f.bucketParts(s.domains) {
		t, err := part.buckets.Count(ctx, part.list, s.recipients, slow)
		if err = s.f.noteBuckets(part, err); err != nil {
			return 0, err
		}
		if !t.OK {
			return slices.Max(slices.Collect(maps.Values(t.Wait))), nil
		}
		s.counts = append(s.counts, grant{part.buckets, t})
	}
	return 0, nil
}

func (s *slot) uncount(ctx context.Context) {
	for _, g := range s.counts {
		s.giveBack(ctx, g)
	}
	s.counts = nil
}

func (s *slot) giveBack(ctx context.Context, g grant) bool {
	err := g.buckets.Refund(context.WithoutCancel(ctx), g.take)
	if err != nil {
		s.f.log.Warn(eventStoreError, zap.Error(err))
	}
	return err == nil
}

// refund gives back a slot that never came to DATA. The next mail may ask at once: the bucket tells whether it is its turn.
func (s *slot) refund(ctx context.Context) {
	s.uncount(ctx)
	for _, g := range s.takes {
		if !s.giveBack(ctx, g) {
			continue
		}
		for name := range g.take.Wait {
			s.f.setPaces(map[string]time.Duration{name: 0})
		}
	}
	s.takes = nil
}

type bucketPart struct {
	buckets *db.Buckets
	list    []db.Bucket
}

// waits is the same wait for each of the part's buckets.
func (p bucketPart) waits(wait time.Duration) map[string]time.Duration {
	all := map[string]time.Duration{}
	for _, b := range p.list {
		all[b.Name] = wait
	}
	return all
}

// bucketParts are the buckets to ask, by the database they are in: the job's, those of the recipients' domains and the
// account's; what is the account's last, because others share it.
func (f *feeder) bucketParts(domains []db.Bucket) []bucketPart {
	var parts []bucketPart
	if f.r.limited() {
		parts = append(parts, bucketPart{f.r.c.place.Own, []db.Bucket{f.r.bucket}})
	}
	ofAccount := slices.Clone(domains)
	if f.a.limited() {
		ofAccount = append(ofAccount, f.a.bucket)
	}
	switch {
	case len(ofAccount) == 0:
		return parts
	case len(parts) == 1 && parts[0].buckets == f.a.buckets:
		parts[0].list = append(parts[0].list, ofAccount...)
		return parts
	}
	return append(parts, bucketPart{f.a.buckets, ofAccount})
}
