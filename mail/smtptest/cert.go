package smtptest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"time"
)

// Certificate says what is wrong with the server's certificate.
type Certificate int

// The kinds of certificate.
const (
	CertGood      Certificate = iota // for localhost, 127.0.0.1 and ::1, signed by the server's CA
	CertExpired                      // ended yesterday
	CertWrongName                    // for other.example only
	CertUnknownCA                    // signed by a CA that is not in CA
)

type pki struct {
	ca     *x509.Certificate
	server tls.Certificate
}

// CA returns a pool with the certificate authority that was made for this server.
func (s *Server) CA() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.pki.ca)
	return pool
}

// CAPEM returns that certificate authority as PEM, for a client's configuration file.
func (s *Server) CAPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.pki.ca.Raw})
}

func newPKI(kind Certificate) (pki, error) {
	ca, caKey, err := newCA("smtptest CA")
	if err != nil {
		return pki{}, err
	}
	signer, signerKey := ca, caKey
	if kind == CertUnknownCA {
		if signer, signerKey, err = newCA("smtptest other CA"); err != nil {
			return pki{}, err
		}
	}
	now := time.Now()
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "localhost"},
		NotBefore:    now.Add(-48 * time.Hour),
		NotAfter:     now.Add(30 * 24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	switch kind {
	case CertExpired:
		leaf.NotAfter = now.Add(-24 * time.Hour)
	case CertWrongName:
		leaf.DNSNames, leaf.IPAddresses = []string{"other.example"}, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pki{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, signer, key.Public(), signerKey)
	if err != nil {
		return pki{}, err
	}
	return pki{ca: ca, server: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}}, nil
}

func newCA(name string) (*x509.Certificate, crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-72 * time.Hour),
		NotAfter:              now.Add(60 * 24 * time.Hour),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return cert, key, err
}
