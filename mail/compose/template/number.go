package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Number is a number of params or of a query's result, exactly as it was given: 9007199254740993 and 0.10 print as they
// are. It is a text, so that no step on the way can make a float of it.
type Number = json.Number

// verbatim makes printf exact: %d is a whole number, %.2f is rounded as commerce does, %v and %s are the number as given.
type verbatim Number

// Format is called by package fmt.
func (n verbatim) Format(f fmt.State, verb rune) {
	text := string(n)
	d, ok := parseDecimal(text)
	switch {
	case verb == 'v' || verb == 's' || verb == 'q':
	case ok && verb == 'd' && d.trim().scale == 0:
		text = d.trim().String()
	case ok && (verb == 'f' || verb == 'F'):
		places, stated := f.Precision()
		if !stated {
			places = 6
		}
		text = d.round(min(places, maxDigits)).String()
	default:
		text = fmt.Sprintf("%%!%c(number=%s)", verb, text) // as package fmt says it; printf refuses it
	}
	if verb == 'q' {
		text = strconv.Quote(text)
	}
	if f.Flag('+') && ok && !d.negative && verb != 's' && verb != 'q' {
		text = "+" + text
	}
	pad(f, text)
}

// pad writes text in the width that was asked for.
func pad(f fmt.State, text string) {
	width, _ := f.Width()
	gap := max(0, width-len([]rune(text)))
	switch {
	case f.Flag('-'):
		text += strings.Repeat(" ", gap)
	case f.Flag('0') && text != "" && (text[0] == '-' || text[0] == '+'):
		text = text[:1] + strings.Repeat("0", gap) + text[1:]
	case f.Flag('0'):
		text = strings.Repeat("0", gap) + text
	default:
		text = strings.Repeat(" ", gap) + text
	}
	_, _ = io.WriteString(f, text)
}

// ParseParams reads a row's params: a JSON object, or nothing at all. Numbers are as they were written, null is nil. The error is
// an *Error.
func ParseParams(text string) (map[string]any, error) {
	if strings.TrimSpace(text) == "" {
		return map[string]any{}, nil
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var params map[string]any
	err := d.Decode(&params)
	if err == nil && params == nil {
		err = errors.New("null is no object")
	}
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = fmt.Errorf("there is more behind the object, at byte %d", d.InputOffset())
		}
	}
	if err != nil {
		return nil, explainJSON(text, err)
	}
	return params, nil
}

// explainJSON says where the JSON is broken, in lines and columns.
func explainJSON(text string, err error) error {
	hint := `params is a JSON object, as JSON_OBJECT('name', 'Eva', 'total', 12.50) makes it`
	problem := Problem{File: "params", Message: "not a JSON object: " + strings.TrimPrefix(err.Error(), "json: "), Hint: hint}
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		problem.Line, problem.Column = position(text, int(syntax.Offset)-1)
	case errors.As(err, &kind):
		problem.Message = "not a JSON object but " + kind.Value
	case errors.Is(err, io.ErrUnexpectedEOF):
		problem.Line, problem.Column = position(text, len(text))
		problem.Message = "not a JSON object: it ends too early"
	}
	return &Error{Problem: problem}
}

// dropNulls removes the fields that are null: to a template they are missing.
func dropNulls(v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if value == nil {
				delete(v, key)
			} else {
				dropNulls(value)
			}
		}
	case []any:
		for _, value := range v {
			dropNulls(value)
		}
	}
}

// parseQueries reads the queries of a row of outbox_template: a JSON object from names to SQL.
func parseQueries(text string) (map[string]string, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var queries map[string]string
	if err := json.Unmarshal([]byte(text), &queries); err != nil {
		return nil, fmt.Errorf(`not a JSON object of names and SQL: %s`, strings.TrimPrefix(err.Error(), "json: "))
	}
	return queries, nil
}
