package db

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bind makes named parameters of a statement into placeholders with their values: `WHERE id = :id` into `WHERE id = ?`. A
// name is a colon with a word right after it, outside of texts, comments and quoted names; `::` and `:=` are left alone. A name that
// params do not have, and a value that cannot stand in SQL (a list, an object), is a *ReadError with a remedy.
//
// Numbers stay exact: an integer of 64 bits goes as that, any other number as text that the server casts to DECIMAL.
func Bind(statement string, params map[string]any) (text string, args []any, err error) {
	all, err := tokens(statement)
	if err != nil {
		return "", nil, err
	}
	var b strings.Builder
	for i := 0; i < len(all); i++ {
		next := token{}
		if i+1 < len(all) {
			next = all[i+1]
		}
		sign := ""
		if all[i].kind == signToken {
			sign = all[i].text
		}
		switch {
		case sign == "?":
			return "", nil, refused("there is no value for the placeholder ?: write a name, as :customer_id")
		case sign == ":" && (next.text == ":" || next.text == "="):
			b.WriteString(sign + next.text)
			i++
		case sign == ":" && next.kind == wordToken:
			place, arg, err := bindOne(next.text, params)
			if err != nil {
				return "", nil, err
			}
			b.WriteString(place)
			args = append(args, arg)
			i++
		default:
			b.WriteString(all[i].text)
		}
	}
	return b.String(), args, nil
}

// bindOne returns the placeholder and the value of one parameter.
func bindOne(name string, params map[string]any) (place string, arg any, err error) {
	value, ok := params[name]
	if !ok {
		known := "there are none"
		if len(params) > 0 {
			known = "known are " + strings.Join(slices.Sorted(maps.Keys(params)), ", ")
		}
		return "", nil, refused("there is no parameter %s: %s", name, known)
	}
	switch v := value.(type) {
	case nil, string, []byte, time.Time, int64, uint64:
		return "?", v, nil
	case bool:
		if v {
			return "?", int64(1), nil
		}
		return "?", int64(0), nil
	case int:
		return "?", int64(v), nil
	case float64:
		return bindNumber(name, strconv.FormatFloat(v, 'g', -1, 64))
	case json.Number:
		return bindNumber(name, v.String())
	case []any:
		return "", nil, refused("parameter %s is a list: only a text, a number, true, false or null can stand in SQL", name)
	case map[string]any:
		return "", nil, refused("parameter %s is an object: only a text, a number, true, false or null can stand in SQL", name)
	}
	return "", nil, refused("parameter %s is a %T: only a text, a number, true, false or null can stand in SQL", name, value)
}

// Limits of DECIMAL that MariaDB and MySQL share.
const (
	maxDigits = 65
	maxScale  = 30
)

// bindNumber binds a number of JSON without changing its value.
func bindNumber(name, number string) (place string, arg any, err error) {
	text, scale, ok := decimal(number)
	if !ok {
		return "", nil, refused("parameter %s: the number %s cannot be kept exactly, SQL has %d digits, %d of them after the point; give it as a text", name, cut(number, 100), maxDigits, maxScale)
	}
	if scale == 0 {
		if i, err := strconv.ParseInt(text, 10, 64); err == nil {
			return "?", i, nil
		}
		if u, err := strconv.ParseUint(text, 10, 64); err == nil {
			return "?", u, nil
		}
	}
	return fmt.Sprintf("CAST(? AS DECIMAL(%d,%d))", maxDigits, scale), text, nil
}

// decimal writes a number of JSON without an exponent, and counts the digits after its point; not ok when it is none, or too long
// for a DECIMAL.
func decimal(number string) (text string, scale int, ok bool) {
	digits, minus := strings.CutPrefix(number, "-")
	if digits == "" || !isDigit(digits[0]) || !isDigit(digits[len(digits)-1]) || !json.Valid([]byte(number)) {
		return "", 0, false
	}
	exponent := 0
	if mantissa, e, found := strings.Cut(strings.ToLower(digits), "e"); found {
		var err error
		if exponent, err = strconv.Atoi(e); err != nil || max(exponent, -exponent) > maxDigits+len(number) {
			return "", 0, false
		}
		digits = mantissa
	}
	whole, fraction, _ := strings.Cut(digits, ".")
	whole, scale = whole+fraction, len(fraction)-exponent
	if scale < 0 {
		whole, scale = whole+strings.Repeat("0", -scale), 0
	}
	whole = strings.TrimLeft(whole, "0")
	whole = strings.Repeat("0", max(0, scale+1-len(whole))) + whole
	if scale > maxScale || len(whole)-scale > maxDigits-scale {
		return "", 0, false
	}
	if minus {
		whole = "-" + whole
	}
	if scale > 0 {
		whole = whole[:len(whole)-scale] + "." + whole[len(whole)-scale:]
	}
	return whole, scale, true
}
