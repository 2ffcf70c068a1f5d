package mailing

// FindRepeats finds duplicates with so many hashes in memory at a time.
func FindRepeats(s *Spool, size, most int) (map[int64]int, error) {
	found, err := s.findRepeats(size, most)
	all := map[int64]int{}
	for line, r := range found {
		all[line] = r.times
	}
	return all, err
}

// AppendRecord writes a row as a spool keeps it.
var AppendRecord = appendRecord

// ReadRecord reads a row of so many values.
func ReadRecord(record []byte, n int) ([]any, error) {
	values := make([]any, n)
	err := readRecord(record, values)
	return values, err
}
