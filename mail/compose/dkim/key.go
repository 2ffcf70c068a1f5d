package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// The kinds of keys, as in a record's k=.
const (
	RSA     = "rsa"
	Ed25519 = "ed25519" // not every receiver verifies it yet
)

// Lengths of an RSA key in bits. RFC 8301 3.2: verifiers must take 1024 to 4096 and must not take less; signers should use 2048.
const (
	leastBits = 1024
	goodBits  = 2048
	mostBits  = 4096
)

// Generate makes a private key of the kind, PKCS#8 in PEM form.
func Generate(kind string) (string, error) {
	var key any
	var err error
	switch kind {
	case RSA:
		key, err = rsa.GenerateKey(rand.Reader, goodBits)
	case Ed25519:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		return "", fmt.Errorf("%.50q is no kind of key: rsa or ed25519", kind)
	}
	if err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

// parseKey reads the only private key of a text. Its errors never quote the text.
func parseKey(text string) (crypto.Signer, error) {
	block, rest := pem.Decode([]byte(text))
	switch {
	case block == nil:
		return nil, errors.New("there is no key in PEM form: -----BEGIN PRIVATE KEY----- and what follows it")
	case block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
		return nil, errors.New("the key is encrypted by a passphrase: decrypt it (openssl pkey), and let the file's mode protect it")
	case block.Type != "PRIVATE KEY" && block.Type != "RSA PRIVATE KEY":
		return nil, errors.New("there is something else than a private key: PRIVATE KEY (PKCS#8) or RSA PRIVATE KEY (PKCS#1) is needed")
	case strings.Contains(string(rest), "-----BEGIN"):
		return nil, errors.New("there is more than one key: each needs a place of its own")
	}
	var key any
	var err error
	if block.Type == "PRIVATE KEY" {
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	} else {
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, errors.New("the key is damaged: make it anew with outboxd dkim keygen, or copy it again")
	}
	switch k := key.(type) {
	case ed25519.PrivateKey:
		return k, nil
	case *rsa.PrivateKey:
		if bits := k.N.BitLen(); bits < leastBits || bits > mostBits {
			return nil, fmt.Errorf("the RSA key has %d bits, and receivers take %d to %d (RFC 8301): make another one with outboxd dkim keygen", bits, leastBits, mostBits)
		}
		return k, nil
	}
	return nil, errors.New("the key is neither RSA nor Ed25519: make one with outboxd dkim keygen")
}

func marshal(key *rsa.PublicKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil // not with the key of a private one that was parsed
	}
	return der
}

// RecordName returns where the record belongs in the DNS.
func (s *Signer) RecordName() string { return s.selector + "._domainkey." + s.domain }

// Record returns the value of the TXT record that receivers look up (RFC 6376 3.6.1), in one piece. It is public.
func (s *Signer) Record() string {
	kind, key := s.public()
	return "v=DKIM1; k=" + kind + "; p=" + base64.StdEncoding.EncodeToString(key)
}
