package witness

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"outboxd/db"
)

// Record is what became of one mail when it was handed over, or that it was.
type Record struct {
	Mail
	At   int64  // ms since 1970
	What string // a letter for each recipient, in their order
}

// The letters of Record.What.
const (
	Marked    = 'm' // under the mark: the body may have gone, the outcome is not known
	Accepted  = 'a'
	Uncertain = 'u' // handed over, and no answer came
	Failed    = 'f' // refused for good
	Open      = 'o' // refused for now, or not tried
)

const letters = "amufo" // the one that says most first

// line is the record in a file.
func (r Record) line() string {
	return fmt.Sprintf("%d %d %d %s\n", r.ID, r.Created, r.At, r.What)
}

// parseLine reads a line of a file; false for a torn one.
func parseLine(text string) (r Record, ok bool) {
	parts := strings.Fields(text)
	if len(parts) != 4 || !strings.HasSuffix(text, "\n") || !valid(parts[3]) {
		return r, false
	}
	var errs [3]error
	r.ID, errs[0] = strconv.ParseUint(parts[0], 10, 64)
	r.Created, errs[1] = strconv.ParseInt(parts[1], 10, 64)
	r.At, errs[2] = strconv.ParseInt(parts[2], 10, 64)
	r.What = parts[3]
	return r, errs == [3]error{}
}

func valid(what string) bool { return what != "" && strings.Trim(what, letters) == "" }

// later tells whether r says more than the record of before: the later one, and at the same time an outcome before a mark.
func (r Record) later(before Record) bool {
	return cmp.Or(cmp.Compare(r.At, before.At), cmp.Compare(strings.Count(before.What, string(Marked)), strings.Count(r.What, string(Marked)))) >= 0
}

// Pack makes a short text of many records, for the control database.
func Pack(records []Record) []byte {
	slices.SortFunc(records, func(a, b Record) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.At, b.At)) })
	b := []byte{packVersion}
	var last Record
	for _, r := range records {
		b = binary.AppendUvarint(b, r.ID-last.ID)
		b = binary.AppendVarint(b, r.Created-last.Created)
		b = binary.AppendVarint(b, r.At-last.At)
		b = binary.AppendUvarint(b, uint64(len(r.What)))
		b = append(b, r.What...)
		last = r
	}
	return b
}

const (
	packVersion = 1
	maxWhat     = 1000 // recipients of a mail
)

var errPacked = errors.New("packed records are damaged")

// Unpack reads what Pack made.
func Unpack(b []byte) ([]Record, error) {
	if len(b) == 0 || b[0] != packVersion {
		return nil, errPacked
	}
	b = b[1:]
	var all []Record
	var last Record
	for len(b) > 0 {
		id, n1 := binary.Uvarint(b)
		created, n2 := binary.Varint(b[max(n1, 0):])
		at, n3 := binary.Varint(b[max(n1, 0)+max(n2, 0):])
		head := n1 + n2 + n3
		if n1 <= 0 || n2 <= 0 || n3 <= 0 {
			return nil, errPacked
		}
		size, n4 := binary.Uvarint(b[head:])
		if n4 <= 0 || size > maxWhat || uint64(len(b)-head-n4) < size {
			return nil, errPacked
		}
		end := head + n4 + int(size)
		last = Record{Mail{last.ID + id, last.Created + created}, last.At + at, string(b[head+n4 : end])}
		if !valid(last.What) {
			return nil, errPacked
		}
		all = append(all, last)
		b = b[end:]
	}
	return all, nil
}

// Read reads the records of a list in the control database.
func Read(list db.Handed) ([]Record, error) {
	all, err := Unpack(list.Records)
	if err != nil {
		return nil, fmt.Errorf("list %d in outbox_handed: %w", list.ID, err)
	}
	return all, nil
}

// Outcomes is the last record of each of some mails.
type Outcomes map[Mail]Record

// Add takes a record in, unless a later one is known.
func (o Outcomes) Add(r Record) {
	if before, there := o[r.Mail]; !there || r.later(before) {
		o[r.Mail] = r
	}
}
