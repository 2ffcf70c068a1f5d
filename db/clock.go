package db

import "time"

// watch holds the server's clock against the process's monotonic one. Both go at the same pace unless the server's is
// set. It also knows the bucket's clock offset of its last look, to tell what other daemons have corrected since.
type watch struct {
	lo, hi int64         // µs: the server's clock less the monotonic one lies between them
	first  time.Duration // look, by the monotonic clock
	last   time.Duration // look
	offset int64         // of the bucket, after the last look
	purged time.Duration // when old usage was dropped last
	since  int64         // µs of the bucket's clock at the first look; or of the last mail before, if that is earlier. 0: not asked for
}

// settleTime is how long a process watches a bucket's clock before it believes it alone: as long as every other daemon
// needs to notice, and to correct, a clock that was set before this process began. Daemons tend their buckets every
// minute.
const settleTime = 2*time.Minute + 10*time.Second

// look takes in a reading of the server's clock, made between two times of the monotonic one, beside the bucket's clock
// offset as it is stored, and returns what the offset has to be. What cannot be told by a late answer the next look shows.
func (w *watch) look(server, offset int64, asked, answered time.Duration) int64 {
	lo, hi := server-answered.Microseconds(), server-asked.Microseconds()
	if w.lo == 0 && w.hi == 0 {
		*w = watch{lo: lo, hi: hi, first: answered, last: answered, purged: answered, offset: offset}
		return offset
	}
	slack := int64(drift / 2 * float64((answered - w.last).Microseconds()))
	before, after := w.lo-slack, w.hi+slack
	others := offset - w.offset // what other daemons have corrected since the last look
	set := beyond(lo, hi, before, after)
	rest := beyond(lo, hi, before+others, after+others)
	moved := set
	switch {
	case rest == 0: // they have seen what happened
		moved = others
	case distance(set) <= distance(others)/2: // they know of a time before this process began
		rest = 0
	default:
		moved = others + rest
	}
	w.lo, w.hi, w.last, w.offset = max(lo, before+moved), min(hi, after+moved), answered, offset+rest
	return w.offset
}

// beyond is how far the first interval lies beyond the second, 0 where they meet: the least that explains it.
func beyond(lo, hi, before, after int64) int64 {
	switch {
	case lo > after:
		return lo - after
	case hi < before:
		return hi - before
	}
	return 0
}

func distance(d int64) int64 { return max(d, -d) }
