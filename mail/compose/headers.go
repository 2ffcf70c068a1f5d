package compose

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Limits of a row's own headers.
const (
	maxHeaders     = 50
	maxHeaderName  = 75   // octets, so that the name and its colon fit on a line
	maxHeaderValue = 2000 // octets
)

// ParseHeaders reads the column outbox.headers: a JSON object whose values are strings or lists of strings, such as
// {"X-Invoice": "4711", "X-Tag": ["a", "b"]}. A list, or a key that stands twice, gives the field several times. Order
// is kept; the empty text has no headers.
//
// What outboxd writes itself (From, To, Date, Message-ID, MIME-Version, Content-*, signatures, traces, ...) is refused. So
// is a value with a line break, anything but ASCII in a field that programs read, such as List-Unsubscribe or
// References, and another value than Importance, Sensitivity and X-Priority have. The error is always a *FieldError for the column headers.
func ParseHeaders(text string) ([]Header, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	if err := checkUTF8("headers", text); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber() // 1e999 is refused as a number, not as a syntax error
	if t, err := dec.Token(); err != nil {
		return nil, jsonError(err)
	} else if t != json.Delim('{') {
		return nil, &FieldError{"headers", `must be a JSON object such as {"X-Name": "value"}, not ` + kindOf(t)}
	}
	var headers []Header
	for dec.More() {
		var err error
		if headers, err = appendEntry(headers, dec); err != nil {
			return nil, err
		}
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return nil, jsonError(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, &FieldError{"headers", "something follows the JSON object"}
	}
	if err := checkHeaders(headers); err != nil {
		return nil, err
	}
	return headers, nil
}

// appendEntry reads one key and its value or values.
func appendEntry(headers []Header, dec *json.Decoder) ([]Header, error) {
	key, err := dec.Token()
	if err != nil {
		return nil, jsonError(err)
	}
	name, _ := key.(string) // the decoder allows no other key
	value, err := dec.Token()
	if err != nil {
		return nil, jsonError(err)
	}
	if s, ok := value.(string); ok {
		return append(headers, Header{name, s}), nil
	}
	if value != json.Delim('[') {
		return nil, wrongKind(name, "the value", value)
	}
	for dec.More() {
		item, err := dec.Token()
		if err != nil {
			return nil, jsonError(err)
		}
		s, ok := item.(string)
		if !ok {
			return nil, wrongKind(name, "a value in the list", item)
		}
		headers = append(headers, Header{name, s})
	}
	if _, err := dec.Token(); err != nil { // the closing bracket
		return nil, jsonError(err)
	}
	return headers, nil
}

func wrongKind(name, what string, t json.Token) error {
	return &FieldError{"headers", fmt.Sprintf("%s: %s is %s; write it as a string in quotes", excerpt(name), what, kindOf(t))}
}

func kindOf(t json.Token) string {
	switch t := t.(type) {
	case nil:
		return "null"
	case bool:
		return "true or false"
	case json.Number:
		return "a number"
	case string:
		return "a string"
	case json.Delim:
		if t == '[' {
			return "a list"
		}
	}
	return "an object"
}

func jsonError(err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &FieldError{"headers", "is not valid JSON: it ends too early"}
	case errors.As(err, &syntax):
		return &FieldError{"headers", fmt.Sprintf("is not valid JSON at byte %d: %s", syntax.Offset, syntax)}
	}
	return &FieldError{"headers", "is not valid JSON: " + err.Error()}
}

func checkHeaders(headers []Header) error {
	if len(headers) > maxHeaders {
		return &FieldError{"headers", fmt.Sprintf("has %d headers; at most %d are possible", len(headers), maxHeaders)}
	}
	var seen map[string]bool
	for _, h := range headers {
		if reason := headerFault(h); reason != "" {
			return &FieldError{"headers", excerpt(h.Name) + ": " + reason}
		}
		if !isStructured(h.Name) {
			continue
		}
		name := strings.ToLower(h.Name)
		if seen[name] { // RFC 5322 3.6, RFC 2369 3.1, RFC 3834 5
			return &FieldError{"headers", excerpt(h.Name) + ": may stand only once"}
		}
		if seen == nil {
			seen = make(map[string]bool)
		}
		seen[name] = true
	}
	return nil
}

// headerFault says why a header cannot be written, or "".
func headerFault(h Header) string {
	switch {
	case h.Name == "" || len(h.Name) > maxHeaderName:
		return fmt.Sprintf("a name must have 1 to %d characters", maxHeaderName)
	case !isFieldName(h.Name):
		return "a name may hold only printable ASCII, no blank and no colon"
	case isReserved(h.Name):
		return "outboxd writes this header itself"
	case len(h.Value) > maxHeaderValue:
		return fmt.Sprintf("the value has %d bytes; at most %d are possible", len(h.Value), maxHeaderValue)
	case !utf8.ValidString(h.Value):
		return "the value is not valid UTF-8"
	}
	if i := indexControl(h.Value); i >= 0 {
		return "the value " + controlReason(h.Value, i)
	}
	if !isStructured(h.Name) {
		return ""
	}
	switch v := trimBlanks(h.Value); {
	case v == "":
		return "the value is empty"
	case !isASCII(v):
		return "the value may hold only ASCII"
	case longestWord(v) >= maxLine:
		return fmt.Sprintf("the value has more than %d characters without a blank", maxLine)
	}
	return choiceFault(h)
}

// choices are the values of fields that have a few (RFC 2156 5.3; X-Priority as mail programs write and read it).
var choices = map[string][]string{
	"importance":  {"low", "normal", "high"},
	"sensitivity": {"Personal", "Private", "Company-Confidential"},
	"x-priority":  {"1", "2", "3", "4", "5"},
}

// choiceFault refuses a value that such a field has not. A comment may follow, as in 1 (Highest).
func choiceFault(h Header) string {
	possible, ok := choices[strings.ToLower(h.Name)]
	if !ok {
		return ""
	}
	value := trimBlanks(h.Value)
	if word, comment, found := strings.Cut(value, " ("); found && strings.IndexByte(comment, ')') == len(comment)-1 {
		value = word
	}
	for _, one := range possible {
		if strings.EqualFold(value, one) {
			return ""
		}
	}
	return fmt.Sprintf("the value is %s; possible are %s", excerpt(value), strings.Join(possible, ", "))
}

// isFieldName: ftext, RFC 5322 3.6.8.
func isFieldName(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' }) < 0
}

// isReserved: what this package or a later hop writes, or what a reader takes as proof of one.
func isReserved(name string) bool {
	name = strings.ToLower(name)
	switch name {
	case "from", "sender", "reply-to", "to", "cc", "bcc", "subject", "date", "message-id", "mime-version",
		"return-path", "received", "received-spf", "delivered-to", "authentication-results",
		"dkim-signature", "domainkey-signature":
		return true
	}
	return hasAnyPrefix(name, "content-", "resent-", "arc-", "x-outboxd-")
}

// isStructured: fields that programs read, where an encoded word would be taken literally (RFC 2047 5). Each may stand once.
func isStructured(name string) bool {
	name = strings.ToLower(name)
	switch name {
	case "in-reply-to", "references", "auto-submitted", "precedence", "importance", "priority", "x-priority",
		"x-msmail-priority", "sensitivity", "disposition-notification-to", "return-receipt-to", "feedback-id",
		"x-auto-response-suppress", "expires":
		return true
	}
	return hasAnyPrefix(name, "list-")
}

func hasAnyPrefix(s string, prefixes ...string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}
