package dkim

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"strings"
	"testing"

	"outboxd/mail/compose/dkim/dkimtest"
)

func encode(t testing.TB, kind string, der []byte, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func rsaKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func pkcs1(t testing.TB, key *rsa.PrivateKey) string {
	return encode(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key), nil)
}

// Keys as other tools write them are taken, and weak ones are named.
func TestKeysOfOtherTools(t *testing.T) {
	for bits, weak := range map[int]bool{1024: true, 2048: false} {
		s, err := New("acme.example", "s1", "\r\n"+strings.ReplaceAll(pkcs1(t, rsaKey(t, bits)), "\n", "\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		if (s.Weakness() != "") != weak {
			t.Errorf("%d bits: %q", bits, s.Weakness())
		}
		if why := dkimtest.Verify(t, dkimtest.Case{Message: sign(t, s, largeMessage(1000)), Records: records(s)}); why[0] != "" {
			t.Errorf("%d bits: %s", bits, why[0])
		}
	}
}

const shortKey = `-----BEGIN RSA PRIVATE KEY-----
MIIBOgIBAAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeKLs1Pt8Qu
KUpRKfFLfRYC9AIKjbJTWit+CqvjWYzvQwECAwEAAQJAIJLixBy2qpFoS4DSmoEm
o3qGy0t6z09AIJtH+5OeRV1be+N4cDYJKffGzDa88vQENZiRm0GRq6a+HPGQMd2k
TQIhAKMSvzIBnni7ot/OSie2TmJLY4SwTQAevXysE2RbFDYdAiEBCUEaRQnMnbp7
9mxDXDf6AU0cN/RPBjb9qSHDcWZHGzUCIG2Es59z8ugGrDY+pxLQnwfotadxd+Uy
v/Ow5T0q5gIJAiEAyS4RaI9YG8EWx/2w0T67ZUVAw8eOMB6BIUg0Xcu+3okCIBOs
/5OiPgoTdSy7bcF9IGpSE8ZgGKzgYQVZeN97YE00
-----END RSA PRIVATE KEY-----
`

func TestKeysThatAreRefused(t *testing.T) {
	good, err := Generate(Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(curve)
	large, err2 := os.ReadFile("testdata/rsa4104.pem") // takes seconds to make
	if err2 != nil {
		t.Fatal(err2)
	}
	secret := strings.Split(good, "\n")[1]
	for text, want := range map[string]string{
		"":                                       "no key in PEM form",
		secret:                                   "no key in PEM form",
		good + good:                              "more than one key",
		encode(t, "PRIVATE KEY", der, err):       "neither RSA nor Ed25519",
		encode(t, "PUBLIC KEY", []byte{1}, nil):  "something else than a private key",
		encode(t, "CERTIFICATE", []byte{1}, nil): "something else than a private key",
		encode(t, "ENCRYPTED PRIVATE KEY", []byte{1}, nil):                                                                           "passphrase",
		"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n": "passphrase",
		strings.Replace(good, secret, secret[4:], 1):                                                                                 "damaged",
		shortKey:      "512 bits",
		string(large): "4104 bits",
	} {
		s, err := New("acme.example", "outboxd", text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, %v, want %q", text, s, err, want)
			continue
		}
		if strings.Contains(err.Error(), secret[:20]) {
			t.Errorf("the key is shown: %v", err)
		}
	}
}

func TestNames(t *testing.T) {
	key, err := Generate(Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	for given, want := range map[string]string{
		"acme.example outboxd": "outboxd._domainkey.acme.example", "Köln.Example 2026-11.eu": "2026-11.eu._domainkey.xn--kln-sna.example",
		"a@acme.example x": "", "acme_example x": "", " x": "", "acme.example -x": "", "acme.example x_y": "", "acme.example x..y": "",
		"acme.example x;d=evil": "", "acme.example ": "", "acme.example>x outboxd": "", "acme.example\r\nx outboxd": "",
	} {
		domain, selector, _ := strings.Cut(given, " ")
		s, err := New(domain, selector, key)
		switch {
		case want == "" && err == nil:
			t.Errorf("%q is taken: %s", given, s.RecordName())
		case want != "" && (err != nil || s.RecordName() != want):
			t.Errorf("%q: %v", given, err)
		}
	}
}

func TestGenerateKnowsItsKinds(t *testing.T) {
	if _, err := Generate("dsa"); err == nil {
		t.Error("a key of a kind that is none")
	}
}
