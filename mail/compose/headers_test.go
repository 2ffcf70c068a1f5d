package compose

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseHeaders(t *testing.T) {
	cases := []struct {
		text string
		want []Header
	}{
		{"", nil},
		{" \n", nil},
		{"{}", nil},
		{` {"X-B": "2", "X-A": "1"} `, []Header{{"X-B", "2"}, {"X-A", "1"}}},
		{`{"X-A": ["1", "2"], "X-B": []}`, []Header{{"X-A", "1"}, {"X-A", "2"}}},
		{`{"X-A": "1", "x-a": "2", "X-A": "3"}`, []Header{{"X-A", "1"}, {"x-a", "2"}, {"X-A", "3"}}},
		{`{"X-A": "K\u00f6ln \ud83c\udf89"}`, []Header{{"X-A", "Köln 🎉"}}},
		{`{"X-A": ""}`, []Header{{"X-A", ""}}},
		{`{"List-Unsubscribe": "<https://a.example/>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}`,
			[]Header{{"List-Unsubscribe", "<https://a.example/>"}, {"List-Unsubscribe-Post", "List-Unsubscribe=One-Click"}}},
		{`{"Importance": "HIGH", "Sensitivity": "company-confidential", "X-Priority": " 1 (Highest) "}`,
			[]Header{{"Importance", "HIGH"}, {"Sensitivity", "company-confidential"}, {"X-Priority", " 1 (Highest) "}}},
		{`{"Auto-Submitted": "no", "Precedence": "bulk", "Keywords": "Größe"}`,
			[]Header{{"Auto-Submitted", "no"}, {"Precedence", "bulk"}, {"Keywords", "Größe"}}},
	}
	for _, c := range cases {
		got, err := ParseHeaders(c.text)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, %v, want %v", c.text, got, err, c.want)
		}
	}
}

func TestParseHeadersErrors(t *testing.T) {
	cases := []struct{ text, reason string }{
		{`null`, "must be a JSON object such as {\"X-Name\": \"value\"}, not null"},
		{`"X-A: 1"`, "not a string"},
		{`["X-A"]`, "not a list"},
		{`4711`, "not a number"},
		{`true`, "not true or false"},
		{`X-A: 1`, "not valid JSON at byte 1"},
		{`{"X-A": "1"`, "ends too early"},
		{`{"X-A": `, "ends too early"},
		{`{"X-A": "1",}`, "not valid JSON"},
		{`{"X-A": "1"]`, "not valid JSON"},
		{`{1: "1"}`, "not valid JSON"},
		{`{"X-A": "1"} {}`, "something follows"},
		{`{"X-A": "1"} x`, "something follows"},
		{"{\"X-A\": \"\xff\"}", "not valid UTF-8 at byte 10"},
		{"{\"X-A\": \"a\nb\"}", "not valid JSON"},
		{`{"X-A": 1}`, `"X-A": the value is a number; write it as a string in quotes`},
		{`{"X-A": 1e999}`, "the value is a number"},
		{`{"X-A": null}`, "the value is null"},
		{`{"X-A": true}`, "the value is true or false"},
		{`{"X-A": {"a": "b"}}`, "the value is an object"},
		{`{"X-A": ["a", 1]}`, "a value in the list is a number"},
		{`{"X-A": ["a", null]}`, "a value in the list is null"},
		{`{"X-A": ["a", ["b"]]}`, "a value in the list is a list"},
		{`{"X-A": ["a", {}]}`, "a value in the list is an object"},
		{strings.Repeat(`{"X-A":`, 100_000), "the value is an object"},
		{"{" + strings.Repeat(`"X-A": "",`, maxHeaders) + `"X-A": ""}`, "has 51 headers; at most 50"},
		{`{"": "1"}`, "a name must have 1 to 75 characters"},
		{`{"` + strings.Repeat("X", 76) + `": "1"}`, "a name must have 1 to 75 characters"},
		{`{"X A": "1"}`, "no blank and no colon"},
		{`{"X-A:": "1"}`, "no blank and no colon"},
		{`{"X-A\r\nBcc": "1"}`, `"X-A\r\nBcc": a name may hold only`},
		{`{"X-Ä": "1"}`, "only printable ASCII"},
		{`{"X-A": "1\r\nBcc: x@y"}`, "the value contains a line break at byte 2"},
		{`{"X-A": "1\n x"}`, "line break"},
		{`{"X-A": "\u0000"}`, "U+0000"},
		{`{"X-A": "` + strings.Repeat("x", 2001) + `"}`, "the value has 2001 bytes; at most 2000"},
		{`{"List-Unsubscribe": "<https://ä.example>"}`, "may hold only ASCII"},
		{`{"References": "é"}`, "may hold only ASCII"},
		{`{"In-Reply-To": " "}`, "the value is empty"},
		{`{"References": "<` + strings.Repeat("x", 997) + `>"}`, "more than 998 characters without a blank"},
		{`{"References": "<a@b>", "references": "<c@d>"}`, "may stand only once"},
		{`{"List-Id": ["<a.b>", "<c.d>"]}`, "may stand only once"},
		{`{"Importance": "urgent"}`, `"Importance": the value is "urgent"; possible are low, normal, high`},
		{`{"importance": "high priority"}`, "possible are low, normal, high"},
		{`{"Sensitivity": "secret"}`, "possible are Personal, Private, Company-Confidential"},
		{`{"X-Priority": "0"}`, "possible are 1, 2, 3, 4, 5"},
		{`{"X-Priority": "1 (a) (b)"}`, "possible are 1, 2, 3, 4, 5"},
	}
	for _, c := range cases {
		headers, err := ParseHeaders(c.text)
		if headers != nil {
			t.Errorf("%.60s: gave headers with an error", c.text)
		}
		checkFieldError(t, err, "headers", c.reason)
	}
}

func TestReservedHeaders(t *testing.T) {
	for _, name := range strings.Fields(`From SENDER to Cc Bcc Subject Date Message-ID message-id Reply-To Return-Path Received
		Received-SPF MIME-Version Content-Type content-transfer-encoding Content-X DKIM-Signature DomainKey-Signature ARC-Seal
		Authentication-Results Resent-To Resent-Bcc Delivered-To X-Outboxd-Row`) {
		_, err := ParseHeaders(`{"` + name + `": "x"}`)
		checkFieldError(t, err, "headers", "outboxd writes this header itself")
	}
	for _, name := range strings.Fields(`X-A X-From List-Id In-Reply-To References Priority Precedence
		Auto-Submitted Keywords Comments Organization Disposition-Notification-To Feedback-ID`) {
		if _, err := ParseHeaders(`{"` + name + `": "x"}`); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
