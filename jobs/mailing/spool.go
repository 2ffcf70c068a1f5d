package mailing

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"outboxd/db"
)

// Spool is an audience as its query returned it, in files that nobody else sees. Its lines count from 1. Several may read it at the
// same time. It takes the same memory whatever its size.
type Spool struct {
	layout  *layout
	rows    int64
	records *file // a record for each line
	hashes  *file // 16 octets for each line: what tells its mail from others

	find    sync.Once
	repeats map[int64]repeat
	wrong   error
}

// SpoolError says that an audience could not be kept while it is worked on. It passes when there is room.
type SpoolError struct {
	Dir string
	Err error
}

// Error names the folder and what to do.
func (e *SpoolError) Error() string {
	return fmt.Sprintf("keep the audience in a file in %s: %v; make room there, or set TMPDIR to a folder with room", e.Dir, e.Err)
}

// Unwrap is what happened below.
func (e *SpoolError) Unwrap() error { return e.Err }

// file is one that is written once, front to end, and then read.
type file struct {
	*os.File
	w       *bufio.Writer
	octets  int64
	removed bool // its name is gone already
}

const bufferSize = 64 << 10

func newFile() (*file, error) {
	f, err := os.CreateTemp("", "outboxd-audience-*") // mode 0600
	if err != nil {
		return nil, &SpoolError{os.TempDir(), err}
	}
	// Without a name the space is free when the program ends, however it ends.
	return &file{File: f, w: bufio.NewWriterSize(f, bufferSize), removed: os.Remove(f.Name()) == nil}, nil
}

// put appends octets.
func (f *file) put(b []byte) error {
	n, err := f.w.Write(b)
	f.octets += int64(n)
	return f.checked(err)
}

// flush ends the writing.
func (f *file) flush() error {
	err := f.checked(f.w.Flush())
	f.w = nil
	return err
}

func (f *file) checked(err error) error {
	if err == nil {
		return nil
	}
	var path *os.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return &SpoolError{os.TempDir(), err}
}

// reader reads from the beginning, apart from all others.
func (f *file) reader() *bufio.Reader {
	return bufio.NewReaderSize(io.NewSectionReader(f.File, 0, f.octets), bufferSize)
}

func (f *file) close() error {
	err := f.File.Close()
	if !f.removed {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}

func newSpool() (*Spool, error) {
	records, err := newFile()
	if err != nil {
		return nil, err
	}
	hashes, err := newFile()
	if err != nil {
		return nil, errors.Join(err, records.close())
	}
	return &Spool{records: records, hashes: hashes}, nil
}

// add appends a row. The buffer is used for the next one too.
func (s *Spool) add(values []any, buffer []byte) ([]byte, error) {
	record := appendRecord(buffer[:0], values)
	var length [binary.MaxVarintLen64]byte
	if err := s.records.put(length[:binary.PutUvarint(length[:], uint64(len(record)))]); err != nil {
		return record, err
	}
	if err := s.records.put(record); err != nil {
		return record, err
	}
	hash := s.layout.hash(values, record)
	s.rows++
	return record, s.hashes.put(hash[:])
}

// Rows are how many there are.
func (s *Spool) Rows() int64 { return s.rows }

// Close gives the space back.
func (s *Spool) Close() error { return errors.Join(s.records.close(), s.hashes.close()) }

// Each hands over the mails of the lines from one on, in order, until fn returns an error. A line that cannot be mailed is a mail with
// the state skipped and the reason.
func (s *Spool) Each(ctx context.Context, from int64, fn func(line int64, m db.NewMail) error) error {
	return s.each(ctx, from, func(line int64, m *made) error { return fn(line, m.NewMail) })
}

// each is Each with what became of the lines.
func (s *Spool) each(ctx context.Context, from int64, fn func(line int64, m *made) error) error {
	repeats, err := s.found()
	if err != nil {
		return err
	}
	records, hashes := s.records.reader(), s.hashes.reader()
	var record []byte
	values := make([]any, len(s.layout.columns))
	for line := int64(1); line <= s.rows; line++ {
		if line%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		var hash hash
		if _, err := io.ReadFull(hashes, hash[:]); err != nil {
			return s.hashes.checked(err)
		}
		length, err := binary.ReadUvarint(records)
		if err == nil && line < from {
			_, err = records.Discard(int(length))
		} else if err == nil {
			record = grown(record, int(length))
			_, err = io.ReadFull(records, record)
		}
		if err != nil {
			return s.records.checked(err)
		}
		if line < from {
			continue
		}
		if err := readRecord(record, values); err != nil {
			return s.records.checked(err)
		}
		m := s.layout.mail(values, hash, repeats[line])
		if err := fn(line, m); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// grown is a slice of a length, the same where there is room.
func grown(b []byte, length int) []byte {
	if cap(b) < length {
		return make([]byte, length, max(length, 2*cap(b)))
	}
	return b[:length]
}
