package dkim

import (
	"bytes"
	"testing"

	"github.com/emersion/go-msgauth/dkim"
)

// FuzzSign signs anything. What is signed is unchanged below its signature, and where its lines are those of a message the
// signature holds.
func FuzzSign(f *testing.F) {
	for _, message := range composed(f) {
		if len(message) < 1<<20 {
			f.Add(message)
		}
	}
	s := newSigner(f, Ed25519)
	dns := dkim.VerifyOptions{LookupTXT: func(string) ([]string, error) { return []string{s.Record()}, nil }, MaxVerifications: 1}
	f.Fuzz(func(t *testing.T, message []byte) {
		signed, err := s.Sign(bytes.Clone(message))
		if err != nil {
			return
		}
		head, same := bytes.CutSuffix(signed, message)
		if !same || !bytes.HasPrefix(head, []byte("DKIM-Signature: ")) || !bytes.HasSuffix(head, []byte("\r\n")) || bytes.Contains(head, []byte("\r\n\r\n")) {
			t.Fatalf("%q", signed)
		}
		if !endsLinesWell(message) {
			return
		}
		held, err := dkim.VerifyWithOptions(bytes.NewReader(signed), &dns)
		if len(held) != 1 || held[0].Err != nil {
			t.Fatalf("%q: %v, %v", signed, held, err)
		}
	})
}

// endsLinesWell tells whether every line ends in CRLF and the header begins with a field, as the session that sends demands.
func endsLinesWell(message []byte) bool {
	bare := bytes.ReplaceAll(message, []byte("\r\n"), nil)
	return !bytes.ContainsAny(bare, "\r\n") && len(message) > 0 && message[0] != ' ' && message[0] != '\t'
}
