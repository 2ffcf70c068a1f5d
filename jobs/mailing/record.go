package mailing

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"outboxd/db"
)

// What a value of a record begins with.
const (
	tagNull byte = iota
	tagInt
	tagUint
	tagFloat
	tagText
	tagDecimal
	tagBytes
	tagTime
)

// appendRecord writes the values of a row behind each other.
func appendRecord(b []byte, values []any) []byte {
	for _, value := range values {
		switch v := value.(type) {
		case nil:
			b = append(b, tagNull)
		case int64:
			b = binary.AppendVarint(append(b, tagInt), v)
		case uint64:
			b = binary.AppendUvarint(append(b, tagUint), v)
		case float64:
			b = binary.BigEndian.AppendUint64(append(b, tagFloat), math.Float64bits(v))
		case string:
			b = append(binary.AppendUvarint(append(b, tagText), uint64(len(v))), v...)
		case db.Decimal:
			b = append(binary.AppendUvarint(append(b, tagDecimal), uint64(len(v))), v...)
		case []byte:
			b = append(binary.AppendUvarint(append(b, tagBytes), uint64(len(v))), v...)
		case time.Time:
			b = binary.AppendVarint(append(b, tagTime), v.Unix())
			b = binary.AppendUvarint(b, uint64(v.Nanosecond()))
		default: // none that a query returns
			text := fmt.Sprint(v)
			b = append(binary.AppendUvarint(append(b, tagText), uint64(len(text))), text...)
		}
	}
	return b
}

var errRecord = errors.New("it is not what was written")

// readRecord reads what appendRecord wrote. Nothing of the record is kept.
func readRecord(record []byte, values []any) error {
	r := recordReader{rest: record}
	for i := range values {
		values[i] = r.value()
	}
	if r.broken || len(r.rest) > 0 {
		return errRecord
	}
	return nil
}

type recordReader struct {
	rest   []byte
	broken bool
}

func (r *recordReader) value() any {
	tag := r.take(1)
	if r.broken {
		return nil
	}
	switch tag[0] {
	case tagNull:
		return nil
	case tagInt:
		return r.signed()
	case tagUint:
		return r.unsigned()
	case tagFloat:
		if b := r.take(8); !r.broken {
			return math.Float64frombits(binary.BigEndian.Uint64(b))
		}
	case tagText:
		return string(r.take(r.unsigned()))
	case tagDecimal:
		return db.Decimal(r.take(r.unsigned()))
	case tagBytes:
		return append([]byte{}, r.take(r.unsigned())...)
	case tagTime:
		return time.Unix(r.signed(), int64(r.unsigned())).UTC()
	default:
		r.broken = true
	}
	return nil
}

func (r *recordReader) take(n uint64) []byte {
	if r.broken = r.broken || n > uint64(len(r.rest)); r.broken {
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *recordReader) signed() int64 {
	v, n := binary.Varint(r.rest)
	r.skip(n)
	return v
}

func (r *recordReader) unsigned() uint64 {
	v, n := binary.Uvarint(r.rest)
	r.skip(n)
	return v
}

func (r *recordReader) skip(n int) {
	if r.broken = r.broken || n <= 0; !r.broken {
		r.rest = r.rest[n:]
	}
}
