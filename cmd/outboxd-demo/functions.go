package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/dolthub/go-mysql-server/memory"
	"github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/expression/function"
	"github.com/dolthub/go-mysql-server/sql/types"
)

// provider has the databases, and two functions as a MySQL server has them: the engine's own take all octets for text, and so refuse
// or spoil those of a PDF.
type provider struct{ *memory.DbProvider }

// Function finds what takes the place of the engine's function.
func (provider) Function(_ *sql.Context, name string) (sql.Function, bool) {
	switch name {
	case "sha2":
		return sql.Function2{Name: name, Fn: newSHA2}, true
	case "substring", "substr", "mid":
		return sql.FunctionN{Name: name, Fn: newSubstring}, true
	}
	return nil, false
}

// sha2 is the function of a statement.
type sha2 struct{ *function.SHA2 }

func newSHA2(value, bits sql.Expression) sql.Expression {
	return &sha2{function.NewSHA2(value, bits).(*function.SHA2)}
}

// Eval returns the hash of 256 bits: the only one that the tables want.
func (s *sha2) Eval(ctx *sql.Context, row sql.Row) (any, error) {
	value, err := s.LeftChild.Eval(ctx, row)
	if err != nil || value == nil {
		return nil, err
	}
	if bits, err := s.RightChild.Eval(ctx, row); err != nil || fmt.Sprint(bits) != "256" {
		return s.SHA2.Eval(ctx, row)
	}
	octets, _, err := types.LongBlob.Convert(ctx, value)
	if err == nil {
		octets, err = sql.UnwrapAny(ctx, octets)
	}
	b, ok := octets.([]byte)
	if err != nil || !ok {
		return nil, err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// WithChildren makes the function anew, of other values.
func (s *sha2) WithChildren(children ...sql.Expression) (sql.Expression, error) {
	if len(children) != 2 {
		return nil, sql.ErrInvalidChildrenNumber.New(s, len(children), 2)
	}
	return newSHA2(children[0], children[1]), nil
}

// substring is the function of a statement.
type substring struct{ *function.Substring }

func newSubstring(args ...sql.Expression) (sql.Expression, error) {
	made, err := function.NewSubstring(args...)
	if err != nil {
		return nil, err
	}
	return &substring{made.(*function.Substring)}, nil
}

// Eval counts octets where there are octets, from a place and as many as are wanted; all else is the engine's.
func (s *substring) Eval(ctx *sql.Context, row sql.Row) (any, error) {
	value, err := s.Str.Eval(ctx, row)
	if err == nil {
		value, err = sql.UnwrapAny(ctx, value)
	}
	b, ok := value.([]byte)
	if err != nil || !ok || s.Len == nil {
		return s.plain(ctx, row, err)
	}
	start, err := number64(ctx, s.Start, row)
	if err != nil || start < 1 {
		return s.plain(ctx, row, err)
	}
	length, err := number64(ctx, s.Len, row)
	if err != nil {
		return nil, err
	}
	from := min(start-1, int64(len(b)))
	return b[from:min(from+max(length, 0), int64(len(b)))], nil
}

// plain is what the engine makes of it, unless there was an error.
func (s *substring) plain(ctx *sql.Context, row sql.Row, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return s.Substring.Eval(ctx, row)
}

// number64 is an argument that has to be a number; 0 for NULL.
func number64(ctx *sql.Context, e sql.Expression, row sql.Row) (int64, error) {
	value, err := e.Eval(ctx, row)
	if err != nil || value == nil {
		return 0, err
	}
	value, _, err = types.Int64.Convert(ctx, value)
	n, _ := value.(int64)
	return n, err
}

// WithChildren makes the function anew, of other values.
func (*substring) WithChildren(children ...sql.Expression) (sql.Expression, error) {
	return newSubstring(children...)
}
