package db_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

func TestSessionsAreUTCStrictAndReadCommitted(t *testing.T) {
	d := dbtest.New(t)
	if got := d.Read(t, "SELECT @@session.time_zone"); got != "+00:00" {
		t.Errorf("time zone %s", got)
	}
	if got := d.Read(t, "SELECT @@session.sql_mode"); !strings.Contains(got, "STRICT_ALL_TABLES") {
		t.Errorf("modes %s", got)
	}
	level, err := d.Pool.ReadText(deadline(t), "SELECT @@transaction_isolation")
	if err != nil { // MariaDB before 11.1
		level = d.Read(t, "SELECT @@tx_isolation")
	}
	if level != "READ-COMMITTED" {
		t.Errorf("isolation %s", level)
	}
	if v, err := d.Pool.Version(deadline(t)); err != nil || v == "" {
		t.Errorf("version %q, %v", v, err)
	}
	if d.Store.Database() != d.Name || d.Read(t, "SELECT DATABASE()") != "NULL" {
		t.Error("a session has a database of its own")
	}
}

func TestWhatKeepsAPoolFromItsServer(t *testing.T) {
	d := dbtest.New(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, closed.Close())
	for _, c := range []struct {
		name string
		edit func(s *db.Server)
		kind db.ErrorKind
	}{
		{"nobody listens", func(s *db.Server) { s.Host, s.Port = "127.0.0.1", closed.Addr().(*net.TCPAddr).Port }, db.KindLost},
		{"no such socket", func(s *db.Server) { s.Socket = filepath.Join(t.TempDir(), "none") }, db.KindLost},
		{"wrong password", func(s *db.Server) { s.Username, s.Password = "nobody", "wrong" }, db.KindSetup},
	} {
		login := d.Server
		c.edit(&login)
		pool, err := db.Open(login)
		must(t, err)
		if err := pool.Ping(deadline(t)); db.Kind(err) != c.kind {
			t.Errorf("%s: %v", c.name, err)
		}
		must(t, pool.Close())
	}
	for _, ca := range []string{"/no/such/file", "pool_test.go"} {
		if _, err := db.Open(db.Server{Host: "127.0.0.1", TLS: true, CA: ca}); err == nil || !strings.Contains(err.Error(), "ca") {
			t.Errorf("ca %s: %v", ca, err)
		}
	}
}

func TestTLSIsVerifiedAndNeverLeftOut(t *testing.T) {
	dir := t.TempDir()
	ca := certificate(t, dir, "127.0.0.1")
	server := dbtest.Own(t, dbtest.Options{Flags: []string{"--ssl-cert=" + ca, "--ssl-key=" + filepath.Join(dir, "key.pem")}})
	plain := dbtest.On(t, server.Server)
	stranger := certificate(t, t.TempDir(), "127.0.0.1")
	for _, c := range []struct {
		name     string
		host, ca string
		fits     bool
	}{
		{"its own authority", "127.0.0.1", ca, true},
		{"another authority", "127.0.0.1", stranger, false},
		{"the system's authorities", "127.0.0.1", "", false},
		{"another name", "localhost", ca, false},
	} {
		login := server.Server
		login.Host, login.TLS, login.CA = c.host, true, c.ca
		pool, err := db.Open(login)
		must(t, err)
		cipher, err := pool.ReadText(deadline(t), "SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'SSL_CIPHER'")
		if c.fits && (err != nil || cipher == "") || !c.fits && db.Kind(err) != db.KindSetup {
			t.Errorf("%s: cipher %q, %v", c.name, cipher, err)
		}
		must(t, pool.Close())
	}
	// By its socket, as on one machine.
	login := server.Server
	login.Host, login.Port, login.Socket = "", 0, server.Socket
	pool, err := db.Open(login)
	must(t, err)
	must(t, pool.CheckSchema(deadline(t), plain.Name, db.CompanyPart))
	must(t, pool.Close())
}

func TestTLSIsNotGivenUpWhereTheServerHasNone(t *testing.T) {
	server := dbtest.Own(t, dbtest.Options{Flags: []string{"--skip-ssl"}})
	login := server.Server
	login.TLS = true
	pool, err := db.Open(login)
	must(t, err)
	if err := pool.Ping(deadline(t)); db.Kind(err) != db.KindSetup {
		t.Errorf("a server without TLS: %v", err)
	}
	must(t, pool.Close())
}

// certificate writes cert.pem and key.pem for a host, signed by itself, and returns the path of the first.
func certificate(t *testing.T, dir, host string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: host}, IPAddresses: []net.IP{net.ParseIP(host)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	path := filepath.Join(dir, "cert.pem")
	must(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	return path
}
