// Package dkim signs messages (DKIM, RFC 6376) with RSA or Ed25519 keys (RFC 8463), and makes such keys.
//
// Its promise: what Sign returns is the message, unchanged, below a DKIM-Signature field that every verifier of RFC 8301
// takes: SHA-256, relaxed canonicalization of header and body, over the whole body. From, Subject, To and Date are signed
// once more often than they stand there, so that nobody on the way can add a second one.
//
// Its failure rule: a key that is too weak, too large for verifiers, encrypted or no private key at all is refused when the
// Signer is made, with what to do about it, and never with a part of the key. A Signer may be used by many goroutines.
package dkim

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/emersion/go-msgauth/dkim"

	"outboxd/mail"
)

// Signer signs for one domain with one key.
type Signer struct {
	domain   string // A-labels in lower case
	selector string
	key      crypto.Signer // *rsa.PrivateKey or ed25519.PrivateKey
}

// selectorForm follows sub-domain of RFC 5321 4.1.2.
var selectorForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)

// New makes a signer from a private key in PEM form, PKCS#8 or, for RSA, PKCS#1. The domain may have letters beyond ASCII.
func New(domain, selector, pem string) (*Signer, error) {
	at, err := mail.ParseAddress("postmaster@" + domain)
	if err != nil || strings.ContainsAny(domain, "@<> \t") {
		return nil, fmt.Errorf("%.100q is no mail domain", domain)
	}
	if len(selector) > 63 || !selectorForm.MatchString(selector) {
		return nil, fmt.Errorf("%.100q is no selector: letters, digits and -, with dots between if you like, at most 63 characters", selector)
	}
	key, err := parseKey(pem)
	if err != nil {
		return nil, err
	}
	return &Signer{domain: at.Host, selector: selector, key: key}, nil
}

// Domain returns the domain that is signed for, in lower case and A-labels.
func (s *Signer) Domain() string { return s.domain }

// Weakness tells what receivers may hold against the key, "" when there is nothing.
func (s *Signer) Weakness() string {
	if k, ok := s.key.(*rsa.PrivateKey); ok && k.N.BitLen() < goodBits {
		return fmt.Sprintf("the RSA key has %d bits, and 2048 are asked for today (RFC 8301): make another one with outboxd dkim keygen, under another selector", k.N.BitLen())
	}
	return ""
}

// The fields that are signed (RFC 6376 5.4.1): the first ones also against a second one of their name, the others where they
// stand in the header.
var (
	oversigned = []string{"From", "Subject", "To", "Date"}
	alsoSigned = []string{"Sender", "Reply-To", "Cc", "Message-ID", "In-Reply-To", "References", "MIME-Version", "Content-Type",
		"Content-Transfer-Encoding", "List-Id", "List-Help", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Subscribe", "List-Post", "List-Owner", "List-Archive"}
)

// maxLine is the longest line of a message in octets, without its CRLF (RFC 5322 2.1.1).
const maxLine = 998

// Sign returns the message with a signature above it. The message has CRLF line ends. Where its memory has room the result stands
// there, as with slices.Insert: message is not to be used afterwards. The same message gives another signature each second, since its time
// stands in it.
func (s *Signer) Sign(message []byte) ([]byte, error) {
	signer, err := dkim.NewSigner(&dkim.SignOptions{
		Domain: s.domain, Selector: s.selector, Signer: s.key, Hash: crypto.SHA256,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		HeaderKeys: signedFields(message),
	})
	if err != nil {
		return nil, fmt.Errorf("sign for %s: %w", s.domain, err)
	}
	_, err = signer.Write(message)
	if err = errors.Join(err, signer.Close()); err != nil {
		return nil, fmt.Errorf("sign for %s: %w", s.domain, err)
	}
	field := signer.Signature()
	for line := range strings.SplitSeq(field, "\r\n") {
		if len(line) > maxLine {
			return nil, fmt.Errorf("sign for %s: the header repeats too many of its fields", s.domain)
		}
	}
	return slices.Insert(message, 0, []byte(field)...), nil
}

// signedFields lists the fields to sign, each as often as it is to be signed.
func signedFields(message []byte) []string {
	count := map[string]int{}
	for line := range bytes.Lines(message) {
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		name, _, found := bytes.Cut(line, []byte(":"))
		if found && line[0] != ' ' && line[0] != '\t' {
			count[strings.ToLower(string(bytes.TrimRight(name, " \t")))]++
		}
	}
	var names []string
	for _, name := range oversigned {
		names = append(names, slices.Repeat([]string{name}, count[strings.ToLower(name)]+1)...)
	}
	for _, name := range alsoSigned {
		names = append(names, slices.Repeat([]string{name}, count[strings.ToLower(name)])...)
	}
	return names
}

// public returns the key as a DNS record has it: its kind and its octets.
func (s *Signer) public() (kind string, key []byte) {
	switch k := s.key.Public().(type) {
	case ed25519.PublicKey:
		return Ed25519, k // RFC 8463 4.2: bare
	case *rsa.PublicKey:
		return RSA, marshal(k)
	}
	return "", nil // New lets nothing else through
}
