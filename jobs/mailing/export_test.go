package mailing

import (
	"bufio"
	"os"
)

// PutInto writes octets into a file that there is, as a spool does, until its disk is full or all is there.
func PutInto(path string, octets int) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	spool := &file{File: f, w: bufio.NewWriterSize(f, bufferSize), removed: true}
	for range octets / 1000 {
		if err := spool.put(make([]byte, 1000)); err != nil {
			return err
		}
	}
	return spool.flush()
}

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

// Duplicates finds them as a run does: the lines, with how many lines had the key before, 1 for the second.
func (s *Spool) Duplicates() (map[int64]int, error) { return FindRepeats(s, passHashes, maxRepeats) }
