package compose

import (
	"encoding/base32"
	"fmt"
	"io"
	"strings"
)

// NewMessageID makes a Message-ID with angle brackets: 128 bits from random (crypto/rand.Reader in the daemon) in lower
// case base32 at domain, which is the sender's in ASCII form. It fails when random does, or when domain is no domain.
// Whoever stores the row keeps it: a row's Message-ID never changes.
func NewMessageID(domain string, random io.Reader) (string, error) {
	if len(domain) > maxHost || !isHost(domain) {
		return "", fmt.Errorf("message id: %s is not a domain", excerpt(domain))
	}
	var bits [16]byte
	if _, err := io.ReadFull(random, bits[:]); err != nil {
		return "", fmt.Errorf("message id: %w", err)
	}
	unique := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(bits[:])
	return "<" + strings.ToLower(unique) + "@" + domain + ">", nil
}
