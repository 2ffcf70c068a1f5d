package jobs

import (
	"context"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
)

// slot is the right to write DATA for one mail, taken from the buckets of the account and of the job.
type slot struct {
	f          *feeder
	recipients int
	takes      []grant
	at         time.Time // of the take
	used       bool      // DATA was written
}

type grant struct {
	buckets *db.Buckets
	take    db.Take
}

// lateWait is how long a transaction may wait for a new slot when its first one was forfeit.
const lateWait = time.Minute

// takeSlot takes a slot for a mail; errLost when there is none yet.
func (f *feeder) takeSlot(ctx context.Context, recipients int) (*slot, error) {
	s := &slot{f: f, recipients: recipients}
	if ok, err := s.ask(ctx); err != nil {
		return nil, err
	} else if !ok {
		return nil, errLost
	}
	return s, nil
}

// ask takes from all buckets or from none, and tells the paces when to ask next.
func (s *slot) ask(ctx context.Context) (bool, error) {
	s.takes, s.at = nil, time.Now()
	for _, part := range s.f.bucketParts() {
		t, err := part.buckets.Take(ctx, part.list, s.recipients)
		if err = s.f.noteBuckets(part, err); err != nil {
			s.refund(context.WithoutCancel(ctx))
			s.f.setPaces(part.waits(limitsPause))
			return false, err
		}
		s.f.setPaces(t.Wait)
		if !t.OK {
			s.refund(context.WithoutCancel(ctx))
			return false, nil
		}
		s.takes = append(s.takes, grant{part.buckets, t})
	}
	return true, nil
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

// setPaces tells the paces of account and job how long to wait, by the names of their buckets.
func (f *feeder) setPaces(waits map[string]time.Duration) {
	if wait, ok := waits[f.a.bucket.Name]; ok && f.a.limited() {
		f.a.pace.next(time.Now().Add(wait))
	}
	if wait, ok := waits[f.r.bucket.Name]; ok {
		f.r.pace.next(time.Now().Add(wait))
	}
}

// use is called right before DATA: a slot that was taken too long ago is forfeit, since the window has moved on.
func (s *slot) use(ctx context.Context) error {
	for time.Since(s.at) > s.f.hold {
		ok, err := s.ask(ctx)
		if err != nil {
			return err
		}
		if ok {
			break
		}
		wait := max(time.Until(s.f.a.pace.due()), time.Until(s.f.r.pace.due()))
		if wait > lateWait {
			return errLost
		}
		if !sleep(ctx, wait) {
			return ctx.Err()
		}
	}
	s.used = true
	return nil
}

// refund gives back a slot that never came to DATA. The next mail may ask at once: the bucket tells whether it is its turn.
func (s *slot) refund(ctx context.Context) {
	for _, g := range s.takes {
		if err := g.buckets.Refund(ctx, g.take); err != nil {
			s.f.log.Warn(eventStoreError, zap.Error(err))
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

// bucketParts are the buckets to ask, by the database they are in; the account's last, because others share it.
func (f *feeder) bucketParts() []bucketPart {
	var parts []bucketPart
	if f.r.limited() {
		parts = append(parts, bucketPart{f.r.c.place.Own, []db.Bucket{f.r.bucket}})
	}
	if !f.a.limited() {
		return parts
	}
	if len(parts) == 1 && parts[0].buckets == f.a.buckets {
		parts[0].list = append(parts[0].list, f.a.bucket)
		return parts
	}
	return append(parts, bucketPart{f.a.buckets, []db.Bucket{f.a.bucket}})
}
