package db_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"outboxd/db"
)

var someParams = map[string]any{"id": json.Number("17"), "name": "Eva", "názov": "x", "none": nil, "yes": true, "list": []any{1}, "object": map[string]any{}}

func TestBind(t *testing.T) {
	for _, c := range []struct {
		statement, text string
		args            []any
	}{
		{"SELECT 1", "SELECT 1", nil},
		{"SELECT * FROM t WHERE id=:id AND name = :name", "SELECT * FROM t WHERE id=? AND name = ?", []any{int64(17), "Eva"}},
		{":id:id,:názov:none", "??,??", []any{int64(17), int64(17), "x", nil}},
		{"SELECT ':id', \":id\", `:id`, 'it''s :id', 'it\\'s :id'", "SELECT ':id', \":id\", `:id`, 'it''s :id', 'it\\'s :id'", nil},
		{"SELECT 1 -- :id\n, :id # :id\n /* :id */ /*! :id */", "SELECT 1 -- :id\n, ? # :id\n /* :id */ /*! :id */", []any{int64(17)}},
		{"SELECT 1--:id", "SELECT 1--?", []any{int64(17)}}, // two minus signs
		{"SELECT 1 --", "SELECT 1 --", nil},
		{"SELECT @a:=:id, a::id, ::=:id", "SELECT @a:=?, a::id, ::=?", []any{int64(17), int64(17)}},
		{"SELECT :yes, '?', 1 : 2", "SELECT ?, '?', 1 : 2", []any{int64(1)}},
	} {
		text, args, err := db.Bind(c.statement, someParams)
		if err != nil || text != c.text || !reflect.DeepEqual(args, c.args) {
			t.Errorf("%s: %s %v, %v", c.statement, text, args, err)
		}
	}
}

func TestBindSaysWhatIsWrong(t *testing.T) {
	for statement, want := range map[string]string{
		":Name":         "query refused: there is no parameter Name: known are id, list, name, names, none, object, yes",
		":list":         "parameter list is a list",
		":object":       "parameter object is an object",
		"SELECT ?":      "write a name",
		"SELECT 'a\\'":  "has no end",
		"SELECT `a":     "has no end",
		"SELECT /* :id": "has no end",
		"SELECT :1":     "there is no parameter 1",
	} {
		params := map[string]any{}
		for name, v := range someParams {
			params[strings.Replace(name, "názov", "names", 1)] = v
		}
		_, _, err := db.Bind(statement, params)
		var e *db.ReadError
		if !errors.As(err, &e) || e.Reason != db.ReadRefused || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", statement, err)
		}
	}
	if _, _, err := db.Bind("SELECT :a", nil); err == nil || !strings.Contains(err.Error(), "there are none") {
		t.Error(err)
	}
}

func TestNumbersBindExactly(t *testing.T) {
	nines := strings.Repeat("9", 65)
	for number, want := range map[string]string{
		"0": "? 0", "-0": "? 0", "9007199254740993": "? 9007199254740993", "1e2": "? 100", "1E+2": "? 100", "0e5": "? 0",
		"9223372036854775808": "? 9223372036854775808", "-9223372036854775809": "CAST(? AS DECIMAL(65,0)) -9223372036854775809",
		"18446744073709551616": "CAST(? AS DECIMAL(65,0)) 18446744073709551616", nines: "CAST(? AS DECIMAL(65,0)) " + nines,
		"0.10": "CAST(? AS DECIMAL(65,2)) 0.10", "-0.5": "CAST(? AS DECIMAL(65,1)) -0.5", "1.5e1": "? 15", "1.50e1": "CAST(? AS DECIMAL(65,1)) 15.0",
		"25e-3": "CAST(? AS DECIMAL(65,3)) 0.025", "1e-30": "CAST(? AS DECIMAL(65,30)) 0.000000000000000000000000000001",
		nines + "9": "cannot", "1e-31": "cannot", "1e65": "cannot", "1e99999999999999999999": "cannot", "1e999999999": "cannot",
		"": "cannot", "abc": "cannot", " 1": "cannot", "1 ": "cannot", "0x10": "cannot", "01": "cannot", "-": "cannot", "1.": "cannot", "null0": "cannot",
		nines[:36] + "." + strings.Repeat("1", 30): "cannot",
	} {
		text, args, err := db.Bind(":n", map[string]any{"n": json.Number(number)})
		if want == "cannot" && err == nil || want != "cannot" && (err != nil || fmt.Sprint(text, " ", args[0]) != want) {
			t.Errorf("%s: %s %v, %v", number, text, args, err)
		}
	}
}

// Whatever the statement, as many values are bound as placeholders were put in, and nothing else changes.
func FuzzBind(f *testing.F) {
	for _, s := range []string{"SELECT :id", "':id'\\", "`:id`:id", "-- :id\n:id", "/*! :id */ /* x", "#:id", "@a:=:id::id", "\"\\\":id\":name;:yes"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, statement string) {
		text, args, err := db.Bind(statement, someParams)
		if err != nil {
			return
		}
		if len(args) == 0 && text != statement {
			t.Errorf("%q became %q", statement, text)
		}
		if again, more, err := db.Bind(strings.ReplaceAll(text, "?", ":id"), someParams); err == nil && len(more) < len(args) {
			t.Errorf("%q, %d values: %q, %d values", text, len(args), again, len(more))
		}
	})
}
