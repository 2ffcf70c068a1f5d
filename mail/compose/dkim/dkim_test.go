package dkim

import (
	"bytes"
	"crypto"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"outboxd/mail/compose/dkim/dkimtest"
)

func newSigner(t testing.TB, kind string) *Signer {
	t.Helper()
	pem, err := Generate(kind)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New("acme.example", "outboxd", pem)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sign(t testing.TB, s *Signer, message []byte) []byte {
	t.Helper()
	signed, err := s.Sign(bytes.Clone(message))
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func records(s *Signer) map[string]string { return map[string]string{s.RecordName(): s.Record()} }

// composed are the messages that compose makes, and some that a row may bring finished.
func composed(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("../testdata/*.eml")
	if err != nil || len(files) < 15 {
		t.Fatalf("messages: %v, %v", files, err)
	}
	all := map[string][]byte{
		"no body":        []byte("From: a@acme.example\r\nSubject: x\r\n\r\n"),
		"blank body":     []byte("From: a@acme.example\r\nSubject: x\r\n\r\n \r\n\t\r\n\r\n"),
		"no last crlf":   []byte("From: a@acme.example\r\nTo: b@example.org\r\nSubject: x\r\n\r\nend  of text \t"),
		"blanks":         []byte("From:a@acme.example\r\nTO:\t b@example.org\r\nSubject:  x \t y\r\n\r\n  two  blanks \r\n\r\n\r\n.\r\n\r\n\r\n"),
		"many instances": []byte("From: a@acme.example\r\nList-Archive: 1\r\nlist-archive: 2\r\nList-Archive: 3\r\nTo: b@example.org\r\n\r\nx\r\n"),
		"signed before":  []byte("DKIM-Signature: v=1; a=rsa-sha256; d=other.example; s=x; h=from; bh=x; b=x\r\nFrom: a@acme.example\r\n\r\nx\r\n"),
		"utf-8":          []byte("From: Łukasz <ł@acme.example>\r\nSubject: Żółć\r\n\r\nцвет\r\n"),
		"large":          largeMessage(2 << 20),
	}
	for _, file := range files {
		if all[filepath.Base(file)], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func largeMessage(octets int) []byte {
	line := strings.Repeat("QUJD", 19) + "\r\n"
	return []byte("From: a@acme.example\r\nTo: b@example.org\r\nSubject: large\r\nContent-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat(line, octets/len(line)))
}

// Every kind of message, signed by either kind of key, holds for another implementation, and the message itself is unchanged.
func TestSignaturesHoldForAnIndependentVerifier(t *testing.T) {
	var names []string
	var cases []dkimtest.Case
	for _, kind := range []string{RSA, Ed25519} {
		s := newSigner(t, kind)
		for name, message := range composed(t) {
			signed := sign(t, s, message)
			if !bytes.HasPrefix(signed, []byte("DKIM-Signature: ")) || !bytes.HasSuffix(signed, message) {
				t.Errorf("%s: %.200q", name, signed)
			}
			names = append(names, kind+", "+name)
			if !bytes.HasSuffix(signed, []byte("\r\n")) {
				signed = append(signed, "\r\n"...) // as it arrives over SMTP
			}
			cases = append(cases, dkimtest.Case{Message: signed, Records: records(s)})
		}
	}
	for i, why := range dkimtest.Verify(t, cases...) {
		if why != "" {
			t.Errorf("%s: %s", names[i], why)
		}
	}
}

// What somebody changes on the way breaks the signature.
func TestSignaturesBreak(t *testing.T) {
	s, other := newSigner(t, Ed25519), newSigner(t, Ed25519)
	message := []byte("From: a@acme.example\r\nTo: b@example.org\r\nSubject: Pay 10\r\nDate: Thu, 05 Nov 2026 08:30:00 +0100\r\n" +
		"Reply-To: r@acme.example\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\nList-Unsubscribe: <https://acme.example/u>\r\n\r\nPay 10\r\n")
	signed := sign(t, s, message)
	edit := func(old, text string) dkimtest.Case {
		if !bytes.Contains(signed, []byte(old)) {
			t.Fatalf("no %q", old)
		}
		return dkimtest.Case{Message: bytes.Replace(signed, []byte(old), []byte(text), 1), Records: records(s)}
	}
	cases := []dkimtest.Case{
		{Message: signed, Records: map[string]string{s.RecordName(): other.Record()}},
		edit("\r\n\r\nPay 10", "\r\n\r\nPay 99"), edit("Subject: Pay 10", "Subject: Pay 99"), edit("Reply-To: r@", "Reply-To: x@"),
		edit("text/plain", "text/html"), edit("Unsubscribe: <https://acme", "Unsubscribe: <https://evil"),
	}
	for _, second := range []string{"From: x@evil.example", "Subject: Won!", "To: all@example.org", "Date: Thu, 05 Nov 2020 08:30:00 +0100"} {
		cases = append(cases, edit("From: a@", second+"\r\nFrom: a@"), edit("List-Unsubscribe: ", second+"\r\nList-Unsubscribe: "))
	}
	for i, why := range dkimtest.Verify(t, append(cases, edit("Pay 10", "Pay 10"))...) {
		if (why == "") != (i == len(cases)) {
			t.Errorf("case %d: %q", i, why)
		}
	}
}

func TestSignedFields(t *testing.T) {
	message := "Received: x\r\nFrom: a@acme.example\r\n\tTo: folded\r\nCc : c@example.org\r\nreferences: <1@x>\r\nREFERENCES: <2@x>\r\nX-Other: y\r\n\r\nTo: body\r\n"
	want := []string{"From", "From", "Subject", "To", "Date", "Cc", "References", "References"}
	if got := signedFields([]byte(message)); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestWhatCannotBeSigned(t *testing.T) {
	s := newSigner(t, Ed25519)
	for name, message := range map[string]string{
		"empty": "", "no end of the header": "From: a@acme.example\r\n", "a field a thousand times": strings.Repeat("References: x\r\n", 1000) + "\r\n",
	} {
		if signed, err := s.Sign([]byte(message)); err == nil || !strings.Contains(err.Error(), "acme.example") {
			t.Errorf("%s: %.80q, %v", name, signed, err)
		}
	}
}

func TestManySignAtOnce(t *testing.T) {
	s, message := newSigner(t, Ed25519), largeMessage(10<<10)
	signed := make([][]byte, 50)
	var wg sync.WaitGroup
	for i := range signed {
		wg.Go(func() { signed[i] = sign(t, s, message) })
	}
	wg.Wait()
	cases := make([]dkimtest.Case, len(signed))
	for i, m := range signed {
		cases[i] = dkimtest.Case{Message: m, Records: records(s)}
	}
	for i, why := range dkimtest.Verify(t, cases...) {
		if why != "" {
			t.Errorf("%d: %s", i, why)
		}
	}
}

// Signing a large message that has room for the signature, as compose leaves, holds no copy of it.
func TestSigningTakesNoCopy(t *testing.T) {
	s, message := newSigner(t, RSA), slices.Grow(largeMessage(27<<20), 2<<10)
	before := heap()
	key := &watchedKey{Signer: s.key}
	s.key = key
	signed, err := s.Sign(message)
	if err != nil {
		t.Fatal(err)
	}
	after := heap()
	t.Logf("message %d octets: %d more in use while it is signed, %d when it is", len(message), key.heap-before, after-before)
	const little = 1 << 20
	if key.heap-before > little || after-before > little {
		t.Error("a copy was made")
	}
	runtime.KeepAlive(message)
	runtime.KeepAlive(signed)
}

// watchedKey notes how much memory is in use when all of the message has been read.
type watchedKey struct {
	crypto.Signer
	heap int64
}

func (k *watchedKey) Sign(random io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	k.heap = heap()
	return k.Signer.Sign(random, digest, o)
}

// heap returns the octets in use, without what is garbage.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
