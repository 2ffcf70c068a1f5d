package mailing

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
)

const (
	// A pass over the hashes keeps so many of them: a bound on memory, whatever the number of lines.
	passHashes = 1 << 17
	// maxRepeats are as many lines with a key that an earlier one has as are taken for an oversight. More are a wrong query.
	maxRepeats = 100_000
)

// repeat is a line whose key stands in earlier lines.
type repeat struct {
	first int64 // the first of them
	times int   // how many there are; 0: the line is no repeat
}

// entry is a hash and its line.
type entry struct {
	hash hash
	line int64
}

// found are the lines whose key stands in an earlier line; without a key, those that are the same as an earlier one. They are looked
// for once. So many that the query must be wrong are an *AudienceError.
func (s *Spool) found() (map[int64]repeat, error) {
	s.find.Do(func() { s.repeats, s.wrong = s.findRepeats(passHashes, maxRepeats) })
	return s.repeats, s.wrong
}

// findRepeats goes over the hashes once for each part of them that fits into memory. Hashes are even: no part is much larger than
// another but for repeats, of which there may be most at the most.
func (s *Spool) findRepeats(size, most int) (map[int64]repeat, error) {
	parts := uint64(s.rows/int64(size) + 1)
	repeats := map[int64]repeat{}
	part := make([]entry, 0, min(s.rows, int64(size)))
	limit := size + size/8 + most
	for n := range parts {
		var err error
		if part, err = s.part(part[:0], n, parts, limit); err != nil {
			return nil, err
		}
		if len(part) == limit {
			return nil, s.layout.tooManyRepeats(most)
		}
		slices.SortFunc(part, func(a, b entry) int {
			return cmp.Or(bytes.Compare(a.hash[:], b.hash[:]), cmp.Compare(a.line, b.line))
		})
		for i, first := 1, 0; i < len(part); i++ {
			if part[i].hash != part[first].hash {
				first = i
				continue
			}
			repeats[part[i].line] = repeat{part[first].line, i - first}
			if len(repeats) > most {
				return nil, s.layout.tooManyRepeats(most)
			}
		}
	}
	return repeats, nil
}

// part collects the hashes of one part, up to a limit that only repeats can pass.
func (s *Spool) part(all []entry, n, parts uint64, limit int) ([]entry, error) {
	r := s.hashes.reader()
	e := entry{}
	for e.line = 1; e.line <= s.rows && len(all) < limit; e.line++ {
		if _, err := io.ReadFull(r, e.hash[:]); err != nil {
			return all, s.hashes.checked(err)
		}
		if binary.BigEndian.Uint64(e.hash[:])%parts == n {
			all = append(all, e)
		}
	}
	return all, nil
}

func (l *layout) tooManyRepeats(most int) error {
	e := &AudienceError{Audience: l.spec.Audience, Kind: Repeats, Text: fmt.Sprintf("more than %d of its rows are the same as an earlier one", most),
		Remedy: "the query joins too much: let it return each row once, as by DISTINCT"}
	if len(l.key) > 0 {
		e.Text = fmt.Sprintf("more than %d of its rows have the same key (%s) as an earlier one", most, strings.Join(l.spec.Key, ", "))
		e.Remedy = "let it return each of them once, as by GROUP BY, or name the columns in key that tell them apart"
	}
	return e
}
