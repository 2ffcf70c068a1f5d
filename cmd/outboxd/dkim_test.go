package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"outboxd/jobs/jobfile"
	"outboxd/mail/compose/dkim"
	"outboxd/mail/compose/dkim/dkimtest"
	"outboxd/mail/sendercheck"
)

// secrets makes the folder for keys beside the jobs.yaml, which keygen does not read.
func (s *site) secrets() string {
	s.t.Helper()
	folder := filepath.Join(filepath.Dir(s.config), "secrets")
	if err := os.Mkdir(folder, 0o700); err != nil {
		s.t.Fatal(err)
	}
	return folder
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What keygen prints is what receivers and jobs.yaml need, and the private key is in its file alone.
func TestKeygen(t *testing.T) {
	for _, kind := range []string{dkim.RSA, dkim.Ed25519} {
		s := &site{t: t}
		s.place()
		file := filepath.Join(s.secrets(), "dkim-xn--kln-sna.example")
		var k newKey
		if err := json.Unmarshal([]byte(s.must(exitDone, "dkim keygen Köln.example --selector s1 --json --kind "+kind)), &k); err != nil {
			t.Fatal(err)
		}
		if k.File != file || k.Name != "s1._domainkey.xn--kln-sna.example" || len(k.Next) == 0 || !strings.HasPrefix(k.Zone, k.Name+". IN TXT ") {
			t.Errorf("%+v", k)
		}
		signer, err := dkim.New("xn--kln-sna.example", "s1", read(t, file))
		if err != nil {
			t.Fatal(err)
		}
		signed, err := signer.Sign([]byte("From: a@xn--kln-sna.example\r\n\r\nx\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		if why := dkimtest.Verify(t, dkimtest.Case{Message: signed, Records: map[string]string{k.Name: k.Record}}); why[0] != "" {
			t.Errorf("%s: %s", kind, why[0])
		}
		// The printed lines are those of a jobs.yaml that finds the key.
		db := "version: 1\nservers: {main: {host: localhost, username: u}}\naccounts: {system: {host: localhost, from: a@a.example, rate: 100/hour}}\n"
		s.write(db + "companies: {acme: {server: main, database: acme, jobs: {send: {kind: deliver}}}}\n" + k.JobsYAML)
		conf, problems := jobfile.Load(s.config)
		if conf == nil || len(conf.DKIM) != 1 || conf.DKIM[0].Key.File != file {
			t.Errorf("%v", problems)
		}
	}
}

// TestP9_KeygenKeepsTheKey: nobody else may read the file, nothing of it is printed, and a key that is there is never lost.
func TestP9_KeygenKeepsTheKey(t *testing.T) {
	s := &site{t: t}
	s.place()
	s.must(exitFailed, "dkim keygen acme.example", "no such file or directory", "What to do:", "--out")
	file := filepath.Join(s.secrets(), "dkim-acme.example")
	out := s.must(exitDone, "dkim keygen acme.example", file, "outboxd._domainkey.acme.example", "v=DKIM1; k=rsa; p=", "acme.example: {selector: outboxd, key: {file: \"secrets/dkim-acme.example\"}}", "What to do next")
	key := read(t, file)
	for line := range strings.Lines(key) {
		if !strings.HasPrefix(line, "-----") && strings.Contains(out, strings.TrimSpace(line)) {
			t.Errorf("it is printed: %s", line)
		}
	}
	if info, err := os.Stat(file); err != nil || runtime.GOOS != "windows" && info.Mode().Perm()&0o137 != 0 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	s.must(exitFailed, "dkim keygen acme.example", "exists", "it may be a key in use")
	if read(t, file) != key {
		t.Error("the key was overwritten")
	}
	other := filepath.Join(t.TempDir(), "key")
	s.must(exitDone, "dkim keygen acme.example --kind ed25519 --out "+other, other)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Join(t.TempDir(), "elsewhere"), link); err == nil {
		s.must(exitFailed, "dkim keygen acme.example --out "+link, "exists")
		if _, err := os.Stat(link); !errors.Is(err, fs.ErrNotExist) {
			t.Error("it was written through a link")
		}
	}
}

// check --online looks at the key and at the DNS.
func TestCheckOfKeys(t *testing.T) {
	s := newSite(t)
	file := filepath.Join(s.secrets(), "dkim-acme.example")
	s.write(s.file("dkim: {acme.example: {key: {file: secrets/dkim-acme.example}}}"))
	s.must(exitDone, "check", "0 errors")
	s.must(exitFailed, "check --online", "fail  dkim acme.example: its mails cannot be signed, and wait: read secret from file "+file, "outboxd dkim keygen acme.example", "ok    account main")
	s.must(exitDone, "dkim keygen acme.example")
	signer, err := dkim.New("acme.example", "outboxd", read(t, file))
	if err != nil {
		t.Fatal(err)
	}
	name, zone := signer.RecordName(), sendercheck.TXT(signer.RecordName(), signer.Record()).Zone
	s.must(exitFailed, "check --online", "ok    dkim acme.example: the key can be used (dkim.key)", "fail  domain acme.example: the DNS has no key under "+name, "The record: "+zone)
	s.dns.Add(zone + "\n" + name + ". TXT \"other text\"")
	s.must(exitDone, "check --online", "ok    domain acme.example: "+name+": an RSA key with 2048 bits (dkim.selector)", "mails pass by their signature")
	s.dns.Set(name + ". TXT \"v=DKIM1; k=rsa; p=\"")
	s.must(exitFailed, "check --online", "fail  domain acme.example: the key under "+name+" is revoked", "The record: "+zone)
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" {
		s.must(exitFailed, "check --online", "others may use it")
	}
}
