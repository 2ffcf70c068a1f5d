package jobs

import (
	"context"
	"time"

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
	s.takes = nil
	s.at = time.Now()
	for _, part := range s.f.bucketParts() {
		t, err := part.buckets.Take(ctx, part.list, s.recipients)
		if err != nil {
			s.refund(context.WithoutCancel(ctx))
			return false, err
		}
		if s.f.a.limited() {
			if wait, ok := t.Wait[s.f.a.bucket.Name]; ok {
				s.f.a.pace.next(time.Now().Add(wait))
			}
		}
		if wait, ok := t.Wait[s.f.r.bucket.Name]; ok {
			s.f.r.pace.next(time.Now().Add(wait))
		}
		if !t.OK {
			s.refund(context.WithoutCancel(ctx))
			return false, nil
		}
		s.takes = append(s.takes, grant{part.buckets, t})
	}
	return true, nil
}

// hold is called right before DATA: a slot that was taken too long ago is forfeit, since the window has moved on.
func (s *slot) hold(ctx context.Context) error {
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
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
	s.used = true
	return nil
}

// refund gives back a slot that never came to DATA.
func (s *slot) refund(ctx context.Context) {
	for _, g := range s.takes {
		if err := g.buckets.Refund(ctx, g.take); err != nil {
			s.f.log.Warn(eventStoreError, errField(err))
		}
	}
	s.takes = nil
}

type bucketPart struct {
	buckets *db.Buckets
	list    []db.Bucket
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
