package db

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ColumnKind is what the values of a column are. All may be nil for NULL.
type ColumnKind string

// The kinds of columns.
const (
	KindText      ColumnKind = "text"      // string; also ENUM and SET
	KindInteger   ColumnKind = "integer"   // int64; uint64 of BIGINT UNSIGNED and BIT
	KindDecimal   ColumnKind = "decimal"   // Decimal
	KindFloat     ColumnKind = "float"     // float64
	KindDate      ColumnKind = "date"      // time.Time at midnight UTC
	KindDateTime  ColumnKind = "datetime"  // time.Time in UTC with what the column shows: it has no zone
	KindTimestamp ColumnKind = "timestamp" // time.Time: a moment
	KindTime      ColumnKind = "time"      // string, "-12:00:00": TIME may be a time of day or a duration
	KindJSON      ColumnKind = "json"      // string
	KindBytes     ColumnKind = "bytes"     // []byte
)

// Decimal is a number by its digits, as 0.10: nothing is rounded.
type Decimal = json.Number

var kindByType = map[string]ColumnKind{
	"DECIMAL": KindDecimal, "FLOAT": KindFloat, "DOUBLE": KindFloat, "BIT": KindInteger, "YEAR": KindInteger,
	"DATE": KindDate, "DATETIME": KindDateTime, "TIMESTAMP": KindTimestamp, "TIME": KindTime, "JSON": KindJSON,
	"BLOB": KindBytes, "TINYBLOB": KindBytes, "MEDIUMBLOB": KindBytes, "LONGBLOB": KindBytes, "BINARY": KindBytes, "VARBINARY": KindBytes,
	"GEOMETRY": KindBytes, "VECTOR": KindBytes,
}

// ReadColumn is a column of a result.
type ReadColumn struct {
	Name string
	Kind ColumnKind
}

// column is one of a result, with what converts its values.
type column struct {
	ReadColumn
	typ string // the driver's name of its type
}

func newColumn(t *sql.ColumnType) column {
	c := column{ReadColumn{t.Name(), KindText}, t.DatabaseTypeName()}
	if kind, ok := kindByType[c.typ]; ok {
		c.Kind = kind
	} else if strings.HasSuffix(c.typ, "INT") {
		c.Kind = KindInteger
	}
	return c
}

// value converts what the driver returns, and tells how many octets it takes.
func (c column) value(v any) (value any, octets int64, err error) {
	octets = 8
	switch v := v.(type) {
	case float32: // the shortest number that is this one, not its digits in twice the precision
		value, err = strconv.ParseFloat(strconv.FormatFloat(float64(v), 'g', -1, 32), 64)
	case []byte:
		octets = int64(len(v))
		value, err = c.parse(v)
	case int64:
		value = v
		if c.typ == "UNSIGNED BIGINT" {
			value = uint64(v)
		}
	default:
		value = v
	}
	if err != nil {
		return nil, 0, fmt.Errorf("column %s: %w", c.Name, err)
	}
	return value, octets, nil
}

// parse makes a value of the text that the driver returns for all but numbers.
func (c column) parse(text []byte) (any, error) {
	switch c.Kind {
	case KindBytes:
		return text, nil
	case KindDecimal:
		return Decimal(text), nil
	case KindDate, KindDateTime, KindTimestamp:
		return calendar(string(text)), nil
	case KindInteger:
		if c.typ == "BIT" {
			return bits(text), nil
		}
		return strconv.ParseUint(string(text), 10, 64)
	}
	return string(text), nil
}

// calendar is the time of a text such as 2026-11-22 or 2026-11-22 08:00:00.5. What no calendar has, as 0000-00-00 or a day 0 in old
// tables, stays its text.
func calendar(text string) any {
	t, err := time.Parse("2006-01-02 15:04:05"[:min(len(text), 19)], text)
	if err != nil || t.Year() == 0 {
		return text
	}
	return t
}

func bits(b []byte) (n uint64) {
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}
