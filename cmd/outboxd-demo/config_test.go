package main

import (
	"net"
	"testing"
	"time"

	"outboxd/jobs/jobfile"
	"outboxd/mail/smtptest"
)

func TestConfigIsValid(t *testing.T) {
	path, err := writeConfig(t.TempDir(), &net.TCPAddr{Port: 3306}, 2525, smtptest.New(t).CAPEM(), time.Date(2026, 11, 22, 8, 5, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	file, problems := jobfile.Load(path)
	if len(problems) > 0 {
		t.Fatalf("problems:\n%s", problems)
	}
	if len(file.Companies) != 2 || file.Server("memory").Port != 3306 || file.Account("bakery").Port != 2525 {
		t.Errorf("read back: %+v", file)
	}
	for _, a := range file.Accounts {
		if password, err := a.Password.Read(); err != nil || password != smtpPassword {
			t.Errorf("password of %s: %q, %v", a.Name, password, err)
		}
	}
	for _, s := range samples() {
		if file.Company(s.company) == nil {
			t.Errorf("the sample %q is of company %s, which is not in jobs.yaml", s.about, s.company)
		}
	}
}
